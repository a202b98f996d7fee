"""The corrections of a repository, for people and scripts to read."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime

from pydantic import BaseModel
from sqlalchemy import select
from sqlalchemy.orm import Session

from app.db import runs
from app.db.learning import Correction


class Line(BaseModel):
    """One correction. `quarantine` is why it teaches nothing, or None where it does."""

    issue: int
    dimension: str
    change: str
    predicted: list[str]
    labels: list[str]
    model: str | None
    by: str
    at: datetime
    quarantine: str | None


def of(session: Session, full_name: str) -> list[Line]:
    """Every correction of the repository, oldest first. ConfigProblem if it is not known."""
    repository_id = runs.repository_of(session, full_name, left=True).id
    rows = session.scalars(
        select(Correction)
        .where(Correction.repository_id == repository_id)
        .order_by(Correction.happened_at, Correction.issue_number, Correction.dimension)
    )
    return [_line(row) for row in rows]


def _line(row: Correction) -> Line:
    return Line(
        issue=row.issue_number,
        dimension=row.dimension,
        change=str(row.change),
        predicted=row.predicted,
        labels=row.labels,
        model=row.model_version,
        by=row.actor,
        at=row.happened_at,
        quarantine=row.quarantine,
    )


def table(lines: Sequence[Line]) -> Iterable[str]:
    """One line a correction in aligned columns, and one with the sum."""
    cells = [
        (
            f"#{line.issue}",
            line.dimension,
            f"{_names(line.predicted)} -> {_names(line.labels)}",
            line.change,
            line.by,
            f"{line.at:%Y-%m-%d %H:%M}",
            f"quarantine: {line.quarantine}" if line.quarantine else "",
        )
        for line in lines
    ]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    for row in cells:
        yield "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
    confirmed = sum(line.change == "confirmed" for line in lines)
    held = sum(line.quarantine is not None for line in lines)
    yield f"{len(lines) - confirmed} corrections, {confirmed} confirmations, {held} in quarantine"


def _names(labels: Sequence[str]) -> str:
    return ", ".join(labels) or "nothing"
