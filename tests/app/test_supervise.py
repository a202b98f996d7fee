from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil

from tests.waiting import until

CONFIG = """
[supervisord]
nodaemon = true
silent = true
logfile = {directory}/supervisord.log
pidfile = {directory}/supervisord.pid
childlogdir = {directory}

[program:some]
command = {program}
autorestart = unexpected
exitcodes = 2
startsecs = {startsecs}
startretries = 1
redirect_stderr = true
stdout_logfile = NONE
stdout_events_enabled = true
"""
# One write, whatever PYTHONUNBUFFERED says.
STEADY = "import os, time; os.write(1, b'first\\nno end'); time.sleep(600)"
FAILING = "raise SystemExit('weights are missing')"


@contextmanager
def supervised(directory: Path, code: str, startsecs: int) -> Iterator[subprocess.Popen[str]]:
    script = directory / "some.py"
    script.write_text(code)
    config = directory / "some.conf"
    program = f"{sys.executable} {script}"
    config.write_text(CONFIG.format(directory=directory, program=program, startsecs=startsecs))
    with subprocess.Popen(
        [sys.executable, "-m", "app.supervise", str(config)], stdout=subprocess.PIPE, text=True
    ) as process:
        try:
            yield process
        finally:
            for child in psutil.Process(process.pid).children() if process.poll() is None else []:
                child.kill()
            process.kill()


def lines(process: subprocess.Popen[str]) -> Iterator[str]:
    assert process.stdout is not None
    return (line.rstrip("\n") for line in process.stdout)


def wait_for(process: subprocess.Popen[str], wanted: str) -> None:
    """Read on until a line is `wanted`; what came instead is shown when the test fails."""
    for line in lines(process):
        print(line)  # noqa: T201
        if line == wanted:
            return
    raise AssertionError(f"ended without saying {wanted!r}")


def children(process: subprocess.Popen[str]) -> list[psutil.Process]:
    return psutil.Process(process.pid).children()


def test_lines_carry_the_name_of_their_process(tmp_path: Path) -> None:
    with supervised(tmp_path, STEADY, startsecs=0) as process:
        wait_for(process, "some     | first")


def test_a_killed_process_is_started_again_and_a_signal_ends_everything(tmp_path: Path) -> None:
    with supervised(tmp_path, STEADY, startsecs=0) as process:
        wait_for(process, "some     | first")
        (child,) = children(process)
        child.kill()
        wait_for(process, "up       | some ended unexpectedly and is started again")
        # A line without an end is finished by the end of its process, not by the next one's words.
        wait_for(process, "some     | no end")
        wait_for(process, "some     | first")
        (child,) = until(lambda: children(process), "the new process")
        process.send_signal(signal.SIGTERM)
        wait_for(process, "up       | everything has ended")
        assert process.wait() == 0
        assert not psutil.pid_exists(child.pid)


def test_what_cannot_be_kept_running_ends_everything_and_says_why(tmp_path: Path) -> None:
    with supervised(tmp_path, FAILING, startsecs=30) as process:
        said = list(lines(process))
        assert process.wait() == 1
    assert said.count("some     | weights are missing") == 2
    assert any("some cannot be kept running" in line for line in said)


def test_a_wrong_setting_ends_everything_without_another_try(tmp_path: Path) -> None:
    code = "import sys, time; print('wrong setting', flush=True); time.sleep(1.2); sys.exit(2)"
    with supervised(tmp_path, code, startsecs=1) as process:
        said = list(lines(process))
        assert process.wait() == 1
    assert said.count("some     | wrong setting") == 1
    assert any("some cannot be kept running" in line for line in said)


def test_a_reader_that_goes_away_ends_nothing(tmp_path: Path) -> None:
    chatty = "import time\nwhile True: print('x', flush=True); time.sleep(0.01)"
    with supervised(tmp_path, chatty, startsecs=0) as process:
        wait_for(process, "some     | x")
        assert process.stdout is not None
        process.stdout.close()
        (child,) = children(process)
        before = child.num_ctx_switches().voluntary
        until(lambda: child.num_ctx_switches().voluntary > before + 50, "the process to go on")
        assert process.poll() is None
