"""What is deleted of a repository that the App left: every text, and what was learnt from it."""

from __future__ import annotations

from sqlalchemy import CursorResult, Delete, Select, delete, or_, select
from sqlalchemy.orm import Session

from app.db.clock import from_now
from app.db.learning import Command, Correction, RepositoryConfig, Review
from app.db.tables import Installation, IssueSnapshot, LabelEvent, Repository

# Texts deleted in one transaction, so that nobody waits long for the database.
PORTION = 200
DAY_SECONDS = 86400.0


def forget(session: Session, days: float) -> int:
    """Delete a portion of what is kept of repositories that the App left `days` ago; how many.

    0 when nothing is left to delete. Scores, decisions and vectors go with their text.
    """
    # By number, so that each is found by an index: there are few, and texts are many.
    gone = session.scalars(_left(days)).all()
    if not gone:
        return 0
    texts = session.scalars(
        select(IssueSnapshot.id).where(IssueSnapshot.repository_id.in_(gone)).limit(PORTION)
    ).all()
    if texts:
        # Before their texts, which each of these would be looked through for.
        _run(session, delete(Correction).where(Correction.repository_id.in_(gone)))
        return _run(session, delete(IssueSnapshot).where(IssueSnapshot.id.in_(texts)))
    return sum(
        _run(session, delete(table).where(home.in_(gone)))
        for table, home in (
            (Correction, Correction.repository_id),
            (Review, Review.repository_id),
            (Command, Command.repository_id),
            (LabelEvent, LabelEvent.repository_id),
            (RepositoryConfig, RepositoryConfig.id),
        )
    )


def _left(days: float) -> Select[int]:
    ago = from_now(-days * DAY_SECONDS)
    left = or_(Repository.removed_at < ago, Installation.deleted_at < ago)
    return (
        select(Repository.id)
        .join(Installation, Installation.id == Repository.installation_id)
        .where(left)
    )


def _run(session: Session, statement: Delete) -> int:
    result = session.execute(statement, execution_options={"synchronize_session": False})
    assert isinstance(result, CursorResult)  # noqa: S101 - narrows the type for mypy
    return result.rowcount
