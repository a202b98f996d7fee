"""What fell through is found again: due rows, and deliveries that never arrived."""

from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest

from app.core.errors import GitHubUnavailable
from app.db.clock import from_now
from app.db.insertion import insert_new
from app.db.learning import Command, RepositoryConfig, Retraining, Review, Run, RunKind
from app.db.rows import TABLES
from app.db.tables import Application, Delivery, IssueSnapshot, Outcome, State
from app.github.models import HookDelivery
from app.queue import Task
from tests.waiting import until
from worker.reconcile import KEPT, LONGEST_SPACING, Redelivery, bells_to_ring, due

SOON = timedelta(0)


def test_no_bell_is_rung_without_work(store):
    assert bells_to_ring(store.database) == []


def test_bells_are_rung_for_what_is_due(store):
    store.issue(1)
    assert bells_to_ring(store.database) == [Task.TRIAGE]
    store.to_write(2, {"severity": ["severity: high"]})
    assert bells_to_ring(store.database) == [Task.TRIAGE, Task.LABEL]


def test_work_that_somebody_holds_or_that_waits_rings_no_bell(store, settings):
    later = store.issue(1)
    store.change(IssueSnapshot, later, due_at=from_now(60))
    assert bells_to_ring(store.database) == []
    store.make_due(IssueSnapshot)
    assert bells_to_ring(store.database) == [Task.TRIAGE]


def test_no_kind_of_work_is_left_without_its_bell(store):
    common = {"repository_id": 1, "created_at": from_now(), "due_at": from_now()}
    asked = {"asked_by": "tester", "state": State.PENDING, "attempts": 0}
    who = {"actor_id": 7, "actor": "tom", "lines": [], "words": {}, "happened_at": from_now()}
    store.issue(1)
    store.to_write(2, {"severity": ["severity: high"]})
    with store.database.transaction() as session:
        session.add(Review(issue_number=1, **common))
        session.add(Command(comment_id=1, issue_number=1, **who, **common))
        session.add(Run(id="r", kind=RunKind.BACKFILL, **asked, **common))
        session.add(Retraining(**asked, **common))
    store.make_due(RepositoryConfig)
    bells = {
        IssueSnapshot: Task.TRIAGE,
        Application: Task.LABEL,
        Review: Task.REVIEW,
        Command: Task.COMMAND,
        Run: Task.RUN,
        RepositoryConfig: Task.CONFIG,
        Retraining: Task.RETRAIN,
    }
    # A new table of work needs a bell, and a line here.
    assert set(bells) == set(TABLES.values())
    assert set(bells_to_ring(store.database)) == set(bells.values())


def test_a_lease_that_ran_out_rings_the_bell(store):
    held = store.to_write(1, {"severity": ["severity: high"]})
    store.change(Application, held, lease_token="0" * 32, due_at=from_now(-1), attempts=1)
    assert bells_to_ring(store.database) == [Task.LABEL]


# Redelivery: a hook whose port nobody listens on, so that deliveries really fail.


@pytest.fixture
def failing(github, repository):
    """A webhook that cannot be delivered; `fail(n)` lets n deliveries fail."""
    github.hook(url="http://127.0.0.1:1/webhooks/github")

    def fail(count):
        for _ in range(count):
            github.open_issue(repository=repository)
        github.settle()
        return [d["guid"] for d in github.deliveries() if d["event"] == "issues"]

    return fail


@pytest.fixture
def redelivery(store, app_client):
    return Redelivery(store.database, app_client, spacing=SOON)


def attempts(github, guid):
    return [d for d in github.deliveries() if d["guid"] == guid]


def know(store, guid):
    with store.database.transaction() as session:
        insert_new(
            session,
            Delivery,
            guid=guid,
            event="issues",
            outcome=Outcome.TRIAGE,
            reason="",
            received_at=from_now(),
        )


def test_a_delivery_that_failed_is_asked_for_again(redelivery, failing, github):
    (guid, *_) = failing(1)
    assert redelivery.run() >= 1
    again = until(lambda: attempts(github, guid)[1:], "the redelivery")
    assert again[0]["redelivery"]


def test_deliveries_on_every_page_are_asked_for(redelivery, failing, github, monkeypatch):
    monkeypatch.setattr("app.github.connection.PER_PAGE", 2)
    guids = failing(5)
    redelivery.run()
    github.settle()
    assert [len(attempts(github, guid)) for guid in guids] == [2] * 5
    asked = github.requests("GET", "/app/hook/deliveries")
    assert len(asked) > 2


def test_a_delivery_the_database_knows_is_not_asked_for(redelivery, failing, github, store):
    for guid in failing(2):
        know(store, guid)
    redelivery.run()
    github.settle()
    assert {
        len(attempts(github, d["guid"])) for d in github.deliveries() if d["event"] == "issues"
    } == {1}


def test_a_delivery_that_arrived_is_not_asked_for(redelivery, github, repository):
    assert github.deliveries() == []
    assert redelivery.run() == 0


def test_a_delivery_that_fails_each_time_is_asked_for_each_time(redelivery, failing, github):
    (guid, *_) = failing(1)
    for _ in range(8):
        redelivery.run()
        github.settle()
    assert len(attempts(github, guid)) == 9


NOON = datetime(2026, 11, 1, 12, tzinfo=UTC)


def attempt(at, *, guid="g-1", redelivery=True):
    return HookDelivery(
        id=int(at.timestamp()), guid=guid, delivered_at=at, redelivery=redelivery, event="issues"
    )


def asked_until(end, spacing):
    """When a delivery of noon that always fails is asked for, as sweeps every 5 minutes see it."""
    kept = [attempt(NOON, redelivery=False)]
    now = NOON
    while (now := now + timedelta(minutes=5)) < end:
        seen = [tried for tried in kept if tried.delivered_at >= now - KEPT]
        if due(seen, now, spacing, complete=True):
            kept.append(attempt(now))
    return [tried.delivered_at for tried in kept[1:]]


def test_a_delivery_is_asked_for_at_least_each_hour_for_three_days_and_no_longer():
    asked = asked_until(NOON + timedelta(days=5), spacing=timedelta(minutes=5))
    waits = [later - earlier for earlier, later in pairwise(asked)]
    assert waits[:2] == [timedelta(minutes=10), timedelta(minutes=20)]
    assert waits == sorted(waits)
    assert waits[-1] == LONGEST_SPACING
    assert timedelta(days=3) - LONGEST_SPACING <= asked[-1] - NOON <= timedelta(days=3)


def test_a_spacing_over_an_hour_is_kept():
    asked = asked_until(NOON + timedelta(days=1), spacing=timedelta(hours=2))
    assert {later - earlier for earlier, later in pairwise(asked)} == {timedelta(hours=2)}


def test_a_delivery_whose_first_attempt_is_out_of_sight_is_asked_for_each_hour():
    late = [attempt(NOON)]
    soon, later = NOON + timedelta(minutes=30), NOON + LONGEST_SPACING
    assert due(late, soon, SOON, complete=False) == []
    assert due(late, later, SOON, complete=False) == late


def test_a_second_attempt_waits_for_its_time(store, app_client, failing, github):
    patient = Redelivery(store.database, app_client, spacing=timedelta(hours=1))
    (guid, *_) = failing(1)
    for _ in range(3):
        patient.run()
        github.settle()
    assert len(attempts(github, guid)) == 2


def test_a_delivery_too_old_for_github_is_not_asked_for(redelivery, failing, github):
    github.skew(-4 * 86400)
    (guid, *_) = failing(1)
    github.skew(0)
    assert redelivery.run() == 0
    assert len(attempts(github, guid)) == 1


def test_a_github_that_does_not_answer_is_told_and_asked_later(redelivery, failing, github):
    failing(1)
    github.fault("GET /app/hook/deliveries", "status", status=503)
    with pytest.raises(GitHubUnavailable):
        redelivery.run()
    assert redelivery.run() >= 1
