"""Claim, finish, give back and bury rows of work; the same promises on SQLite and PostgreSQL.

A claim writes a fresh token and moves `due_at` to the end of its lease. So "due" is one indexed
condition (`state` is pending and `due_at` has come), and the row of a worker that died is due again
by itself. Everything written afterwards is fenced by the token: who lost it changes nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any, TypeVar
from uuid import uuid4

from sqlalchemy import ColumnElement, CursorResult, Update, case, exists, func, select, update
from sqlalchemy.orm import Session

from app.db.clock import from_now
from app.db.learning import Command, RepositoryConfig, Retraining, Review, Run
from app.db.tables import Application, IssueSnapshot, State

W = TypeVar("W", IssueSnapshot, Application, Review, RepositoryConfig, Command, Retraining, Run)
Claimed = IssueSnapshot | Application | Review | RepositoryConfig | Command | Retraining | Run

# Of `error`; longer texts are cut.
ERROR_LENGTH = 500
# Nobody starts anything new on a lease of which more than this share is used.
USABLE_SHARE = 0.7
_DIED = "its worker died each time"


def due(table: type[Claimed]) -> ColumnElement[bool]:
    """The condition of a row that may be claimed now."""
    return (table.state == State.PENDING) & (table.due_at <= from_now())


def claim(
    session: Session,
    table: type[W],
    limit: int,
    lease_seconds: float,
    *conditions: ColumnElement[bool],
    max_attempts: int | None = None,
) -> list[W]:
    """Up to `limit` due rows, longest due first, leased for `lease_seconds` under one fresh token.

    Concurrent callers never get the same row. `conditions` narrow the choice. With `max_attempts`,
    rows that were claimed that often and never finished (their workers died) are buried instead.
    """
    rows: list[W] = []
    while len(rows) < limit:
        taken = _take(session, table, limit - len(rows), lease_seconds, conditions)
        spent = [row for row in taken if max_attempts is not None and row.attempts > max_attempts]
        for row in spent:
            bury(session, row, f"claimed {max_attempts} times and never finished: {_DIED}")
        rows += [row for row in taken if row not in spent]
        if not spent:
            break
    return sorted(rows, key=lambda row: row.id)


def _take(
    session: Session,
    table: type[W],
    limit: int,
    lease_seconds: float,
    conditions: Sequence[ColumnElement[bool]],
) -> list[W]:
    # A CTE, since PostgreSQL may run a sub-select with LIMIT more than once.
    chosen = (
        select(table.id)
        .where(due(table), *conditions)
        .order_by(table.due_at)
        .limit(limit)
        .with_for_update(skip_locked=True)
        .cte("chosen")
    )
    ends = from_now(lease_seconds)
    taken = session.scalars(
        update(table)
        .where(table.id.in_(select(chosen.c.id)))
        .values(
            lease_token=uuid4().hex,
            lease_until=ends,
            due_at=ends,
            attempts=table.attempts + 1,
        )
        .returning(table),
        execution_options={"synchronize_session": False, "populate_existing": True},
    )
    return list(taken)


def finish(session: Session, row: Claimed, **values: Any) -> bool:
    """Mark `row` done and write `values`. False, and nothing changed, if the lease was lost."""
    return _write(session, row, state=State.DONE, error=None, **values)


def release(
    session: Session, row: Claimed, *, until: datetime | None = None, error: str | None = None
) -> bool:
    """Give `row` back as if never claimed, due at `until` (now without). False if not ours."""
    return _write(
        session,
        row,
        due_at=until if until is not None else from_now(),
        attempts=type(row).attempts - 1,
        error=_cut(error),
    )


def fail(
    session: Session, row: Claimed, error: str, *, delay_seconds: float, max_attempts: int
) -> bool:
    """Try `row` again in `delay_seconds`, or bury it after `max_attempts` claims.

    False if the lease was lost.
    """
    table = type(row)
    return _write(
        session,
        row,
        state=case((table.attempts >= max_attempts, State.DEAD), else_=State.PENDING),
        due_at=from_now(delay_seconds),
        error=_cut(error),
    )


def bury(session: Session, row: Claimed, error: str) -> bool:
    """Mark `row` dead at once: no attempt would help until a person acts. False if not ours."""
    return _write(session, row, state=State.DEAD, error=_cut(error))


def drop(session: Session, row: Claimed, reason: str) -> bool:
    """Mark `row` superseded: what it was about is gone or was overtaken. False if not ours."""
    return _write(session, row, state=State.SUPERSEDED, error=_cut(reason))


def note(session: Session, row: Claimed, **values: Any) -> bool:
    """Write `values` and keep the lease. False, and nothing changed, if the lease was lost."""
    return _count(session, update(type(row)).where(*_ours(row)).values(**values)) == 1


def renew(session: Session, row: Claimed, lease_seconds: float) -> bool:
    """Hold `row` for another `lease_seconds` from now. False if the lease was lost."""
    ends = from_now(lease_seconds)
    return note(session, row, lease_until=ends, due_at=ends)


def may_act(session: Session, row: Claimed, lease_seconds: float) -> bool:
    """True while the lease is ours and at most 70 % used, by the database's clock."""
    table = type(row)
    spare = lease_seconds * (1 - USABLE_SHARE)
    return (
        session.scalar(select(exists().where(*_ours(row), table.lease_until > from_now(spare))))
        is True
    )


def revive(session: Session, table: type[Claimed], *conditions: ColumnElement[bool]) -> int:
    """Make dead rows (all, or those that meet `conditions`) pending and due; how many."""
    return _count(
        session,
        update(table)
        .where(table.state == State.DEAD, *conditions)
        .values(state=State.PENDING, due_at=from_now(), attempts=0, **_FREE),
    )


def hasten(session: Session, table: type[Claimed], *conditions: ColumnElement[bool]) -> int:
    """Make rows that an error put off due at once, of those that meet `conditions`; how many."""
    return _count(
        session,
        update(table)
        .where(
            table.state == State.PENDING,
            table.lease_token.is_(None),
            table.error.is_not(None),
            *conditions,
        )
        .values(due_at=from_now()),
    )


def any_due(session: Session, table: type[Claimed]) -> bool:
    """True if a claim would find something."""
    # Ordered, or PostgreSQL reads the table from its beginning, where the oldest, done rows are.
    first = select(table.id).where(due(table)).order_by(table.due_at).limit(1)
    return session.scalar(first) is not None


def counts(session: Session, table: type[Claimed]) -> dict[State, int]:
    """How many rows are pending and how many dead."""
    counted = dict.fromkeys((State.PENDING, State.DEAD), 0)
    rows = session.execute(
        select(table.state, func.count()).where(table.state.in_(counted)).group_by(table.state)
    )
    return counted | {State(state): number for state, number in rows}


_FREE: dict[str, Any] = {"lease_token": None, "lease_until": None}


def _ours(row: Claimed) -> Sequence[ColumnElement[bool]]:
    table = type(row)
    return (
        table.id == row.id,
        table.lease_token == row.lease_token,
        table.state == State.PENDING,
    )


def _write(session: Session, row: Claimed, **values: Any) -> bool:
    if row.lease_token is None:
        return False
    return _count(session, update(type(row)).where(*_ours(row)).values(**_FREE | values)) == 1


def _count(session: Session, statement: Update) -> int:
    result = session.execute(statement, execution_options={"synchronize_session": False})
    assert isinstance(result, CursorResult)  # noqa: S101 - narrows the type for mypy
    return result.rowcount


def _cut(error: str | None) -> str | None:
    return error[:ERROR_LENGTH] if error is not None else None
