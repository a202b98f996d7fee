"""A version that people override more often than the one before goes; nothing comes back twice."""

from datetime import UTC, datetime, timedelta

import pytest
from structlog.testing import capture_logs

from app.core.corrections import Change
from app.db import models
from app.db.clock import from_now
from app.db.learning import Correction, ModelVersion, Version
from app.db.tables import Application, IssueSnapshot, State
from worker.watch import Watch

LONG_AGO = datetime.now(UTC) - timedelta(days=2)


@pytest.fixture
def watch(store, settings):
    return Watch(store.database, settings)


@pytest.fixture
def labelled(store):
    """Issues that a version labelled, and people's changes of some of those labels."""
    numbers = iter(range(1, 10_000))

    def write(version, issues, changed, *, at=None, repository_id=1, quarantine=None, run_id=None):
        with store.database.transaction() as session:
            for count in range(issues):
                number = next(numbers)
                snapshot = IssueSnapshot(
                    repository_id=repository_id,
                    issue_number=number,
                    author="ann",
                    title="x",
                    body="",
                    content_hash=f"{number:064}",
                    observed_at=LONG_AGO,
                    created_at=LONG_AGO,
                    due_at=LONG_AGO,
                    state=State.DONE,
                    run_id=run_id,
                )
                session.add(snapshot)
                session.flush()
                when = at if at is not None else from_now()
                session.add(
                    Application(
                        snapshot_id=snapshot.id,
                        model_version=version,
                        run_id="0" * 32,
                        wanted={},
                        written=["severity: high", "component: ui"],
                        created_at=when,
                        due_at=when,
                        applied_at=when,
                        state=State.DONE,
                    )
                )
                if count < changed:
                    session.add(
                        Correction(
                            repository_id=repository_id,
                            issue_number=number,
                            dimension="severity",
                            change=Change.REPLACED,
                            labels=["low"],
                            predicted=["high"],
                            model_version=version,
                            actor_id=7,
                            actor="max",
                            happened_at=LONG_AGO,
                            quarantine=quarantine,
                        )
                    )

    return write


@pytest.fixture
def activate(store):
    def put(version, repository_id=1):
        with store.database.transaction() as session:
            row = ModelVersion(
                version=version,
                repository_id=repository_id,
                state=Version.CANDIDATE,
                uri="x",
                digest="0" * 64,
                manifest={},
                created_at=from_now(),
            )
            session.add(row)
            session.flush()
            models.promote(session, row)

    return put


def active(store, repository_id=1):
    with store.database.reading() as session:
        found = models.active(session, repository_id)
        return found.version if found is not None else None


def test_a_version_that_is_overridden_more_often_is_rolled_back(store, watch, activate, labelled):
    activate("old")
    store.change(ModelVersion, store.one(ModelVersion).id, activated_at=LONG_AGO)
    labelled("old", 60, 6, at=LONG_AGO + timedelta(hours=1))
    activate("new")
    labelled("new", 20, 16)
    with capture_logs() as logs:
        assert watch.run() == 1
    assert active(store) == "old"
    bad = store.one(ModelVersion, ModelVersion.version == "new")
    assert bad.state == Version.RETIRED
    assert "of the 120 of old (5%)" in bad.reason
    assert [line["event"] for line in logs] == ["version.rolled_back"]
    # The old one goes on, however badly: it is not exchanged for what it replaced.
    labelled("old", 20, 20)
    assert watch.run() == 0
    assert active(store) == "old"


def test_the_first_version_of_a_repository_gives_way_to_what_answered_before(
    store, watch, activate, labelled
):
    labelled("shipped", 60, 6, at=LONG_AGO)
    activate("first")
    labelled("first", 20, 18)
    assert watch.run() == 1
    assert active(store) is None


def test_the_shared_version_is_judged_by_all_repositories(store, watch, activate, labelled):
    store.repository(2, full_name="octo/other")
    labelled("shipped", 60, 6, at=LONG_AGO)
    activate("shared", None)
    labelled("shared", 6, 5)
    assert watch.run() == 0
    labelled("shared", 14, 12, repository_id=2)
    assert watch.run() == 1


@pytest.mark.parametrize(
    "of_new",
    [
        {"changed": 3},
        {"changed": 18, "quarantine": "a flood by one person"},
        {"changed": 18, "run_id": "b" * 32},
        {"changed": 18, "at": LONG_AGO},
    ],
    ids=["as good as before", "quarantined", "a backfill nobody looks at", "before it was active"],
)
def test_what_says_nothing_against_a_version_leaves_it_alone(
    store, watch, activate, labelled, of_new
):
    labelled("shipped", 60, 6, at=LONG_AGO)
    activate("new")
    labelled("new", 20, **of_new)
    assert watch.run() == 0
    assert active(store) == "new"


def test_an_operator_may_turn_it_off(store, settings, activate, labelled):
    labelled("shipped", 60, 0, at=LONG_AGO)
    activate("new")
    labelled("new", 20, 20)
    off = settings.model_copy(update={"rollback_level": 0.0})
    assert Watch(store.database, off).run() == 0
    assert Watch(store.database, settings).run() == 1


def test_the_sweep_looks_once_a_minute(store, watch, activate, labelled):
    assert watch.run_if_due() == 0
    labelled("shipped", 60, 0, at=LONG_AGO)
    activate("new")
    labelled("new", 20, 20)
    assert watch.run_if_due() == 0
    assert watch.run() == 1
