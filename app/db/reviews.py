"""Issues whose corrections are to be derived again: asked for by whatever happened to them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import timedelta
from typing import Any

from sqlalchemy import bindparam, case, delete, select, update
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.orm import Session

from app.db.clock import from_now
from app.db.learning import Correction, Review
from app.db.tables import State

# People change labels in bursts, and GitHub's list of events may be a moment behind its webhooks.
SETTLE_SECONDS = 5.0
# Between issues that are all to be looked at again: a third of what GitHub allows in an hour.
SPACING_SECONDS = 2.0

_WAITS = (Review.state == State.PENDING) & Review.lease_token.is_(None)


def want(
    session: Session, repository_id: int, number: int, *, seconds: float = SETTLE_SECONDS
) -> None:
    """Let the issue's corrections be derived again, in so many seconds.

    A review that waits already stays due when it is; whoever is at one loses the lease, since what
    it read is old.
    """
    _want(session, repository_id, [(number, seconds)])


def want_many(session: Session, repository_id: int, numbers: Iterable[int]) -> None:
    """The same for many issues, one after the other: each is a request to GitHub."""
    _want(
        session,
        repository_id,
        [(n, SETTLE_SECONDS + place * SPACING_SECONDS) for place, n in enumerate(numbers)],
    )


def want_all(session: Session, repository_id: int) -> None:
    """The same for every issue of which people's word is known: its labels mean something else."""
    numbers = session.scalars(
        select(Review.issue_number)
        .where(Review.repository_id == repository_id, Review.state != State.SUPERSEDED)
        .order_by(Review.issue_number.desc())
    ).all()
    want_many(session, repository_id, numbers)


def want_known(session: Session, repository_id: int, number: int) -> None:
    """The same, if a person has changed anything on the issue before."""
    session.execute(
        update(Review)
        .where(Review.repository_id == repository_id, Review.issue_number == number)
        .values(_again(from_now(SETTLE_SECONDS))),
        execution_options={"synchronize_session": False},
    )


def forget(session: Session, repository_id: int, number: int, reason: str) -> None:
    """The issue is gone from the repository: so are its corrections, and nobody looks again."""
    session.execute(
        delete(Correction).where(
            Correction.repository_id == repository_id, Correction.issue_number == number
        ),
        execution_options={"synchronize_session": False},
    )
    session.execute(
        update(Review)
        .where(Review.repository_id == repository_id, Review.issue_number == number)
        .values(state=State.SUPERSEDED, lease_token=None, lease_until=None, error=reason),
        execution_options={"synchronize_session": False},
    )


def _want(session: Session, repository_id: int, soon: Sequence[tuple[int, float]]) -> None:
    """`soon`: issue number and seconds from now. One round for tens of thousands of them, since
    receivers wait for the same lock."""
    if not soon:
        return
    now = session.scalar(select(from_now()))
    dialect = session.get_bind().dialect.name
    statement = (sqlite if dialect == "sqlite" else postgresql).insert(Review)
    asked = statement.values(
        repository_id=repository_id,
        issue_number=bindparam("number"),
        rights={},
        created_at=now,
        state=State.PENDING,
        due_at=bindparam("due"),
        attempts=0,
    ).on_conflict_do_update(
        index_elements=["repository_id", "issue_number"], set_=_again(statement.excluded.due_at)
    )
    rows = [{"number": n, "due": now + timedelta(seconds=seconds)} for n, seconds in soon]
    # By the connection: a session would take the rows for objects to be inserted in bulk.
    session.connection().execute(asked, rows)


def _again(due_at: Any) -> dict[str, Any]:
    return {
        "state": State.PENDING,
        "due_at": case((_WAITS, Review.due_at), else_=due_at),
        # The age of what waits is what an outage is measured by.
        "created_at": case((_WAITS, Review.created_at), else_=from_now()),
        "attempts": case((_WAITS, Review.attempts), else_=0),
        "lease_token": None,
        "lease_until": None,
    }
