"""One delivery: triage the issue | note a label event | follow the installation | ignore it, why.

Taking the same delivery in twice changes nothing, except that work that died is tried again.
Deliveries come in any order: what decides is the time the payload tells, not the time of arrival.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from app.core.repository_config import DEFAULT_CONFIG
from app.core.text import IssueText
from app.db import configs, work
from app.db.clock import from_now
from app.db.insertion import insert_new
from app.db.learning import Command, Review
from app.db.session import Database
from app.db.tables import Application, Delivery, IssueSnapshot, Outcome
from app.github import events
from app.github.events import Event, Issue, Name
from app.intake import installations
from app.intake.comments import comment_event
from app.intake.installations import learn
from app.intake.issues import issue_event
from app.intake.labels import label_event
from app.intake.verdict import Arrival, Verdict, ignored
from app.queue import Task

_REASON_LENGTH = 200


@dataclass(frozen=True)
class Accepted:
    """What was done with a delivery. `ring` is whom to wake now that it is committed."""

    outcome: Outcome
    reason: str
    duplicate: bool = False
    ring: Task | None = None


def accept(
    database: Database,
    name: str,
    guid: str,
    payload: Mapping[str, object],
    *,
    grace_seconds: float = 0.0,
) -> Accepted:
    """Store the delivery `guid` of event `name` with everything it changes, in one transaction.

    After the return it is committed; ring `Accepted.ring` then. A payload of any shape is accepted,
    and ignored with the reason if it cannot be used. Raises SQLAlchemy's DBAPIError or TimeoutError
    when the database does not take it: nothing is stored then.
    """
    try:
        with database.transaction() as session:
            return _record(session, name, guid, payload, grace_seconds)
    except _Overtaken:
        # Another process stored the same delivery a moment before; now its row is there to see.
        with database.transaction() as session:
            return _record(session, name, guid, payload, grace_seconds)


class _Overtaken(Exception):
    """Somebody else committed this delivery while we were looking at it."""


def _record(
    session: Session, name: str, guid: str, payload: Mapping[str, object], grace_seconds: float
) -> Accepted:
    event, refused = understand(name, payload)
    earlier = session.get(Delivery, guid)
    # What was ignored changed nothing; a second look may end better, if the reason has gone.
    if earlier is not None and earlier.outcome != Outcome.IGNORED:
        return _again(session, earlier, event)
    if refused is not None:
        verdict = ignored(refused)
    else:
        installation, repository = learn(session, event)
        rules = configs.in_force(session, repository.id).config if repository else DEFAULT_CONFIG
        grace = grace_seconds if rules.grace_seconds is None else float(rules.grace_seconds)
        arrival = Arrival(session, guid, grace, event, installation, repository, rules.taxonomy)
        verdict = _JUDGES[Name(name)](arrival)
    stored = columns(name, event, verdict)
    if earlier is not None:
        for column, value in stored.items():
            setattr(earlier, column, value)
    elif not insert_new(session, Delivery, guid=guid, received_at=from_now(), **stored):
        raise _Overtaken
    if verdict.note is not None:
        session.add(verdict.note)
    return Accepted(verdict.outcome, verdict.reason, earlier is not None, verdict.ring)


def columns(name: str, event: Event, verdict: Verdict) -> dict[str, Any]:
    """What is kept of a delivery besides its GUID and when it came."""
    return {
        "event": name,
        "action": event.action or None,
        "installation_id": event.installation.id if event.installation else None,
        "repository_id": event.repository.id if event.repository else None,
        "outcome": verdict.outcome,
        "reason": verdict.reason[:_REASON_LENGTH],
    }


def understand(name: str, payload: Mapping[str, object]) -> tuple[Event, str | None]:
    """The parts we use, and why the delivery is ignored without a further look, if it is."""
    reason = events.unused(name)
    if reason is not None:
        return Event(), reason
    try:
        event = events.read(payload)
    except events.Unusable as error:
        return Event(), f"the payload cannot be used: {error}"
    if event.action not in events.INTEREST[name]:
        return event, "not an action we use"
    if event.installation is None:
        return event, "no installation in the payload: it was not sent to a GitHub App"
    return event, None


def _again(session: Session, earlier: Delivery, event: Event) -> Accepted:
    """A delivery seen before: no second job, but what died of it is tried again."""
    ring = None
    if earlier.outcome == Outcome.COMMAND and event.comment:
        dead = work.revive(session, Command, Command.comment_id == event.comment.id)
        ring = Task.COMMAND if dead else None
    elif event.repository and event.issue:
        if earlier.outcome == Outcome.TRIAGE:
            ring = _revive(session, event.repository.id, event.issue)
        elif earlier.outcome in (Outcome.LABEL_EVENT, Outcome.NOTED):
            ring = _revive_review(session, event.repository.id, event.issue)
    reason = "seen before" if ring is None else "seen before; what had failed is tried again"
    return Accepted(Outcome(earlier.outcome), reason, True, ring)


def _revive(session: Session, repository_id: int, issue: Issue) -> Task | None:
    of_this_text = (
        (IssueSnapshot.repository_id == repository_id)
        & (IssueSnapshot.issue_number == issue.number)
        & (IssueSnapshot.content_hash == IssueText.of(issue.title, issue.body).content_hash)
    )
    if work.revive(session, IssueSnapshot, of_this_text):
        return Task.TRIAGE
    snapshot = select(IssueSnapshot.id).where(of_this_text)
    if work.revive(session, Application, Application.snapshot_id.in_(snapshot)):
        return Task.LABEL
    return None


def _revive_review(session: Session, repository_id: int, issue: Issue) -> Task | None:
    of_this_issue = (Review.repository_id == repository_id) & (Review.issue_number == issue.number)
    return Task.REVIEW if work.revive(session, Review, of_this_issue) else None


_JUDGES: Mapping[Name, Callable[[Arrival], Verdict]] = {
    Name.ISSUES: issue_event,
    Name.ISSUE_COMMENT: comment_event,
    Name.INSTALLATION: installations.installation_event,
    Name.INSTALLATION_REPOSITORIES: installations.selection_event,
    Name.REPOSITORY: installations.repository_event,
    Name.LABEL: label_event,
}
