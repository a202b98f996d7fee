"""The names that labels of a repository have and had, as renames told us."""

from __future__ import annotations

from collections.abc import Iterable

from sqlalchemy import select
from sqlalchemy.orm import Session

from app.core.aliases import Aliases
from app.db.clock import from_now
from app.db.insertion import insert_new
from app.db.learning import LabelName
from app.db.tables import LabelEvent, SeenLabel


def learn(session: Session, repository_id: int, label_id: int, names: Iterable[str]) -> bool:
    """Note that the label has or had these names; true if one of them is news."""
    news = [
        insert_new(
            session,
            LabelName,
            repository_id=repository_id,
            label_id=label_id,
            folded=name.casefold(),
            name=name,
        )
        for name in sorted(names)
    ]
    return any(news)


def saw(session: Session, repository_id: int, name: str) -> None:
    """Note that the repository has or had a label of that name: it is not created again."""
    insert_new(
        session, SeenLabel, repository_id=repository_id, name=name.casefold(), seen_at=from_now()
    )


def aliases(session: Session, repository_id: int) -> Aliases:
    """The renamed labels of a repository."""
    named = session.execute(
        select(LabelName.label_id, LabelName.folded).where(LabelName.repository_id == repository_id)
    )
    return Aliases.of((label_id, name) for label_id, name in named)


def issues_with(session: Session, repository_id: int, label_id: int) -> list[int]:
    """Numbers of the issues of which we heard that the label, under any name, went on or off."""
    names = select(LabelName.name).where(
        LabelName.repository_id == repository_id, LabelName.label_id == label_id
    )
    return list(
        session.scalars(
            select(LabelEvent.issue_number)
            .where(LabelEvent.repository_id == repository_id, LabelEvent.label.in_(names))
            .distinct()
            .order_by(LabelEvent.issue_number)
        )
    )
