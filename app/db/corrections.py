"""What people taught: corrections as they are kept, and those that may teach."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal

from sqlalchemy import ColumnElement, func, select
from sqlalchemy.orm import Session

from app.core.corrections import Change, Finding
from app.core.text import IssueText
from app.db.learning import Correction
from app.db.tables import IssueSnapshot

HOUR = timedelta(hours=1)


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


def teaching(repository_id: int) -> tuple[ColumnElement[bool], ...]:
    """The conditions of a repository's corrections that may teach.

    It still takes exactly one label to be a lesson.
    """
    return (
        Correction.repository_id == repository_id,
        Correction.quarantine.is_(None),
        Correction.snapshot_id.is_not(None),
    )


def lessons(session: Session, repository_id: int, *, until: datetime | None = None) -> list[Lesson]:
    """What may teach the repository's model, oldest first; up to and including `until` if given.

    Left out are corrections in quarantine, those whose issue text is not known, and those that end
    with no label of the dimension or with several.
    """
    chosen = (
        select(Correction, IssueSnapshot)
        .join(IssueSnapshot, IssueSnapshot.id == Correction.snapshot_id)
        .where(*teaching(repository_id))
        .order_by(Correction.happened_at, Correction.issue_number, Correction.dimension)
    )
    if until is not None:
        chosen = chosen.where(Correction.happened_at <= until)
    return [
        _lesson(correction, snapshot)
        for correction, snapshot in session.execute(chosen)
        if len(correction.labels) == 1
    ]


def store(
    session: Session,
    repository_id: int,
    number: int,
    findings: Sequence[Finding],
    *,
    snapshot_id: int | None,
    versions: dict[str, str],
    per_hour: int,
) -> None:
    """Make `findings` the corrections of the issue: those there were before and not now go.

    versions: dimension -> the model version whose labels were corrected. More than `per_hour`
    corrections by one person within an hour are kept, but teach nothing; confirmations likewise,
    counted apart.
    """
    kept = {
        row.dimension: row
        for row in session.scalars(
            select(Correction).where(
                Correction.repository_id == repository_id, Correction.issue_number == number
            )
        )
    }
    touched = {(row.actor_id, row.happened_at) for row in kept.values()}
    for finding in findings:
        row = kept.pop(finding.dimension, None)
        if row is None:
            row = Correction(
                repository_id=repository_id, issue_number=number, dimension=finding.dimension
            )
            session.add(row)
        _fill(row, finding, snapshot_id, versions.get(finding.dimension))
        touched.add((finding.actor_id, finding.happened_at))
    for row in kept.values():
        session.delete(row)
    session.flush()
    for actor_id in sorted({actor_id for actor_id, _ in touched}):
        times = [at for who, at in touched if who == actor_id]
        _cap(session, repository_id, actor_id, min(times), max(times), per_hour)


def _fill(row: Correction, finding: Finding, snapshot_id: int | None, version: str | None) -> None:
    row.snapshot_id = snapshot_id
    row.change = finding.change
    row.labels = list(finding.labels)
    row.predicted = list(finding.predicted)
    row.model_version = version if finding.predicted else None
    row.actor_id, row.actor = finding.actor_id, finding.actor
    row.happened_at = finding.happened_at
    row.quarantine = finding.doubt


def _cap(
    session: Session,
    repository_id: int,
    actor_id: int,
    first: datetime,
    last: datetime,
    per_hour: int,
) -> None:
    """Say of each of the person's corrections that a change in this time may concern whether it
    is one too many: a function of all of them, whenever they became known."""
    rows = session.scalars(
        select(Correction)
        .where(
            Correction.repository_id == repository_id,
            Correction.actor_id == actor_id,
            Correction.happened_at > first - HOUR,
            Correction.happened_at <= last + HOUR,
        )
        .order_by(Correction.happened_at, Correction.issue_number, Correction.dimension)
    ).all()
    for weak in (False, True):
        series = [row for row in rows if (row.change == Change.CONFIRMED) is weak]
        for index, row in enumerate(series):
            # Those of the hour before `first` are there to be counted: their own hour is not.
            if row.happened_at < first:
                continue
            oldest = series[index - per_hour] if index >= per_hour else None
            flood = oldest is not None and oldest.happened_at > row.happened_at - HOUR
            _judge(row, f"more than {per_hour} an hour by one person", flood)


def _judge(row: Correction, reason: str, flood: bool) -> None:
    if flood and row.quarantine is None:
        row.quarantine = reason
    elif not flood and row.quarantine is not None and row.quarantine.startswith("more than "):
        row.quarantine = None


def counts(session: Session) -> list[tuple[str, bool, int]]:
    """How many corrections there are: (change, whether in quarantine, number)."""
    held = Correction.quarantine.is_not(None)
    rows = session.execute(
        select(Correction.change, held, func.count()).group_by(Correction.change, held)
    )
    return [(str(change), bool(quarantined), number) for change, quarantined, number in rows]


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
