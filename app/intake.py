"""One delivery: triage the issue | note a label event | follow the installation | ignore it, why.

Taking the same delivery in twice changes nothing, except that work that died is tried again.
Deliveries come in any order: what decides is the time the payload tells, not the time of arrival.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from sqlalchemy import select
from sqlalchemy.orm import Session

from app.core.taxonomy import DEFAULT_TAXONOMY, Taxonomy
from app.core.text import IssueText
from app.db import coverage, snapshots, work
from app.db.clock import from_now
from app.db.insertion import insert_new
from app.db.session import Database
from app.db.tables import (
    Application,
    Delivery,
    Installation,
    IssueSnapshot,
    LabelEvent,
    Outcome,
    Repository,
    State,
)
from app.github import events
from app.github.events import Action, Event, Issue, Name
from app.queue import Task

_REASON_LENGTH = 200


@dataclass(frozen=True)
class Accepted:
    """What was done with a delivery. `ring` is whom to wake now that it is committed."""

    outcome: Outcome
    reason: str
    duplicate: bool = False
    ring: Task | None = None


@dataclass(frozen=True)
class _Verdict:
    """What a payload means. `note` is stored beside the delivery, which must be there first."""

    outcome: Outcome
    reason: str
    ring: Task | None = None
    note: LabelEvent | None = None


@dataclass(frozen=True)
class _Arrival:
    """A delivery whose event and action we use, and whom it is about."""

    session: Session
    guid: str
    grace_seconds: float
    event: Event
    installation: Installation
    repository: Repository | None
    taxonomy: Taxonomy = DEFAULT_TAXONOMY


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
    event, refused = _understand(name, payload)
    earlier = session.get(Delivery, guid)
    # What was ignored changed nothing; a second look may end better, if the reason has gone.
    if earlier is not None and earlier.outcome != Outcome.IGNORED:
        return _again(session, earlier, event)
    if refused is not None:
        verdict = _ignored(refused)
    else:
        installation, repository = _learn(session, event)
        arrival = _Arrival(session, guid, grace_seconds, event, installation, repository)
        verdict = _JUDGES[Name(name)](arrival)
    stored = {
        "event": name,
        "action": event.action or None,
        "installation_id": event.installation.id if event.installation else None,
        "repository_id": event.repository.id if event.repository else None,
        "outcome": verdict.outcome,
        "reason": verdict.reason[:_REASON_LENGTH],
    }
    if earlier is not None:
        for column, value in stored.items():
            setattr(earlier, column, value)
    elif not insert_new(session, Delivery, guid=guid, received_at=from_now(), **stored):
        raise _Overtaken
    if verdict.note is not None:
        session.add(verdict.note)
    return Accepted(verdict.outcome, verdict.reason, earlier is not None, verdict.ring)


def _understand(name: str, payload: Mapping[str, object]) -> tuple[Event, str | None]:
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
    if earlier.outcome == Outcome.TRIAGE and event.repository and event.issue:
        ring = _revive(session, event.repository.id, event.issue)
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


def _learn(session: Session, event: Event) -> tuple[Installation, Repository | None]:
    if event.installation is None:
        raise ValueError("the caller looks for an installation first")
    account, owner = event.installation.account, event.repository and event.repository.owner
    installation = coverage.learn_installation(
        session,
        event.installation.id,
        account=account.login if account else "",
        guess=owner.login if owner else "",
    )
    if event.repository is None:
        return installation, None
    return installation, _learn_repository(session, installation, event.repository)


def _learn_repository(
    session: Session, installation: Installation, seen: events.Repository
) -> Repository:
    return coverage.learn_repository(
        session, installation, seen.id, seen.full_name, private=seen.private
    )


def _issue_event(arrival: _Arrival) -> _Verdict:
    issue, repository, event = arrival.event.issue, arrival.repository, arrival.event
    if issue is None or repository is None:
        return _ignored("no issue or repository in the payload")
    if issue.pull_request is not None:
        return _ignored("a pull request")
    refusal = coverage.refusal(arrival.installation, repository, issue.updated_at)
    if refusal is not None:
        return _ignored(refusal)
    if event.action in (Action.LABELED, Action.UNLABELED):
        return _label_event(arrival, issue, repository.id)
    if issue.user is not None and issue.user.type == "Bot":
        return _ignored("opened by a bot")
    snapshots.lock_issue(arrival.session, repository.id, issue.number)
    if event.action in (Action.DELETED, Action.TRANSFERRED):
        _supersede(arrival, repository.id, issue.number, f"the issue was {event.action}")
        return _Verdict(Outcome.WITHDRAWN, f"the issue was {event.action}")
    return _new_text(arrival, issue, repository.id)


def _label_event(arrival: _Arrival, issue: Issue, repository_id: int) -> _Verdict:
    event = arrival.event
    if event.label is None or event.sender is None:
        return _ignored("no label or sender in the payload")
    note = LabelEvent(
        guid=arrival.guid,
        repository_id=repository_id,
        issue_number=issue.number,
        label=event.label.name,
        added=event.action == Action.LABELED,
        actor_id=event.sender.id,
        actor=event.sender.login,
        actor_type=event.sender.type,
        happened_at=issue.updated_at,
    )
    # Who counts (a person with triage rights, never ourselves) is for the reader to decide.
    return _Verdict(Outcome.LABEL_EVENT, f"a label was {event.action}", note=note)


def _new_text(arrival: _Arrival, issue: Issue, repository_id: int) -> _Verdict:
    event, session, number = arrival.event, arrival.session, issue.number
    if event.action == Action.EDITED and not {"title", "body"} & event.changes.keys():
        return _ignored("neither title nor body was edited")
    text = IssueText.of(issue.title, issue.body)
    kept = snapshots.texts(session, repository_id, number)
    if kept and _is_older(event, issue, text, kept[0]):
        return _ignored("a newer text of the issue is known")
    if event.action != Action.OPENED and _person_acted(arrival, repository_id, number):
        return _ignored("a person has set or removed one of our labels")
    same = next((row for row in kept if row.content_hash == text.content_hash), None)
    if same is not None:
        same.observed_at = max(same.observed_at, issue.updated_at)
    if kept:
        why = "a newer text of the issue arrived"
        _supersede(arrival, repository_id, number, why, keep=text.content_hash)
    if same is None:
        author = issue.user.login if issue.user else "ghost"
        at, grace = issue.updated_at, arrival.grace_seconds
        snapshots.add(session, repository_id, number, author, text, at, grace)
    elif same.state in (State.SUPERSEDED, State.DEAD) or kept[0] is not same:
        # An author may return to a text after another one, which may have been labelled since.
        snapshots.reopen(same, arrival.grace_seconds)
    elif event.action == Action.REOPENED and snapshots.went_unlabelled(session, same):
        # It was closed by the time its labels were to be written.
        snapshots.reopen(same, arrival.grace_seconds)
    else:
        return _ignored(f"this text is known already ({same.state})")
    return _Verdict(Outcome.TRIAGE, f"the issue was {event.action}", Task.TRIAGE)


def _supersede(
    arrival: _Arrival, repository_id: int, number: int, reason: str, keep: str | None = None
) -> None:
    snapshots.supersede(arrival.session, repository_id, number, keep=keep, reason=reason)


def _is_older(event: Event, issue: Issue, text: IssueText, newest: IssueSnapshot) -> bool:
    """GitHub's times have whole seconds; within one, only an opening is surely the oldest."""
    if newest.content_hash == text.content_hash:
        return False
    if event.action == Action.OPENED:
        return issue.updated_at <= newest.observed_at
    return issue.updated_at < newest.observed_at


def _person_acted(arrival: _Arrival, repository_id: int, number: int) -> bool:
    touched = snapshots.labels_by_people(arrival.session, repository_id, number)
    return any(arrival.taxonomy.owner_of(label) is not None for label in touched)


def _installation_event(arrival: _Arrival) -> _Verdict:
    event, installation = arrival.event, arrival.installation
    match event.action:
        case Action.DELETED:
            coverage.end_installation(arrival.session, installation)
        case Action.SUSPEND:
            told = event.installation.suspended_at if event.installation else None
            installation.suspended_at = told or from_now()
        case Action.UNSUSPEND:
            installation.suspended_at = None
            _resume(arrival)
        case Action.NEW_PERMISSIONS_ACCEPTED:
            _resume(arrival)
        case Action.CREATED:
            _cover(arrival, event.repositories)
    return _Verdict(Outcome.INSTALLATION, f"installation {event.action}")


def _resume(arrival: _Arrival) -> None:
    """An owner acted: what GitHub refused or was put off until then is due. The sweep rings."""
    texts = coverage.texts_of(arrival.installation.id)
    ours = Application.snapshot_id.in_(texts)
    work.revive(arrival.session, Application, ours)
    work.hasten(arrival.session, Application, ours)
    work.hasten(arrival.session, IssueSnapshot, IssueSnapshot.id.in_(texts))


def _selection_event(arrival: _Arrival) -> _Verdict:
    _cover(arrival, arrival.event.repositories_added)
    gone = [repository.id for repository in arrival.event.repositories_removed]
    coverage.remove_repositories(arrival.session, arrival.installation, gone)
    return _Verdict(Outcome.INSTALLATION, f"repositories {arrival.event.action}")


def _cover(arrival: _Arrival, repositories: Iterable[events.Repository]) -> None:
    # In one order everywhere, so that two transactions never wait for each other in a circle.
    for seen in sorted(repositories, key=lambda repository: repository.id):
        repository = _learn_repository(arrival.session, arrival.installation, seen)
        if repository.installation_id == arrival.installation.id:
            repository.removed_at = None


def _repository_event(arrival: _Arrival) -> _Verdict:
    event, repository = arrival.event, arrival.repository
    if event.repository is None or repository is None:
        return _ignored("no repository in the payload")
    owner = event.repository.owner.login if event.repository.owner else ""
    moved = event.action == Action.TRANSFERRED and owner != arrival.installation.account
    if event.action == Action.DELETED or moved:
        coverage.remove_repositories(arrival.session, arrival.installation, [repository.id])
    return _Verdict(Outcome.INSTALLATION, f"repository {event.action}")


def _ignored(reason: str) -> _Verdict:
    return _Verdict(Outcome.IGNORED, reason)


_JUDGES: Mapping[Name, Callable[[_Arrival], _Verdict]] = {
    Name.ISSUES: _issue_event,
    Name.INSTALLATION: _installation_event,
    Name.INSTALLATION_REPOSITORIES: _selection_event,
    Name.REPOSITORY: _repository_event,
}
