"""Refused work waits, however long, asks rarely, and goes on when somebody mended it."""

from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import update

from app.db.tables import Application, Installation, Repository, State
from tests.worker.labelling.conftest import make_store
from tests.worker.labelling.journal import HIGH, UI, posts, writes

TOKEN = "POST /app/installations/*/access_tokens"
FULL = {"issues": "write", "metadata": "read"}


def wait_of(row):
    return row.due_at - datetime.now(UTC)


@pytest.fixture
def store(database, github, repository):
    return make_store(database, github, repository)


@pytest.fixture
def refuse(github):
    """The owner takes the permission to write away (or gives it back)."""

    def refuse(*, back=False):
        permissions = FULL if back else FULL | {"issues": "read"}
        github.change_installation(github.installation_id, permissions=permissions)

    return refuse


@pytest.fixture
def numbers(github, repository, wants, labels):
    """Three issues that wait for their labels."""
    opened = [github.open_issue(repository=repository)["number"] for _ in range(3)]
    for number in opened:
        wants(number)
    return opened


def age(store, table, hours):
    """Let a refusal be that old, and its waiting time over."""
    long_ago = datetime.now(UTC) - timedelta(hours=hours)
    with store.database.transaction() as session:
        session.execute(
            update(table).where(table.refused_since.is_not(None)).values(refused_since=long_ago)
        )
        session.execute(update(Installation).values(blocked_until=None))
    store.make_due(Application)


def test_a_missing_permission_is_asked_for_ever_more_rarely_and_nothing_dies(
    labelling, github, store, numbers, refuse, settings
):
    refuse()
    waits = []
    for hours in (0, 1, 4, 40):
        age(store, Repository, hours)
        before = len(writes(github))
        labelling.run_batch()
        # One row asked for all of them.
        assert len(writes(github)) == before + 1
        assert labelling.run_batch() == 0
        rows = store.rows(Application)
        assert {(row.state, row.attempts) for row in rows} == {(State.PENDING, 0)}
        assert len({row.due_at for row in rows}) == 1
        waits.append(round(wait_of(rows[0]) / timedelta(hours=1), 1))
    assert waits == [0.0, 1.0, 4.0, 6.0]
    assert len(waits) > settings.max_attempts


def test_the_first_success_hastens_the_others(labelling, github, store, numbers, refuse):
    refuse()
    labelling.run_batch()
    age(store, Repository, 40)
    labelling.run_batch()
    refuse(back=True)
    # A new issue's labels go through: those before it wait no longer.
    store.change(Application, store.rows(Application)[-1].id, due_at=datetime.now(UTC))
    assert labelling.run_batch() == 1
    assert labelling.run_batch() == 2
    assert {row.state for row in store.rows(Application)} == {State.DONE}
    assert store.one(Repository).refused_since is None


def test_a_key_that_is_not_accepted_stops_the_installation_until_it_is(
    labelling, github, repository, store, numbers
):
    github.fault(TOKEN, "status", status=404, times=1)
    labelling.run_batch()
    installation = store.one(Installation)
    assert timedelta(0) < installation.blocked_until - datetime.now(UTC) <= timedelta(minutes=1)
    assert {(r.state, r.attempts) for r in store.rows(Application)} == {(State.PENDING, 0)}
    assert labelling.run_batch() == 0
    age(store, Installation, 40)
    github.fault(TOKEN, "status", status=401, times=2)
    labelling.run_batch()
    blocked = store.one(Installation).blocked_until - datetime.now(UTC)
    assert timedelta(minutes=14) < blocked <= timedelta(minutes=15)
    age(store, Installation, 40)
    assert labelling.run_batch() == 3
    assert store.one(Installation).refused_since is None
    assert all(set(github.labels(n, repository)) == {HIGH, UI} for n in numbers)


def test_a_refused_repository_does_not_hold_up_the_others_of_its_installation(
    labelling, github, repository, store, numbers
):
    other = "lantern-works/other"
    github.control("POST", "/repositories", json={"full_name": other, "roles": {}})
    theirs = github.open_issue(repository=other)["number"]
    twin = make_store(store.database, github, other)
    twin.to_write(theirs, {"severity": [HIGH]}, repository_id=twin.repository_id)
    # As an archived repository answers.
    github.fault(f"POST /repos/{repository}/issues/*/labels", "status", status=403)
    labelling.run_batch()
    labelling.run_batch()
    assert github.labels(theirs, other) == [HIGH]
    assert len(posts(github)) == 1
    assert [row.state for row in store.rows(Application)] == [State.PENDING] * 3 + [State.DONE]
    refused = store.one(Repository, Repository.refused_since.is_not(None))
    assert refused.full_name == repository
