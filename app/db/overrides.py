"""How often people changed what a model version wrote, issue by issue."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from sqlalchemy import ColumnElement, select
from sqlalchemy.orm import Session

from app.core.corrections import Change
from app.core.override import Tally
from app.db.learning import Correction, ModelVersion
from app.db.tables import Application, IssueSnapshot

# Issues looked at of each version: the first ones of the new, the last ones of the old.
MOST_ISSUES = 1000

_CHANGED = (Change.REMOVED, Change.REPLACED)


def since_active(session: Session, version: ModelVersion) -> list[Tally]:
    """One tally an issue that `version` labelled since it is active, oldest first."""
    if version.activated_at is None:
        return []
    rows = _written(
        session,
        version.version,
        _where(version),
        Application.created_at >= version.activated_at,
        newest_first=False,
    )
    return _tallies(session, version.version, rows)


def before(session: Session, version: ModelVersion) -> tuple[str, Tally] | None:
    """The version that labelled in the same place until `version` took over, and its tally.

    None where there was none, or where that one was rolled back: then `version` is what was gone
    back to, and the two shall not take turns.
    """
    if version.activated_at is None:
        return None
    name = version.replaced or _last_writer(session, version, version.activated_at)
    if name is None or name == version.version or _rolled_back(session, name):
        return None
    rows = _written(
        session,
        name,
        _where(version),
        Application.created_at < version.activated_at,
        newest_first=True,
    )
    return name, sum(_tallies(session, name, rows), Tally())


_Row = tuple[int, int, int]


def _rolled_back(session: Session, name: str) -> bool:
    return (
        session.scalar(select(ModelVersion.rolled_back_at).where(ModelVersion.version == name))
        is not None
    )


def _where(version: ModelVersion) -> ColumnElement[bool]:
    """Issues of the repository; for the shared version those of all."""
    if version.repository_id is None:
        return IssueSnapshot.repository_id.is_not(None)
    return IssueSnapshot.repository_id == version.repository_id


def _live() -> ColumnElement[bool]:
    # Old issues that a backfill labelled are hardly looked at: their labels stand unseen.
    return IssueSnapshot.run_id.is_(None)


def _last_writer(session: Session, version: ModelVersion, until: datetime) -> str | None:
    chosen = (
        select(Application.model_version)
        .join(IssueSnapshot, IssueSnapshot.id == Application.snapshot_id)
        .where(
            _where(version),
            _live(),
            Application.created_at < until,
            Application.applied_at.is_not(None),
        )
        .order_by(Application.created_at.desc())
        .limit(1)
    )
    if version.repository_id is None:
        own = select(ModelVersion.version).where(ModelVersion.repository_id.is_not(None))
        chosen = chosen.where(Application.model_version.not_in(own))
    return session.scalar(chosen)


def _written(
    session: Session, name: str, *conditions: ColumnElement[bool], newest_first: bool
) -> list[_Row]:
    """(repository, issue, labels written), one an issue, oldest first."""
    order = Application.created_at.desc() if newest_first else Application.created_at.asc()
    found = session.execute(
        select(IssueSnapshot.repository_id, IssueSnapshot.issue_number, Application.written)
        .join(IssueSnapshot, IssueSnapshot.id == Application.snapshot_id)
        .where(
            Application.model_version == name,
            Application.applied_at.is_not(None),
            _live(),
            *conditions,
        )
        .order_by(order)
        .limit(MOST_ISSUES)
    )
    # An issue that was edited was labelled again: its labels count once.
    labels: dict[tuple[int, int], int] = {}
    for repository, issue, written in found:
        labels[repository, issue] = max(labels.get((repository, issue), 0), len(written))
    rows = [(*where, count) for where, count in labels.items() if count]
    return rows[::-1] if newest_first else rows


def _tallies(session: Session, name: str, rows: Iterable[_Row]) -> list[Tally]:
    changed: dict[tuple[int, int], int] = {}
    # What is in quarantine (one person's flood of changes) brings no model down.
    for repository, issue in session.execute(
        select(Correction.repository_id, Correction.issue_number).where(
            Correction.model_version == name,
            Correction.change.in_(_CHANGED),
            Correction.quarantine.is_(None),
        )
    ):
        changed[repository, issue] = changed.get((repository, issue), 0) + 1
    return [
        Tally(written, min(written, changed.get((repository, issue), 0)))
        for repository, issue, written in rows
    ]
