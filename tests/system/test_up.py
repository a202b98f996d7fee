from __future__ import annotations

import os
import signal
import subprocess
from pathlib import Path

import psutil

from deploy.sandbox.sandbox import Sandbox
from tests.system.conftest import PATIENCE, TRIORA, Up, processes_of, stand_in
from tests.waiting import until

PARTS = ("broker", "triage", "labels", "training", "receiver")


def labelled(github: Sandbox, number: int) -> list[str]:
    return until(lambda: github.labels(number), f"labels of issue {number}", PATIENCE)


def test_an_issue_gets_its_labels(standing: tuple[Sandbox, Up]) -> None:
    github, _ = standing
    opened = github.open_issue("Crash on start", "It crashes every time I start the game.")
    dimensions = sorted(name.split(": ")[0] for name in labelled(github, opened["number"]))
    assert dimensions == ["component", "reproducibility", "severity"]


def test_only_the_triage_worker_holds_the_model(standing: tuple[Sandbox, Up]) -> None:
    _, up = standing
    with_torch = {
        part
        for part in PARTS
        if any("libtorch" in m.path for m in psutil.Process(up.pid(part)).memory_maps())
    }
    assert with_torch == {"triage"}


def test_a_second_up_on_the_same_directory_refuses_and_harms_nobody(
    standing: tuple[Sandbox, Up],
) -> None:
    _, up = standing
    before = {part: up.pid(part) for part in PARTS}
    second = subprocess.run(
        [TRIORA, "up"], env=up.environment, capture_output=True, text=True, check=False
    )
    assert second.returncode == 2
    (line,) = second.stderr.strip().splitlines()
    assert "already runs" in line
    assert str(up.process.pid) in line
    assert {part: up.pid(part) for part in PARTS} == before
    assert up.healthy()


def test_whatever_is_killed_comes_back_and_works_on(standing: tuple[Sandbox, Up]) -> None:
    github, up = standing
    before = {part: up.pid(part) for part in PARTS}
    for pid in before.values():
        assert pid is not None
        os.kill(pid, signal.SIGKILL)
    for part, pid in before.items():
        until(lambda part=part, pid=pid: up.pid(part) not in (None, pid), f"a new {part}", PATIENCE)
    until(up.healthy, "the receiver", PATIENCE)
    opened = github.open_issue("Sound stutters", "Sometimes the sound stutters in the menu.")
    assert len(labelled(github, opened["number"])) == 3


def test_strays_of_a_killed_supervisor_are_ended_and_a_signal_leaves_nobody(
    tmp_path: Path,
) -> None:
    with stand_in(tmp_path) as (_, environment):
        data_dir = environment["TRIORA_DATA_DIR"]
        first = Up(environment, tmp_path)
        until(lambda: all(first.pid(part) for part in PARTS) and first.healthy(), "all parts")
        strays = {part: first.pid(part) for part in PARTS}
        first.process.kill()
        first.process.wait()
        assert {p.pid for p in processes_of(data_dir)} >= set(strays.values())

        second = Up(environment, tmp_path)
        until(lambda: all(second.pid(p) not in (None, strays[p]) for p in PARTS), "new parts")
        until(second.healthy, "the receiver")
        for part, pid in strays.items():
            assert second.said(f"ended {part} (process {pid})")
            assert not psutil.pid_exists(pid) or psutil.Process(pid).status() == "zombie"

        assert second.end() == 0
        assert processes_of(data_dir) == []
        assert second.lines[-1] == "up       | everything has ended"
