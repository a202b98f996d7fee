from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
import pytest

from app import pidfile
from tests.waiting import until

STUBBORN = (
    "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); "
    "print('deaf', flush=True); time.sleep(600)"
)


@contextmanager
def launched(path: Path, *program: str) -> Iterator[subprocess.Popen[str]]:
    process = subprocess.Popen(
        [sys.executable, "-m", "app.launch", str(path), *program],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        with process:
            yield process
            process.kill()
    finally:
        process.kill()
        process.wait()


@contextmanager
def sleeping(path: Path) -> Iterator[subprocess.Popen[str]]:
    with launched(path, "/bin/sleep", "600") as process:
        until(lambda: pidfile.holder(path) == process.pid, "the pid file")
        until(lambda: psutil.Process(process.pid).name() == "sleep", "sleep to be executed")
        yield process


def test_the_launched_program_itself_holds_the_file(tmp_path: Path) -> None:
    path = tmp_path / "run" / "some.pid"
    with sleeping(path) as process:
        assert pidfile.holder(path) == process.pid
        assert path.read_text() == f"{process.pid}\n"


def test_a_killed_holder_frees_the_file_though_its_id_still_stands_there(tmp_path: Path) -> None:
    path = tmp_path / "some.pid"
    with sleeping(path) as process:
        process.kill()
        process.wait()
        assert path.read_text() == f"{process.pid}\n"
        assert pidfile.holder(path) is None


def test_a_second_holder_is_refused_and_told_who_the_first_one_is(tmp_path: Path) -> None:
    path = tmp_path / "some.pid"
    with sleeping(path) as process:
        with pytest.raises(pidfile.Held, match=str(process.pid)) as refused:
            pidfile.take(path)
        assert refused.value.pid == process.pid
        second = subprocess.run(
            [sys.executable, "-m", "app.launch", str(path), "/bin/echo", "ran"],
            capture_output=True,
            text=True,
            check=False,
        )
        assert second.returncode == 1
        assert second.stdout == ""
        assert f"held by process {process.pid}" in second.stderr


def test_ending_a_program_frees_its_file(tmp_path: Path) -> None:
    path = tmp_path / "some.pid"
    with sleeping(path) as process:
        assert pidfile.end(path, grace=30) == process.pid
        assert process.wait() == -15


def test_a_program_deaf_to_the_request_is_killed(tmp_path: Path) -> None:
    path = tmp_path / "some.pid"
    with launched(path, sys.executable, "-c", STUBBORN) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "deaf\n"
        assert pidfile.end(path, grace=0.1) == process.pid
        assert process.wait() == -9


def test_a_file_nobody_holds_ends_nobody(tmp_path: Path) -> None:
    path = tmp_path / "some.pid"
    assert pidfile.holder(path) is None
    # A number from an earlier boot, which belongs to somebody else by now.
    path.write_text(f"{os.getppid()}\n")
    assert pidfile.end(path, grace=1) is None


def test_a_descendant_does_not_keep_the_file_when_the_holder_is_gone(tmp_path: Path) -> None:
    path = tmp_path / "some.pid"
    parent = (
        "import os, time\nchild = os.fork()\nif child: print(child, flush=True)\ntime.sleep(600)\n"
    )
    with launched(path, sys.executable, "-c", parent) as process:
        assert process.stdout is not None
        child = psutil.Process(int(process.stdout.readline()))
        try:
            process.kill()
            process.wait()
            assert pidfile.holder(path) is None
            assert child.is_running()
        finally:
            child.kill()


def test_an_absent_program_is_not_silently_ignored(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "app.launch", str(tmp_path / "some.pid"), "/nowhere/program"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode != 0
    assert "/nowhere/program" in done.stderr
