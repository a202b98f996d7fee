"""Issues whose corrections are to be derived again: asked for by whatever happened to them."""

from __future__ import annotations

from sqlalchemy import case, delete, update
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.orm import Session

from app.db.clock import from_now
from app.db.learning import Correction, Review
from app.db.tables import State

# People change labels in bursts, and GitHub's list of events may be a moment behind its webhooks.
SETTLE_SECONDS = 5.0

_WAITS = (Review.state == State.PENDING) & Review.lease_token.is_(None)


def want(session: Session, repository_id: int, number: int) -> None:
    """Let the issue's corrections be derived again, soon.

    A review that waits already stays due when it is; whoever is at one loses the lease, since what
    it read is old.
    """
    dialect = session.get_bind().dialect.name
    statement = (sqlite if dialect == "sqlite" else postgresql).insert(Review)
    asked = statement.values(
        repository_id=repository_id,
        issue_number=number,
        rights={},
        created_at=from_now(),
        state=State.PENDING,
        due_at=from_now(SETTLE_SECONDS),
        attempts=0,
    ).on_conflict_do_update(index_elements=["repository_id", "issue_number"], set_=_AGAIN)
    session.execute(asked)


def want_known(session: Session, repository_id: int, number: int) -> None:
    """The same, if a person has changed anything on the issue before."""
    session.execute(
        update(Review)
        .where(Review.repository_id == repository_id, Review.issue_number == number)
        .values(_AGAIN),
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


_AGAIN = {
    "state": State.PENDING,
    "due_at": case((_WAITS, Review.due_at), else_=from_now(SETTLE_SECONDS)),
    # The age of what waits is what an outage is measured by.
    "created_at": case((_WAITS, Review.created_at), else_=from_now()),
    "attempts": case((_WAITS, Review.attempts), else_=0),
    "lease_token": None,
    "lease_until": None,
}
