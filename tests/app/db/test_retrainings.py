"""When a repository's model learns anew by itself."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import update

from app.core.config_rules import RetrainingRule
from app.core.corrections import Change
from app.db import retrainings, work
from app.db.clock import from_now
from app.db.learning import Correction, Retraining
from app.db.tables import Installation, Repository

NOW = datetime(2026, 6, 1, tzinfo=UTC)
AFTER_10 = RetrainingRule(after_corrections=10)
WEEKLY = RetrainingRule(after_corrections=1000, every_days=7)


@pytest.fixture
def correct(database):
    """`correct(count, days_ago)` adds corrections of repository 1 (2 is there as well)."""
    with database.transaction() as session:
        session.add(Installation(id=7, account="octo", created_at=from_now()))
        session.flush()
        session.add_all(
            Repository(id=i, installation_id=7, full_name=f"octo/{i}", private=False)
            for i in (1, 2)
        )
    made = 0

    def add(count=1, days_ago=0.0, **more):
        nonlocal made
        with database.transaction() as session:
            for _ in range(count):
                made += 1
                session.add(
                    Correction(
                        repository_id=1,
                        issue_number=made,
                        dimension="severity",
                        change=Change.REPLACED,
                        labels=["high"],
                        predicted=["low"],
                        actor_id=5,
                        actor="mia",
                        happened_at=NOW - timedelta(days=days_ago),
                        **more,
                    )
                )

    return add


def due(database, rule=AFTER_10, now=NOW):
    with database.reading() as session:
        return retrainings.due(session, lambda _: rule, now)


def ask(database, **values):
    """A retraining of repository 1; with values, one that has been claimed and is done."""
    with database.transaction() as session:
        assert retrainings.ask(session, 1, "test")
    if values:
        with database.transaction() as session:
            (row,) = work.claim(session, Retraining, 1, 60)
            created = values.pop("created_at", None)
            assert work.finish(session, row, **values)
            if created is not None:
                session.execute(update(Retraining).values(created_at=created))


def test_enough_corrections_start_one(database, correct):
    correct(9)
    assert due(database) == []
    correct(1)
    assert due(database) == [1]


def test_those_the_last_one_learned_from_do_not_count_again(database, correct):
    correct(10, days_ago=3)
    ask(database, until=NOW - timedelta(days=2))
    correct(9)
    assert due(database) == []
    correct(1)
    assert due(database) == [1]


def test_time_starts_one_only_if_there_is_anything_new(database, correct):
    correct(1, days_ago=20)
    assert due(database, WEEKLY) == [1]
    ask(database, until=NOW - timedelta(days=8), created_at=NOW - timedelta(days=8))
    assert due(database, WEEKLY) == []
    correct(1, days_ago=1)
    assert due(database, WEEKLY) == [1]


def test_nothing_is_asked_for_twice(database, correct):
    correct(20)
    ask(database)
    assert due(database) == []
    with database.transaction() as session:
        assert not retrainings.ask(session, 1, "test")


@pytest.mark.parametrize(
    ("rule", "more"),
    [
        (RetrainingRule(enabled=False, after_corrections=10), {}),
        (AFTER_10, {"quarantine": "too many of one person"}),
    ],
)
def test_what_is_switched_off_or_in_quarantine_starts_none(database, correct, rule, more):
    correct(20, **more)
    assert due(database, rule) == []


def test_a_repository_that_left_is_not_trained_for(database, correct):
    correct(20)
    with database.transaction() as session:
        session.execute(update(Repository).values(removed_at=from_now()))
    assert due(database) == []
