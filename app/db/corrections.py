"""What people taught: corrections as they are kept, and those that may teach."""

from __future__ import annotations

from collections.abc import Container, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal, TypeVarTuple

from sqlalchemy import ColumnElement, Select, func, select
from sqlalchemy.orm import Session

from app.core.corrections import Change, Finding
from app.core.text import IssueText
from app.db.learning import Correction
from app.db.tables import IssueSnapshot

HOUR, DAY = timedelta(hours=1), timedelta(days=1)
# Rows with their texts that are in memory at a time.
PORTION = 50
Ts = TypeVarTuple("Ts")


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


@dataclass(frozen=True)
class Cap:
    """So many corrections by one person within `span` teach; `called` is the span in words."""

    span: timedelta
    most: int
    called: str

    def is_passed(self, series: Sequence[Correction], index: int) -> bool:
        """True if that one is one too many; `series` are one person's, oldest first."""
        if index < self.most:
            return False
        return series[index - self.most].happened_at > series[index].happened_at - self.span


def teaching(repository_id: int) -> tuple[ColumnElement[bool], ...]:
    """The conditions of a repository's corrections that may teach.

    It still takes exactly one label to be a lesson.
    """
    return (
        Correction.repository_id == repository_id,
        Correction.quarantine.is_(None),
        Correction.snapshot_id.is_not(None),
    )


def issues(session: Session, repository_id: int, *, until: datetime | None = None) -> list[int]:
    """Numbers of the issues that may teach, oldest report first, without their texts."""
    opened = func.min(func.coalesce(IssueSnapshot.opened_at, IssueSnapshot.observed_at))
    return list(
        session.scalars(
            _until(select(Correction.issue_number), repository_id, until)
            .join(IssueSnapshot, IssueSnapshot.id == Correction.snapshot_id)
            .group_by(Correction.issue_number)
            .order_by(opened, Correction.issue_number)
        )
    )


def newest(session: Session, repository_id: int, *, until: datetime | None = None) -> datetime:
    """When the last of what may teach was said. ValueError if nothing was."""
    found: datetime | None = session.scalar(
        _until(select(func.max(Correction.happened_at)), repository_id, until)
    )
    if found is None:
        raise ValueError("nobody has said anything yet")
    return found


def lessons(
    session: Session,
    repository_id: int,
    *,
    until: datetime | None = None,
    issues: Container[int] | None = None,
) -> list[Lesson]:
    """What may teach the repository's model, oldest first; up to and including `until` if given.

    Of `issues` alone if they are given: texts are large, and no others are held then. Left out are
    corrections in quarantine, those whose issue text is not known, and those that end with no label
    of the dimension or with several.
    """
    chosen = (
        _until(select(Correction, IssueSnapshot), repository_id, until)
        .join(IssueSnapshot, IssueSnapshot.id == Correction.snapshot_id)
        .order_by(Correction.happened_at, Correction.issue_number, Correction.dimension)
    )
    return [
        _lesson(correction, snapshot)
        # In portions, whose rows the session lets go of when nobody holds them.
        for correction, snapshot in session.execute(chosen.execution_options(yield_per=PORTION))
        if len(correction.labels) == 1 and (issues is None or correction.issue_number in issues)
    ]


def _until(query: Select[*Ts], repository_id: int, until: datetime | None) -> Select[*Ts]:
    query = query.where(*teaching(repository_id))
    return query if until is None else query.where(Correction.happened_at <= until)


def store(
    session: Session,
    repository_id: int,
    number: int,
    findings: Sequence[Finding],
    *,
    snapshot_id: int | None,
    versions: dict[str, str],
    per_hour: int,
    per_day: int,
) -> None:
    """Make `findings` the corrections of the issue: those there were before and not now go.

    versions: dimension -> the model version whose labels were corrected. More than `per_hour`
    corrections by one person within an hour, or `per_day` within a day, are kept, but teach
    nothing; confirmations likewise, counted apart.
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
        caps = (Cap(HOUR, per_hour, "an hour"), Cap(DAY, per_day, "a day"))
        _cap(session, repository_id, actor_id, min(times), max(times), caps)


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
    caps: Sequence[Cap],
) -> None:
    """Say of each of the person's corrections that a change in this time may concern whether it
    is one too many: a function of all of them, whenever they became known."""
    longest = max(cap.span for cap in caps)
    rows = session.scalars(
        select(Correction)
        .where(
            Correction.repository_id == repository_id,
            Correction.actor_id == actor_id,
            Correction.happened_at > first - longest,
            Correction.happened_at <= last + longest,
        )
        .order_by(Correction.happened_at, Correction.issue_number, Correction.dimension)
    ).all()
    for weak in (False, True):
        series = [row for row in rows if (row.change == Change.CONFIRMED) is weak]
        for index, row in enumerate(series):
            # Those before `first` are there to be counted: what came before them is not.
            if row.happened_at < first:
                continue
            passed = next((cap for cap in caps if cap.is_passed(series, index)), None)
            _judge(row, passed)


def _judge(row: Correction, passed: Cap | None) -> None:
    if passed is not None and row.quarantine is None:
        row.quarantine = f"more than {passed.most} {passed.called} by one person"
    elif passed is None and row.quarantine is not None and row.quarantine.startswith("more than "):
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
