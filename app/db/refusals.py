"""Refusals: while GitHub does not let us in, work waits, asks ever more rarely, and never dies.

A wide refusal (the key, the installation) stops the whole installation; a narrow one (a permission,
an archived repository) one repository's rows of that kind. The first success ends either.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from sqlalchemy import CursorResult, Update, or_, select, update
from sqlalchemy.orm import Session

from app.db import coverage, rows, work
from app.db.clock import from_now
from app.db.learning import Retraining
from app.db.tables import Installation, Repository, State

FIRST_WAIT = timedelta(minutes=1)
# One call an installation; nothing else of it can be done meanwhile.
LONGEST_WIDE = timedelta(minutes=15)
# A permission that is granted is told by a webhook; an archived repository may stay one for ever.
LONGEST_NARROW = timedelta(hours=6)


def block(session: Session, installation_id: int, until: datetime) -> None:
    """Make no call for the installation before `until`."""
    session.execute(
        update(Installation)
        .where(
            Installation.id == installation_id,
            or_(Installation.blocked_until.is_(None), Installation.blocked_until < until),
        )
        .values(blocked_until=until),
        execution_options={"synchronize_session": False},
    )


def note_wide(session: Session, installation_id: int) -> datetime:
    """No call of the installation is accepted: none is made before the time returned."""
    until = _wait(session, Installation, installation_id, LONGEST_WIDE)
    block(session, installation_id, until)
    return until


def note_narrow(
    session: Session, table: type[work.Claimed], repository_id: int, why: str
) -> datetime:
    """The repository's rows of `table` that nobody holds wait until the time returned."""
    until = _wait(session, Repository, repository_id, LONGEST_NARROW)
    session.execute(
        update(table)
        .where(
            table.state == State.PENDING,
            table.due_at < until,
            table.lease_token.is_(None),
            rows.of_repositories(table, repository_id),
        )
        .values(due_at=until, error=why),
        execution_options={"synchronize_session": False},
    )
    return until


def stands(session: Session, repository: Repository, *, narrow: bool) -> bool:
    """True if a refusal was noted that a success now disproves; `narrow` for those too."""
    wide = session.scalar(
        select(Installation.refused_since).where(Installation.id == repository.installation_id)
    )
    if wide is not None or not narrow:
        return wide is not None
    return (
        session.scalar(select(Repository.refused_since).where(Repository.id == repository.id))
        is not None
    )


def lift(session: Session, installation_id: int) -> int:
    """We are let in again: what the installation's rows waited for is over; how many are due now.

    Rows that GitHub asked to wait (a rate limit) stay blocked.
    """
    _count(
        session,
        update(Installation)
        .where(Installation.id == installation_id, Installation.refused_since.is_not(None))
        .values(refused_since=None, blocked_until=None),
    )
    _count(
        session,
        update(Repository)
        .where(Repository.installation_id == installation_id)
        .where(Repository.refused_since.is_not(None))
        .values(refused_since=None),
    )
    covered = coverage.repositories_of(installation_id)
    return sum(
        work.hasten(session, table, rows.of_repositories(table, covered))
        for table in rows.TABLES.values()
        if table is not Retraining
    )


def _wait(
    session: Session,
    place: type[Installation | Repository],
    number: int,
    longest: timedelta,
) -> datetime:
    """As long again as it has lasted already, so each wait is about twice the one before."""
    session.execute(
        update(place)
        .where(place.id == number, place.refused_since.is_(None))
        .values(refused_since=from_now()),
        execution_options={"synchronize_session": False},
    )
    since, now = session.execute(
        select(place.refused_since, from_now()).where(place.id == number)
    ).one()
    until: datetime = now + min(max(now - since, FIRST_WAIT), longest)
    return until


def _count(session: Session, statement: Update) -> int:
    result = session.execute(statement, execution_options={"synchronize_session": False})
    assert isinstance(result, CursorResult)  # noqa: S101 - narrows the type for mypy
    return result.rowcount
