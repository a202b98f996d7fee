"""May anything be done for this repository now? Asked of every claimed row, in its transaction."""

from __future__ import annotations

from datetime import timedelta

from sqlalchemy import exists, select
from sqlalchemy.orm import Session, aliased

from app.db import work
from app.db.clock import from_now
from app.db.tables import Installation, IssueSnapshot, Repository

# A suspended installation is looked at again then; its owner may have lifted the suspension.
SUSPENDED_WAIT = timedelta(hours=1)


def stand_aside(session: Session, row: work.Claimed, snapshot: IssueSnapshot) -> bool:
    """True, with `row` settled, if its work is not to be done: overtaken, removed or suspended."""
    if barred(session, row, session.get_one(Repository, snapshot.repository_id)):
        return True
    if overtaken(session, snapshot):
        work.drop(session, row, "a newer text of the issue replaced this one")
        return True
    return False


def barred(session: Session, row: work.Claimed, repository: Repository) -> bool:
    """True, with `row` settled, if nothing is done for the repository: removed or suspended."""
    installation = session.get_one(Installation, repository.installation_id)
    if installation.deleted_at is not None or repository.removed_at is not None:
        work.drop(session, row, "the App was removed from the repository")
    elif installation.suspended_at is not None:
        until = session.scalar(select(from_now(SUSPENDED_WAIT.total_seconds())))
        work.release(session, row, until=until, error="the installation is suspended")
    else:
        return False
    return True


def overtaken(session: Session, snapshot: IssueSnapshot) -> bool:
    """True if GitHub has shown us a newer text of the same issue."""
    newer = aliased(IssueSnapshot)
    return (
        session.scalar(
            select(
                exists().where(
                    newer.repository_id == snapshot.repository_id,
                    newer.issue_number == snapshot.issue_number,
                    newer.observed_at > snapshot.observed_at,
                )
            )
        )
        is True
    )
