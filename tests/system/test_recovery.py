"""Whatever is killed or missing, every issue gets its labels, and gets them once."""

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from sqlalchemy import select

from app import broker
from app.core.settings import Settings
from app.db.learning import RepositoryConfig
from app.db.tables import Application, IssueSnapshot
from deploy.sandbox.sandbox import Sandbox
from tests.system.conftest import PATIENCE, stand_in
from tests.system.line import (
    LABELS,
    TRIAGE,
    Line,
    kill,
    label_posts,
    line,
    save_small_model,
    worker_environment,
)
from tests.waiting import until

ISSUES = 24
BODY = "The game crashes every time I open the menu of my saved games. " * 60


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_small_model(tmp_path_factory.mktemp("small-llama"))


@contextmanager
def triora(
    directory: Path, database_url: str, model: Path
) -> Iterator[tuple[Sandbox, Line, Settings]]:
    """A stand-in GitHub, a Triora of which nothing runs yet, and the settings of its broker."""
    with stand_in(directory) as (github, environment):
        settings = Settings(_env_file=None, data_dir=environment["TRIORA_DATA_DIR"])
        environment["TRIORA_BROKER_URL"] = settings.celery_broker_url
        with line(worker_environment(environment, database_url, model), directory) as made:
            yield github, made, settings


def open_issues(github: Sandbox, count: int) -> list[int]:
    numbers = [github.open_issue(f"Crash {n}", BODY)["number"] for n in range(count)]
    github.settle(PATIENCE)
    return numbers


def let_the_configuration_be_read(made: Line) -> None:
    """The first issues of a repository wait for it, and the label writer is who reads it."""
    reader = made.start(LABELS)

    def is_read() -> bool:
        made.alive(reader)
        with made.database.reading() as session:
            return session.scalar(select(RepositoryConfig.read_at)) is not None

    until(is_read, "a reading of the configuration", PATIENCE)
    kill(reader)


def catch_in_a_batch(made: Line, worker, how) -> int:
    """Do `how` to the worker while it holds a batch; how many rows it held."""
    made.wait_for(IssueSnapshot, "leased")
    made.alive(worker)
    how(worker)
    return made.states(IssueSnapshot)["leased"]


def test_killed_in_the_middle_of_a_batch_and_of_a_write_nothing_is_lost_or_done_twice(
    tmp_path: Path, sqlite_url: str, model: Path
) -> None:
    with triora(tmp_path, sqlite_url, model) as (github, made, settings), broker.embedded(settings):
        made.start_receiver()
        numbers = open_issues(github, ISSUES)
        made.wait_for(IssueSnapshot, "pending", ISSUES)
        let_the_configuration_be_read(made)

        assert catch_in_a_batch(made, made.start(TRIAGE), kill) == ISSUES
        assert made.states(Application) == {}

        github.fault("POST /repos/*/*/issues/*/labels", "delay", seconds=2.0, times=None)
        writer = made.start(LABELS)
        made.start(TRIAGE)
        until(lambda: _hits(github), "a write that is under way", PATIENCE)
        kill(writer)
        github.clear_faults()
        made.start(LABELS)

        made.wait_for(Application, "done", ISSUES)
        assert made.states(IssueSnapshot) == {"done": ISSUES}
        assert {len(github.labels(number)) for number in numbers} == {3}
        posts = label_posts(github)
        assert len(posts) == ISSUES
        assert set(posts.values()) == {1}


def _hits(github: Sandbox) -> int:
    return sum(fault["hits"] for fault in github.control("GET", "/faults"))


@pytest.mark.parametrize("backend", ["postgresql"], indirect=True)
def test_a_broker_that_comes_late_and_a_worker_that_is_stopped_delay_issues_and_lose_none(
    tmp_path: Path, database_url: str, model: Path
) -> None:
    with triora(tmp_path, database_url, model) as (github, made, settings):
        made.start_receiver()
        open_issues(github, ISSUES)
        assert {d["status_code"] for d in github.deliveries()} == {202}
        made.wait_for(IssueSnapshot, "pending", ISSUES)

        triage, _ = made.start(TRIAGE), made.start(LABELS)
        with broker.embedded(settings):
            held = catch_in_a_batch(made, triage, lambda worker: worker.send_signal(signal.SIGTERM))
            assert held == ISSUES
            assert triage.wait(PATIENCE) == 0
            assert made.states(IssueSnapshot) == {"done": ISSUES}

            made.wait_for(Application, "done", ISSUES)
            assert set(label_posts(github).values()) == {1}
