"""`triora worker` as a person starts it: clear words when something is missing, a clean end."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.waiting import until

TRIORA = str(Path(sys.executable).with_name("triora"))


@pytest.fixture
def environment(sqlite_url, valkey_url, github, tmp_path):
    return {
        **{k: v for k, v in os.environ.items() if not k.startswith("TRIORA_")},
        "TRIORA_DATABASE_URL": sqlite_url,
        "TRIORA_BROKER_URL": valkey_url,
        "TRIORA_DATA_DIR": str(tmp_path),
        "TRIORA_APP_ID": str(github.app_id),
        "TRIORA_PRIVATE_KEY": github.private_key,
        "TRIORA_GITHUB_API_URL": github.api_url,
    }


class Worker:
    """A running `triora worker`; what it says goes to a file."""

    def __init__(self, environment, *arguments):
        self._output = Path(environment["TRIORA_DATA_DIR"]) / "worker.log"
        with self._output.open("wb") as output:
            self.process = subprocess.Popen(
                [TRIORA, "worker", *arguments],
                env=environment,
                cwd=self._output.parent,
                stdout=output,
                stderr=subprocess.STDOUT,
            )

    @property
    def said(self):
        return self._output.read_text()

    def says(self, *texts):
        assert self.process.poll() is None, self.said
        return all(text in self.said for text in texts)


@pytest.fixture
def start(environment):
    """`start(*arguments, **environment)` -> a Worker that ends with the test."""
    started = []

    def start_one(*arguments, **changes):
        started.append(Worker(environment | changes, *arguments))
        return started[-1]

    yield start_one
    for worker in started:
        if worker.process.poll() is None:
            worker.process.kill()
        worker.process.wait()


@pytest.mark.parametrize(
    ("arguments", "missing", "said"),
    [
        (("--queue", "label"), {"TRIORA_APP_ID": ""}, "TRIORA_APP_ID"),
        (("--queue", "upkeep"), {"TRIORA_PRIVATE_KEY": "/no/such/file"}, "TRIORA_PRIVATE_KEY"),
        (("--queue", "label"), {"TRIORA_DATABASE_URL": "sqlite:////no/x.db"}, "triora migrate"),
    ],
)
def test_a_worker_that_cannot_work_says_why_in_one_line(start, arguments, missing, said):
    worker = start(*arguments, **missing)
    assert worker.process.wait(120) == 2
    assert said in worker.said.strip().splitlines()[-1]
    assert "Traceback" not in worker.said


@pytest.mark.parametrize(
    ("arguments", "ready"),
    [
        (("--queue", "label", "--beat"), ("@", "ready.", "scheduler.ready")),
        (("--beat",), ("scheduler.ready",)),
    ],
    ids=["label writer with scheduler", "scheduler alone"],
)
def test_a_worker_that_is_asked_to_end_ends_well(start, arguments, ready):
    worker = start(*arguments)
    until(lambda: worker.says(*ready), "a worker that is ready", 120)
    worker.process.send_signal(signal.SIGTERM)
    assert worker.process.wait(120) == 0


def test_a_scheduler_without_a_broker_says_so_in_one_line_and_goes_on(start):
    nobody = {"TRIORA_BROKER_URL": "redis://127.0.0.1:1/0", "TRIORA_SWEEP_SECONDS": "0.2"}
    worker = start("--beat", **nobody)
    until(lambda: worker.says("127.0.0.1:1"), "a word on the broker", 120)
    assert "Traceback" not in worker.said
    worker.process.send_signal(signal.SIGTERM)
    worker.process.wait(120)


def test_the_scheduler_can_be_added_and_not_taken_away():
    done = subprocess.run(
        [TRIORA, "worker", "--help"],
        env=os.environ | {"COLUMNS": "100"},
        capture_output=True,
        text=True,
        check=True,
    )
    assert "--beat" in done.stdout
    assert "--no-beat" not in done.stdout


@pytest.mark.parametrize(
    "arguments", [("--queue", "train", "--queue", "label"), ("--queue", "train", "--beat")]
)
def test_a_retraining_shares_its_process_with_nobody(start, arguments):
    worker = start(*arguments)
    assert worker.process.wait(120) == 2
    assert "--queue train is a process of its own" in worker.said
