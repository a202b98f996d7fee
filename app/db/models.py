"""Which model version answers for a repository, and how that changes."""

from __future__ import annotations

from collections.abc import Collection, Mapping

from sqlalchemy import or_, select
from sqlalchemy.orm import Session

from app.db.learning import ModelVersion, Version


def active(session: Session, repository_id: int) -> ModelVersion | None:
    """The version that answers for a repository: its own, the shared one, or None.

    None stands for the adapter a worker was started with (TRIORA_ADAPTER, or the shipped one).
    """
    return next(iter(serving(session, [repository_id])[repository_id]), None)


def serving(
    session: Session, repository_ids: Collection[int]
) -> Mapping[int, tuple[ModelVersion, ...]]:
    """Active versions of each repository, best first: its own, then the shared one. One query."""
    found = {
        row.repository_id: row
        for row in session.scalars(
            select(ModelVersion).where(
                ModelVersion.state == Version.ACTIVE,
                or_(
                    ModelVersion.repository_id.is_(None),
                    ModelVersion.repository_id.in_(repository_ids),
                ),
            )
        )
    }
    shared = (found[None],) if None in found else ()
    return {
        repository: ((found[repository], *shared) if repository in found else shared)
        for repository in repository_ids
    }
