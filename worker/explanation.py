"""Why an issue has the labels it has: what the model said, what was needed, what people did.

Read from the database alone: the process that answers comments has no model.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from app.core.commands import named, quoted
from app.core.decision import Action
from app.core.taxonomy import Dimension
from app.db import words
from app.db.configs import InForce
from app.db.learning import Correction
from app.db.tables import Application, Decision, IssueSnapshot, Prediction
from worker.nearest import nearest

MARKER = "<!-- triora:explanation -->"
# Beside the likeliest label, those that might have been it.
RUNNERS_UP = 2
_DONE = {Action.APPLY: "labelled", Action.SUGGEST: "proposed", Action.ABSTAIN: "not labelled"}


def explain(session: Session, repository_id: int, number: int, force: InForce) -> str:
    """Markdown for one comment, MARKER first."""
    found = _newest(session, repository_id, number)
    if found is None:
        return f"{MARKER}\nThis issue has not been triaged yet. `/triage rerun` does it now."
    snapshot, version = found
    spoken = {
        prediction.dimension: (prediction, decision)
        for prediction, decision in session.execute(
            select(Prediction, Decision)
            .outerjoin(Decision, Decision.prediction_id == Prediction.id)
            .where(Prediction.snapshot_id == snapshot.id, Prediction.model_version == version)
        )
    }
    application = session.scalar(
        select(Application).where(
            Application.snapshot_id == snapshot.id, Application.model_version == version
        )
    )
    rows = [
        _row(dimension, *spoken[dimension.name], application)
        for dimension in force.config.taxonomy.dimensions
        if dimension.name in spoken
    ]
    return "\n".join(
        [
            MARKER,
            f"What the model {quoted(version)} says of this issue:",
            "",
            "| | most likely | probability | needed | outcome |",
            "|---|---|--:|--:|---|",
            *rows,
            *_notes(
                _corrected(session, repository_id, number)
                + _near(session, snapshot, version, force)
                + _standing(session, repository_id, number, force)
            ),
        ]
    )


def _newest(session: Session, repository_id: int, number: int) -> tuple[IssueSnapshot, str] | None:
    """The text the model saw last, and the model version that saw it last."""
    found = session.execute(
        select(IssueSnapshot, Prediction.model_version)
        .join(Prediction, Prediction.snapshot_id == IssueSnapshot.id)
        .outerjoin(Decision, Decision.prediction_id == Prediction.id)
        .where(IssueSnapshot.repository_id == repository_id, IssueSnapshot.issue_number == number)
        .order_by(IssueSnapshot.observed_at.desc(), Prediction.id.desc())
        .limit(1)
    ).first()
    return (found[0], found[1]) if found is not None else None


def _row(
    dimension: Dimension,
    prediction: Prediction,
    decision: Decision | None,
    application: Application | None,
) -> str:
    shifted = decision.scores if decision is not None else None
    ordered = sorted((shifted or prediction.scores).items(), key=lambda item: -item[1])
    best, likely = ordered[0]
    # Both are shown where corrections have moved it: what was decided on, and the model's own.
    own = f" (without corrections {_percent(prediction.scores.get(best, 0.0))})" if shifted else ""
    others = ", ".join(f"{named(name)} {_percent(p)}" for name, p in ordered[1 : 1 + RUNNERS_UP])
    threshold = decision.threshold if decision is not None else None
    cells = (
        named(dimension.called),
        f"**{named(best)}** (then {others})",
        f"{_percent(likely)}{own}",
        _percent(threshold) if threshold is not None else "–",
        _outcome(dimension, decision, application),
    )
    return f"| {' | '.join(cell.replace('|', '/') for cell in cells)} |"


def _outcome(
    dimension: Dimension, decision: Decision | None, application: Application | None
) -> str:
    if not dimension.written:
        return "not a label"
    kept: Mapping[str, Any] = application.kept if application is not None else {}
    if dimension.name in kept:
        return f"left alone: {kept[dimension.name]}"
    if decision is None:
        return "–"
    said = f"{_DONE.get(Action(decision.action), decision.action)}: {decision.reason}"
    ours = {label.github for label in dimension.labels}
    if application is not None and ours.intersection(application.undone or ()):
        return f"{said}; taken back since"
    return said


def _corrected(session: Session, repository_id: int, number: int) -> list[str]:
    """What people said of this issue."""
    corrected = session.scalars(
        select(Correction)
        .where(Correction.repository_id == repository_id, Correction.issue_number == number)
        .order_by(Correction.dimension)
    )
    return [
        f"{quoted(row.actor)} {row.change} {named(row.dimension)}: "
        + (", ".join(quoted(label) for label in row.labels) or "none")
        for row in corrected
    ]


def _near(session: Session, snapshot: IssueSnapshot, version: str, force: InForce) -> list[str]:
    """Corrected issues that shifted the scores, if the repository remembers any.

    As code: a link would be announced on those issues.
    """
    if not force.config.memory:
        return []
    found = nearest(session, snapshot.repository_id, snapshot.id, version)
    near = "; ".join(f"{quoted(f'#{it.number}')} ({_listed(it.labels)})" for it in found)
    return [f"nearest corrected issues: {near}"] if near else []


def _listed(labels: Mapping[str, str]) -> str:
    return ", ".join(f"{named(dimension)}: {named(label)}" for dimension, label in labels.items())


def _standing(session: Session, repository_id: int, number: int, force: InForce) -> list[str]:
    notes = []
    if words.hands_off(session, repository_id, number):
        notes.append("the bot keeps off this issue since `/triage undo`, until `/triage rerun`")
    if force.paused:
        notes.append("triage is paused in this repository")
    return notes


def _notes(notes: list[str]) -> list[str]:
    return ["", *(f"- {note}" for note in notes)] if notes else []


def _percent(share: float) -> str:
    return f"{100 * share:.0f} %"
