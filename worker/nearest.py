"""Which corrected issues of the repository a text is nearest to, as the model sees them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from sqlalchemy import select
from sqlalchemy.orm import Session

from app.db import memories
from app.db.tables import IssueSnapshot

# Issues whose mean is what all of them share; what is left of a vector is its own.
BACKGROUND = 256
# Less alike than that is not worth telling anybody.
LEAST = 0.3


@dataclass(frozen=True)
class Neighbour:
    """A corrected issue: what people said of it, dimension -> label, and how near it is (-1..1)."""

    number: int
    labels: dict[str, str]
    likeness: float


def nearest(
    session: Session, repository_id: int, snapshot_id: int, version: str, most: int = 3
) -> list[Neighbour]:
    """The nearest corrected issues, nearest first; none where no vector of the text is kept."""
    said = [word for word in memories.said(session, repository_id) if word.change is not None]
    kept = memories.seen(session, version, {snapshot_id, *(word.snapshot_id for word in said)})
    others = sorted({word.snapshot_id for word in said} & kept.keys() - {snapshot_id})
    if snapshot_id not in kept or not others:
        return []
    shared = _matrix(memories.newest(session, repository_id, version, BACKGROUND)).mean(axis=0)
    own = _unit(_matrix([kept[snapshot_id].vector]) - shared)
    likeness = (_unit(_matrix([kept[i].vector for i in others]) - shared) @ own.T)[:, 0]
    rows = session.execute(
        select(IssueSnapshot.id, IssueSnapshot.issue_number).where(IssueSnapshot.id.in_(others))
    )
    numbers = {snapshot: number for snapshot, number in rows}  # noqa: C416 - rows are no tuples
    ranked = sorted(zip(others, likeness.tolist(), strict=True), key=lambda pair: -pair[1])
    return [
        Neighbour(
            numbers[snapshot],
            {word.dimension: word.label for word in said if word.snapshot_id == snapshot},
            value,
        )
        for snapshot, value in ranked[:most]
        if value >= LEAST
    ]


def _matrix(vectors: list[bytes]) -> npt.NDArray[np.float32]:
    return np.stack([np.frombuffer(vector, dtype="<f2") for vector in vectors]).astype(np.float32)


def _unit(rows: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    length = np.linalg.norm(rows, axis=1, keepdims=True)
    return np.asarray(rows / np.maximum(length, np.float32(1e-12)), dtype=np.float32)
