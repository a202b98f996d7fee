"""Issues whose corrections are to be derived again: cheap to ask for, whatever their number."""

from datetime import timedelta

import pytest
from sqlalchemy import event, select

from app.db import reviews
from app.db.clock import from_now
from app.db.learning import Review
from app.db.tables import Installation, Repository, State


@pytest.fixture
def repository(database):
    with database.transaction() as session:
        session.add(Installation(id=1, account="octo", created_at=from_now()))
        session.flush()
        session.add(Repository(id=1, installation_id=1, full_name="octo/game", private=False))


def test_all_issues_of_a_repository_are_asked_for_in_one_round(database, repository):
    """A statement each held the lock that receivers wait for, half a minute at 20,000 issues."""
    with database.transaction() as session:
        reviews.want_many(session, 1, range(1, 301))
        session.get_one(Review, 1).state = State.SUPERSEDED
        session.get_one(Review, 2).state = State.DONE
    sent = []

    def count(*_):
        sent.append(1)

    event.listen(database.engine, "before_cursor_execute", count)
    with database.transaction() as session:
        reviews.want_all(session, 1)
    event.remove(database.engine, "before_cursor_execute", count)
    assert len(sent) < 10
    with database.reading() as session:
        rows = {row.issue_number: row for row in session.scalars(select(Review))}
        now = session.scalar(select(from_now()))
    assert (rows[1].state, rows[2].state) == (State.SUPERSEDED, State.PENDING)
    # Those that wait keep their turn; the other comes where its number puts it.
    assert rows[300].due_at - rows[3].due_at == timedelta(seconds=297 * reviews.SPACING_SECONDS)
    assert rows[2].due_at - now > timedelta(seconds=290 * reviews.SPACING_SECONDS)
