from __future__ import annotations

import contextlib
import os
import pty
import re
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import psutil
import pytest

from deploy.sandbox.demo.watch import labels_of
from deploy.sandbox.remote import Remote
from tests.system.conftest import PATIENCE, ROOT, processes_of
from tests.waiting import until

Demo = Callable[..., subprocess.Popen[str]]


@pytest.fixture
def data_dir(tmp_path: Path) -> Path:
    """A DATA_DIR with the weights that other runs converted."""
    directory = tmp_path / "data"
    directory.mkdir()
    weights = ROOT / ".cache" / "models"
    weights.mkdir(parents=True, exist_ok=True)
    (directory / "models").symlink_to(weights)
    return directory


@pytest.fixture
def demo(data_dir: Path) -> Iterator[Demo]:
    """Starts the demo; what a failed test leaves behind is killed."""
    started: list[subprocess.Popen[str]] = []

    def start(*arguments: str, **settings: str) -> subprocess.Popen[str]:
        clean = {k: v for k, v in os.environ.items() if not k.startswith("TRIORA_")}
        process = subprocess.Popen(
            [sys.executable, "-m", "deploy.sandbox.demo", "--data-dir", str(data_dir), *arguments],
            env=clean | settings,
            cwd=data_dir.parent,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        started.append(process)
        return process

    yield start
    for process in started:
        with process:
            if process.poll() is None:
                process.terminate()


def test_once_labels_every_issue_prints_the_table_and_leaves_nobody(
    demo: Demo, data_dir: Path
) -> None:
    # A threshold of the caller's would keep labels back.
    process = demo("--once", "--limit", "2", "--timeout", str(PATIENCE), TRIORA_THRESHOLD="1")
    assert process.stdout is not None
    page = next(line for line in process.stdout if "http://" in line)
    github = Remote(re.findall(r"http://[^/]*", page)[0])
    seen: dict[int, list[str]] = {}

    def labelled() -> bool:
        # The stand-in ends with the demo: the last look that found it counts.
        with contextlib.suppress(httpx.HTTPError):
            seen.update(labels_of(github))
        return process.poll() is not None

    until(labelled, "the end of the demo", PATIENCE)
    github.close()
    said = page + process.stdout.read()
    assert process.returncode == 0, said
    assert {number: len(names) for number, names in seen.items() if number in (1, 2)} == {
        1: 3,
        2: 3,
    }
    assert "#1" in said
    assert "#2" in said
    assert "all labelled after" in said
    assert "threshold is 0" in said
    assert processes_of(str(data_dir)) == []


def test_a_worker_that_cannot_work_fails_the_demo_with_the_reason(
    demo: Demo, data_dir: Path
) -> None:
    process = demo("--once", TRIORA_MODEL="./absent")
    said, _ = process.communicate()
    assert process.returncode == 1
    assert "demo failed: triora up ended with exit code 1" in said
    assert "absent" in said
    assert processes_of(str(data_dir)) == []


def family(process: subprocess.Popen[str]) -> list[psutil.Process]:
    """Everything the demo started that runs now, the stand-in and the broker among them."""
    found = psutil.Process(process.pid).children(recursive=True)
    assert any("deploy.sandbox" in one.cmdline() for one in found)
    return found


@pytest.mark.parametrize(
    ("how", "code"), [(signal.SIGTERM, 143), (signal.SIGHUP, 129), (signal.SIGINT, 0)]
)
def test_a_signal_while_it_starts_leaves_nobody(
    demo: Demo, data_dir: Path, tmp_path: Path, how: signal.Signals, code: int
) -> None:
    process = demo(TMPDIR=str(tmp_path))
    until(lambda: (data_dir / "run" / "receiver.pid").exists(), "the receiver")
    children = family(process)
    assert list(tmp_path.rglob("app.pem"))
    # A closing terminal tells more than once.
    process.send_signal(how)
    process.send_signal(how)
    process.communicate()
    assert process.returncode == code
    assert [one for one in children if one.is_running()] == []
    assert processes_of(str(data_dir)) == []
    assert list(tmp_path.rglob("app.pem")) == []


def test_closing_the_terminal_leaves_nobody(data_dir: Path, tmp_path: Path) -> None:
    ours, theirs = pty.openpty()
    clean = {k: v for k, v in os.environ.items() if not k.startswith("TRIORA_")}
    # The first process of a session that opens a terminal is told when that closes.
    script = (
        "import os, sys; os.setsid(); name = os.ttyname(0);"
        "[os.dup2(os.open(name, os.O_RDWR), n) for n in (0, 1, 2)];"
        "os.execv(sys.executable, [sys.executable, *sys.argv[1:]])"
    )
    with subprocess.Popen(
        [sys.executable, "-c", script, "-m", "deploy.sandbox.demo", "--data-dir", str(data_dir)],
        env=clean | {"TMPDIR": str(tmp_path), "PYTHONPATH": str(ROOT)},
        cwd=data_dir.parent,
        stdin=theirs,
        text=True,
    ) as process:
        os.close(theirs)
        until(lambda: (data_dir / "run" / "receiver.pid").exists(), "the receiver")
        children = family(process)
        os.close(ours)
        assert process.wait(PATIENCE) == 129
    assert [one for one in children if one.is_running()] == []
    assert list(tmp_path.rglob("app.pem")) == []


def test_a_file_that_is_no_report_is_refused_before_anything_starts(
    demo: Demo, data_dir: Path, tmp_path: Path
) -> None:
    path = tmp_path / "reports.jsonl"
    path.write_text('{"title": 3}\n')
    process = demo("--reports", str(path))
    said, _ = process.communicate()
    assert process.returncode == 2
    assert "line 1: title" in said
    assert not (data_dir / "run").exists()
