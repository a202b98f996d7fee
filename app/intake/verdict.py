"""A delivery that arrived, and what it means."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy.orm import Session

from app.core.taxonomy import DEFAULT_TAXONOMY, Taxonomy
from app.db.tables import Installation, LabelEvent, Outcome, Repository
from app.github.events import Event
from app.queue import Task


@dataclass(frozen=True)
class Verdict:
    """What a payload means. `note` is stored beside the delivery, which must be there first."""

    outcome: Outcome
    reason: str
    ring: Task | None = None
    note: LabelEvent | None = None


@dataclass(frozen=True)
class Arrival:
    """A delivery whose event and action we use, and whom it is about."""

    session: Session
    guid: str
    grace_seconds: float
    event: Event
    installation: Installation
    repository: Repository | None
    taxonomy: Taxonomy = DEFAULT_TAXONOMY


def ignored(reason: str) -> Verdict:
    """Nothing is done with the delivery, and why."""
    return Verdict(Outcome.IGNORED, reason)


def new_issue(action: str) -> Verdict:
    """There is a text to be scored."""
    return Verdict(Outcome.TRIAGE, f"the issue was {action}", Task.TRIAGE)
