"""What people taught: corrections that a model or a memory may learn from."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from sqlalchemy import select
from sqlalchemy.orm import Session

from app.core.text import IssueText
from app.db.learning import Change, Correction
from app.db.tables import IssueSnapshot


@dataclass(frozen=True)
class Lesson:
    """One text with the one label of a dimension that people say belongs to it.

    `text` is the issue as of filing. `provenance` is "confirmed" where people only let the bot's
    label stand, which is the weaker word.
    """

    snapshot_id: int
    text: IssueText
    dimension: str
    label: str
    provenance: Literal["corrected", "confirmed"]
    happened_at: datetime
    actor_id: int
    issue_number: int
    opened_at: datetime


def lessons(session: Session, repository_id: int, *, until: datetime | None = None) -> list[Lesson]:
    """What may teach the repository's model, oldest first; up to and including `until` if given.

    Left out are corrections in quarantine, those whose issue text is not known, and those that end
    with no label of the dimension or with several.
    """
    chosen = (
        select(Correction, IssueSnapshot)
        .join(IssueSnapshot, IssueSnapshot.id == Correction.snapshot_id)
        .where(Correction.repository_id == repository_id, Correction.quarantine.is_(None))
        .order_by(Correction.happened_at, Correction.issue_number, Correction.dimension)
    )
    if until is not None:
        chosen = chosen.where(Correction.happened_at <= until)
    return [
        _lesson(correction, snapshot)
        for correction, snapshot in session.execute(chosen)
        if len(correction.labels) == 1
    ]


def _lesson(correction: Correction, snapshot: IssueSnapshot) -> Lesson:
    return Lesson(
        snapshot_id=snapshot.id,
        text=IssueText(title=snapshot.title, body=snapshot.body),
        dimension=correction.dimension,
        label=correction.labels[0],
        provenance="confirmed" if correction.change == Change.CONFIRMED else "corrected",
        happened_at=correction.happened_at,
        actor_id=correction.actor_id,
        issue_number=correction.issue_number,
        opened_at=snapshot.opened_at or snapshot.observed_at,
    )
