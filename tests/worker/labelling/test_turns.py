"""One writer an installation, never on a lease that is not safely ours; on both databases."""

import threading
from datetime import UTC, datetime, timedelta

import pytest

from app.core.taxonomy import DEFAULT_TAXONOMY
from app.db import work
from app.db.session import Database
from app.db.tables import (
    Application,
    Installation,
    State,
)
from tests.worker.conftest import T0
from tests.worker.labelling.conftest import make_store
from tests.worker.labelling.journal import HIGH, UI, WANTED, posts, writes
from worker.labelling import Labelling
from worker.turns import TURN


@pytest.fixture
def store(database, github, repository):
    return make_store(database, github, repository)


def test_the_whole_way_on_each_database(labelling, github, repository, issue, wants, store):
    wants(issue)
    assert labelling.run_batch() == 1
    assert set(github.labels(issue, repository)) == {HIGH, UI}
    row = store.one(Application)
    assert (row.state, row.written, row.kept) == (State.DONE, [HIGH, UI], {})


def test_a_lease_that_is_nearly_over_is_not_acted_on(
    labelling, github, repository, labels, issue, wants, store, settings
):
    application = wants(issue)

    def age(exchange):
        if exchange.path.endswith("/events"):
            # 71 % of the lease are used, as if reading had taken that long.
            left = timedelta(seconds=settings.lease_seconds * 0.29)
            until = datetime.now(UTC) + left
            store.change(Application, application, lease_until=until)

    github.standin.rest.observers.append(age)
    labelling.run_batch()
    github.standin.rest.observers.remove(age)
    assert writes(github) == []
    row = store.one(Application)
    assert (row.state, row.attempts, row.lease_token) == (State.PENDING, 1, None)
    store.make_due(Application)
    labelling.run_batch()
    assert set(github.labels(issue, repository)) == {HIGH, UI}


def test_a_row_that_another_writer_holds_is_not_written(
    labelling, github, repository, labels, issue, wants, store
):
    application = wants(issue)

    def take_over(exchange):
        if exchange.path.endswith("/events"):
            store.change(Application, application, lease_token="0" * 32)

    github.standin.rest.observers.append(take_over)
    labelling.run_batch()
    github.standin.rest.observers.remove(take_over)
    assert writes(github) == []
    assert store.one(Application).lease_token == "0" * 32


def test_one_writer_an_installation(labelling, github, repository, wants, store):
    for number in range(1, TURN + 3):
        wants(number)
    with store.database.transaction() as session:
        (held,) = work.claim(session, Application, 1, 300)
    assert labelling.run_batch() == 0
    with store.database.transaction() as session:
        work.release(session, held)
    assert labelling.run_batch() == TURN


def test_two_writers_who_start_together_do_not_share_an_installation(
    labelling, github, repository, labels, wants, store, app_client, settings
):
    numbers = [github.open_issue(repository=repository)["number"] for _ in range(6)]
    for number in numbers:
        wants(number)
    barrier = threading.Barrier(2)
    other = Database(store.database.url.render_as_string(hide_password=False))

    def write(database):
        barrier.wait(30)
        return Labelling(database, app_client, DEFAULT_TAXONOMY, settings).run_batch()

    claimed = []
    threads = [
        threading.Thread(target=lambda d=d: claimed.append(write(d)))
        for d in (store.database, other)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    other.close()
    assert sorted(claimed) == [0, 6]
    assert len(posts(github)) == 6


def test_installations_take_turns(labelling, github, store, wants):
    other = {"account": "rita", "repositories": []}
    second = github.control("POST", "/installations", json=other)["id"]
    store.repository(77, second, "rita/toy")
    for number in range(1, TURN + 2):
        wants(number)
    store.to_write(1, WANTED, repository_id=77)
    assert labelling.run_batch() == TURN
    assert [row.state for row in store.rows(Application)].count(State.PENDING) == 2
    assert labelling.run_batch() == 1
    assert labelling.run_batch() == 1


def test_an_installation_somebody_writes_for_does_not_hold_up_the_others(
    labelling, github, store, wants
):
    store.repository(77, 4711, "rita/toy")
    for number in (1, 2):
        wants(number)
    with store.database.transaction() as session:
        work.claim(session, Application, 1, 300)
    store.to_write(1, WANTED, repository_id=77)
    assert labelling.run_batch() == 1
    (tried,) = [row for row in store.rows(Application) if row.error]
    assert "no access to the installation" in tried.error


def test_an_uninstalled_app_writes_nothing(labelling, github, repository, issue, wants, store):
    wants(issue)
    store.change(Installation, github.installation_id, deleted_at=T0)
    labelling.run_batch()
    assert writes(github) == []
    assert store.one(Application).state == State.SUPERSEDED
