"""What was predicted for each issue and what became of it, for people and scripts to read."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from datetime import datetime
from enum import StrEnum
from typing import TypeVar

from pydantic import BaseModel
from sqlalchemy import Select, select
from sqlalchemy.orm import Session, defer

from app.db import runs
from app.db.tables import (
    Application,
    Decision,
    IssueSnapshot,
    Prediction,
    Repository,
    State,
    Work,
)


class Answer(BaseModel):
    """One dimension: the model's probability per label, and the decision with its reason.

    `shifted` is what the repository's memory of corrections made of the probabilities, where it had
    anything to say: then the decision was made on it.
    """

    probabilities: dict[str, float]
    shifted: dict[str, float] | None = None
    action: str
    labels: list[str]
    reason: str


class Stage(StrEnum):
    """How far an issue is. DEAD waits for a person."""

    WAITING = "waiting"
    LABELLING = "labelling"
    DONE = "done"
    DEAD = "dead"


class Line(BaseModel):
    """An issue as it was last seen. Times are UTC; `labelled_at` only if something was written."""

    repository: str
    number: int
    stage: Stage
    model: str | None = None
    dimensions: dict[str, Answer] = {}
    written: list[str] = []
    received_at: datetime
    predicted_at: datetime | None = None
    labelled_at: datetime | None = None
    error: str | None = None


def latest(session: Session, repository: str | None = None) -> Iterator[Line]:
    """The newest snapshot of every issue, oldest issue first, with its newest prediction.

    Of all repositories, or of the one of that name; ConfigProblem if there is none.
    """
    place = runs.repository_of(session, repository, left=True).id if repository else None
    query = (
        select(IssueSnapshot, Repository.full_name)
        .join(Repository, Repository.id == IssueSnapshot.repository_id)
        .where(IssueSnapshot.state != State.SUPERSEDED)
        .options(defer(IssueSnapshot.title), defer(IssueSnapshot.body))
        # An author may return to an older text: its row is old, and it was seen last.
        .order_by(IssueSnapshot.observed_at, IssueSnapshot.id)
    )
    if place is not None:
        query = query.where(IssueSnapshot.repository_id == place)
    newest: dict[tuple[int, int], tuple[IssueSnapshot, str]] = {}
    opened: dict[tuple[int, int], int] = {}
    for snapshot, name in session.execute(query):
        issue = snapshot.repository_id, snapshot.issue_number
        newest[issue] = (snapshot, name)
        opened[issue] = min(opened.get(issue, snapshot.id), snapshot.id)
    answers = _answers(session, place)
    applications = {
        row.snapshot_id: row
        for row in session.scalars(_of(Application, place).order_by(Application.id))
    }
    for issue in sorted(newest, key=opened.__getitem__):
        snapshot, name = newest[issue]
        application = applications.get(snapshot.id)
        model, predicted_at, dimensions = answers.get(snapshot.id, (None, None, {}))
        yield Line(
            repository=name,
            number=snapshot.issue_number,
            stage=_stage(snapshot, application),
            model=model,
            dimensions=dimensions,
            written=application.written if application else [],
            received_at=snapshot.created_at,
            predicted_at=predicted_at,
            labelled_at=application.applied_at if application else None,
            error=snapshot.error or (application.error if application else None),
        )


def _stage(snapshot: IssueSnapshot, application: Application | None) -> Stage:
    rows: list[Work] = [snapshot, application] if application else [snapshot]
    if any(row.state == State.DEAD for row in rows):
        return Stage.DEAD
    if snapshot.state == State.PENDING:
        return Stage.WAITING
    return Stage.LABELLING if rows[-1].state == State.PENDING else Stage.DONE


Answered = tuple[str, datetime, dict[str, Answer]]


T = TypeVar("T", Application, Prediction)


def _of(table: type[T], place: int | None) -> Select[T]:
    """Rows that belong to a snapshot, those of one repository if it is given."""
    query = select(table)
    if place is None:
        return query
    return query.join(IssueSnapshot, IssueSnapshot.id == table.snapshot_id).where(
        IssueSnapshot.repository_id == place
    )


def _answers(session: Session, place: int | None) -> dict[int, Answered]:
    """Per snapshot: version, time and answers of the model that spoke last."""
    query = (
        _of(Prediction, place)
        .outerjoin(Decision, Decision.prediction_id == Prediction.id)
        .add_columns(Decision)
    )
    spoken: defaultdict[int, dict[str, Answered]] = defaultdict(dict)
    for prediction, decision in session.execute(query.order_by(Prediction.id)):
        version = prediction.model_version
        _, _, dimensions = spoken[prediction.snapshot_id].setdefault(
            version, (version, prediction.created_at, {})
        )
        dimensions[prediction.dimension] = Answer(
            probabilities=prediction.scores,
            shifted=decision.scores if decision else None,
            action=decision.action if decision else "none",
            labels=decision.labels if decision else [],
            reason=decision.reason if decision else "not written",
        )
    return {snapshot: list(versions.values())[-1] for snapshot, versions in spoken.items()}
