"""A time that GitHub named holds: no shorter one replaces it, and no success ends it early."""

from datetime import timedelta

import pytest
from sqlalchemy import select, update

from app.db import refusals
from app.db.clock import from_now
from app.db.tables import Installation


@pytest.fixture
def blocked(database):
    """An installation that GitHub asked to wait for ten minutes; when that is over."""
    with database.transaction() as session:
        session.add(Installation(id=1, account="octo", created_at=from_now()))
        until = session.scalars(select(from_now(600.0))).one()
        session.flush()
        refusals.block(session, 1, until)
    return until


def until(database):
    with database.reading() as session:
        return session.get_one(Installation, 1).blocked_until


def test_a_shorter_wait_does_not_replace_a_longer_one(database, blocked):
    with database.transaction() as session:
        refusals.block(session, 1, blocked - timedelta(minutes=5))
    assert until(database) == blocked
    with database.transaction() as session:
        refusals.block(session, 1, blocked + timedelta(minutes=5))
    assert until(database) == blocked + timedelta(minutes=5)


def test_letting_us_in_again_ends_a_refusal_and_no_rate_limit(database, blocked):
    with database.transaction() as session:
        refusals.lift(session, 1)
    assert until(database) == blocked
    with database.transaction() as session:
        session.execute(update(Installation).values(refused_since=from_now(-60.0)))
        refusals.lift(session, 1)
    assert until(database) is None
