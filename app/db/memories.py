"""What people said of a repository's issues, and how a model version sees those issues."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from sqlalchemy import delete, select
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.orm import Session

from app.core.corrections import Change
from app.core.decision import Action
from app.core.text import IssueText
from app.db.corrections import teaching
from app.db.learning import Correction, MemoryVector
from app.db.tables import Application, Decision, IssueSnapshot, Prediction

# Corrections that a repository's memory holds, newest first; older ones are in its model by then.
MOST = 1000
# Issues of which a vector is kept before anybody corrects them.
KEPT = 1000


@dataclass(frozen=True, slots=True)
class Said:
    """People's word on one dimension of one text: `change` None is a label that they let stand.

    Whoever corrected another dimension of that issue had seen it.
    """

    snapshot_id: int
    dimension: str
    label: str
    change: Change | None


@dataclass(frozen=True, slots=True)
class Kept:
    """An issue as a model version sees it. `vector`: float16, little-endian."""

    vector: bytes
    scores: Mapping[str, Mapping[str, float]]


def said(session: Session, repository_id: int, limit: int = MOST) -> list[Said]:
    """The newest `limit` corrections that may teach, oldest first, then what stood beside them.

    Two queries, without any text.
    """
    rows = session.execute(
        select(
            Correction.issue_number,
            Correction.snapshot_id,
            Correction.dimension,
            Correction.labels,
            Correction.change,
        )
        .where(*teaching(repository_id))
        .order_by(Correction.happened_at.desc(), Correction.id.desc())
        .limit(limit)
    ).all()
    spoken = [
        Said(snapshot, dimension, labels[0], Change(change))
        for _, snapshot, dimension, labels, change in reversed(rows)
        if len(labels) == 1 and snapshot is not None
    ]
    looked_at = {
        number: snapshot
        for number, snapshot, _, _, change in rows
        if change != Change.CONFIRMED and snapshot is not None
    }
    return spoken + _stood(session, repository_id, looked_at)


def _stood(session: Session, repository_id: int, looked_at: Mapping[int, int]) -> list[Said]:
    """Labels of ours on these issues, in dimensions of which nobody said anything."""
    if not looked_at:
        return []
    spoken = session.execute(
        select(Correction.issue_number, Correction.dimension).where(
            Correction.repository_id == repository_id, Correction.issue_number.in_(looked_at)
        )
    )
    touched = {(number, dimension) for number, dimension in spoken}
    rows = session.execute(
        select(
            IssueSnapshot.issue_number,
            Prediction.dimension,
            Decision.labels,
            Application.kept,
            Application.undone,
        )
        .join(Prediction, Prediction.snapshot_id == IssueSnapshot.id)
        .join(Decision, Decision.prediction_id == Prediction.id)
        .join(
            Application,
            (Application.snapshot_id == IssueSnapshot.id)
            & (Application.model_version == Prediction.model_version),
        )
        .where(
            IssueSnapshot.repository_id == repository_id,
            IssueSnapshot.issue_number.in_(looked_at),
            Decision.action == Action.APPLY,
            Application.applied_at.is_not(None),
        )
        .order_by(Decision.id)
    )
    standing = {
        (number, dimension): labels[0]
        for number, dimension, labels, kept, undone in rows
        if len(labels) == 1 and dimension not in kept and not undone
    }
    return [
        Said(looked_at[number], dimension, label, None)
        for (number, dimension), label in standing.items()
        if (number, dimension) not in touched
    ]


def seen(session: Session, version: str, snapshot_ids: Collection[int]) -> dict[int, Kept]:
    """How `version` sees those texts, as far as it has seen them."""
    rows = session.execute(
        select(MemoryVector.snapshot_id, MemoryVector.vector, MemoryVector.scores).where(
            MemoryVector.model_version == version, MemoryVector.snapshot_id.in_(snapshot_ids)
        )
    )
    return {snapshot: Kept(vector, scores) for snapshot, vector, scores in rows}


def newest(session: Session, repository_id: int, version: str, limit: int) -> list[bytes]:
    """Vectors of the repository's newest issues."""
    return list(
        session.scalars(
            select(MemoryVector.vector)
            .where(
                MemoryVector.repository_id == repository_id, MemoryVector.model_version == version
            )
            .order_by(MemoryVector.id.desc())
            .limit(limit)
        )
    )


def texts(session: Session, snapshot_ids: Sequence[int]) -> list[tuple[int, IssueText]]:
    """Those texts, as far as they are still there."""
    rows = session.execute(
        select(IssueSnapshot.id, IssueSnapshot.title, IssueSnapshot.body).where(
            IssueSnapshot.id.in_(snapshot_ids)
        )
    )
    return [(snapshot, IssueText(title=title, body=body)) for snapshot, title, body in rows]


def keep(session: Session, repository_id: int, snapshot_id: int, version: str, kept: Kept) -> None:
    """Keep how `version` sees a text, in place of how it saw it before."""
    values = {"vector": kept.vector, "scores": {name: dict(s) for name, s in kept.scores.items()}}
    dialect = session.get_bind().dialect.name
    statement = (sqlite if dialect == "sqlite" else postgresql).insert(MemoryVector)
    # Two workers may read the same issue again at the same time.
    session.execute(
        statement.values(
            repository_id=repository_id,
            snapshot_id=snapshot_id,
            model_version=version,
            **values,
        ).on_conflict_do_update(index_elements=["snapshot_id", "model_version"], set_=values)
    )


def forget(session: Session, repository_id: int, version: str, most: int = KEPT) -> None:
    """Drop all but the newest `most` vectors and those of corrected issues by this `version`."""
    oldest_kept = session.scalar(
        select(MemoryVector.id)
        .where(MemoryVector.repository_id == repository_id)
        .order_by(MemoryVector.id.desc())
        .offset(most)
        .limit(1)
    )
    if oldest_kept is None:
        return
    corrected = select(Correction.snapshot_id).where(*teaching(repository_id))
    session.execute(
        delete(MemoryVector).where(
            MemoryVector.repository_id == repository_id,
            MemoryVector.id <= oldest_kept,
            (MemoryVector.model_version != version) | MemoryVector.snapshot_id.not_in(corrected),
        ),
        execution_options={"synchronize_session": False},
    )
