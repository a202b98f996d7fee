"""Fixtures of the intake tests: take a delivery in, look at what is stored."""

from uuid import uuid4

import pytest
from sqlalchemy import select, update

from app.db.tables import (
    IssueSnapshot,
    State,
)
from app.intake.delivery import accept


@pytest.fixture
def take(database):
    """Take one delivery in: `take(event, payload, guid=None)`."""

    def take(event, payload, guid=None, **options):
        return accept(database, event, guid or str(uuid4()), payload, **options)

    return take


@pytest.fixture
def rows(database):
    """All rows of a table, oldest first."""

    def rows(table, order=None):
        with database.reading() as session:
            return list(session.scalars(select(table).order_by(order or table.id)))

    return rows


@pytest.fixture
def texts(rows):
    """(title, state) of every kept text, oldest first."""
    return lambda: [(row.title, str(row.state)) for row in rows(IssueSnapshot)]


@pytest.fixture
def finish_all(database):
    """Give every text this state, as a worker would."""

    def finish_all(state=State.DONE):
        with database.transaction() as session:
            session.execute(update(IssueSnapshot).values(state=state))

    return finish_all
