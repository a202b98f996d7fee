"""We stop writing before GitHub has to ask us to, and go on by ourselves."""

from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import update

from app.core.settings import Settings
from app.db.clock import from_now
from app.db.tables import Application, Installation, State, Write
from tests.worker.labelling.conftest import make_store
from worker import pacing
from worker.process import Process

HIGH = {"severity": ["severity: high"]}


@pytest.fixture
def process(sqlite_url, github, tmp_path):
    """Makes a label writer's process on one database, with so much to write an hour."""
    made = []

    def make(**settings):
        given = {"writes_per_hour": 3, "write_spacing_seconds": 0} | settings
        made.append(
            Process(
                Settings(
                    _env_file=None,
                    data_dir=tmp_path,
                    database_url=sqlite_url,
                    app_id=github.app_id,
                    private_key=github.private_key,
                    github_api_url=github.api_url,
                    **given,
                )
            )
        )
        return made[-1]

    yield make
    for process in made:
        process.database.close()


@pytest.fixture
def issues(github, repository):
    body = {"name": "severity: high", "color": "ffffff"}
    github.rest("POST", f"/repos/{repository}/labels", json=body)
    return [github.open_issue(repository=repository)["number"] for _ in range(5)]


def labelled(github, repository, issues):
    return [bool(github.labels(number, repository)) for number in issues]


def test_no_process_writes_more_than_the_hour_bears_and_nothing_is_lost(
    process, github, repository, issues
):
    first, second = process(), process()
    store = make_store(first.database, github, repository)
    for number in issues:
        store.to_write(number, HIGH, repository_id=store.repository_id)
    first.labelling().run_batch()
    second.labelling().run_batch()
    assert labelled(github, repository, issues) == [True, True, True, False, False]
    waiting = store.rows(Application, Application.state == State.PENDING)
    assert [(row.attempts, "as GitHub bears" in (row.error or "")) for row in waiting] == [
        (0, True),
        (0, False),
    ]
    until = store.one(Installation).blocked_until - datetime.now(UTC)
    assert timedelta(minutes=58) < until <= timedelta(hours=1)
    an_hour_on(first, store)
    second.labelling().run_batch()
    assert labelled(github, repository, issues) == [True] * 5


def an_hour_on(process, store):
    with process.database.transaction() as session:
        session.execute(update(Write).values(at=from_now(-3601.0)))
        session.execute(update(Installation).values(blocked_until=None))
    store.make_due(Application)


def test_writes_of_two_processes_are_a_second_apart(
    process, github, repository, issues, monkeypatch
):
    slept = []
    monkeypatch.setattr(pacing.time, "sleep", slept.append)
    first, second = (process(writes_per_hour=None, write_spacing_seconds=1) for _ in range(2))
    make_store(first.database, github, repository)
    for process_, number in ((first, issues[0]), (second, issues[1])):
        with process_.connect().installation(github.installation_id) as client:
            client.add_labels(repository, number, ["severity: high"])
    # Less the time that the first call took.
    assert slept[0] == 0
    assert 0 < slept[1] <= 1


def test_a_budget_that_is_spent_between_two_writes_repeats_none_of_them(
    process, github, repository, issues, monkeypatch
):
    one = process(writes_per_hour=1)
    store = make_store(one.database, github, repository)
    store.to_write(
        issues[0], HIGH | {"component": ["component: ui"]}, repository_id=store.repository_id
    )
    for _ in range(4):
        one.labelling().run_batch()
        an_hour_on(one, store)
    assert store.one(Application).state == State.DONE
    made = [r for r in github.requests() if r["method"] == "POST" and "/issues/" in r["path"]]
    assert [r["path"].rsplit("/", 1)[-1] for r in made if r["path"].endswith("/labels")] == [
        "labels"
    ]


@pytest.mark.parametrize(
    ("given", "budget"),
    [
        ({}, 500),
        ({"writes_per_hour": 80}, 80),
        ({"write_spacing_seconds": 0}, None),
        ({"write_spacing_seconds": 0, "writes_per_hour": 7}, 7),
    ],
)
def test_without_a_word_it_is_what_github_bears_and_a_stand_in_bears_everything(given, budget):
    assert Settings(_env_file=None, **given).write_budget == budget
