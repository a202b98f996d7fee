"""Deliveries about one issue: a text to triage, a label event, an issue that is gone."""

from __future__ import annotations

from app.core.text import IssueText
from app.db import coverage, snapshots
from app.db.tables import IssueSnapshot, LabelEvent, Outcome, State
from app.github.events import Action, Event, Issue
from app.intake.verdict import Arrival, Verdict, ignored
from app.queue import Task


def issue_event(arrival: Arrival) -> Verdict:
    """Judge a delivery of the `issues` event."""
    issue, repository, event = arrival.event.issue, arrival.repository, arrival.event
    if issue is None or repository is None:
        return ignored("no issue or repository in the payload")
    if issue.pull_request is not None:
        return ignored("a pull request")
    refusal = coverage.refusal(arrival.installation, repository, issue.updated_at)
    if refusal is not None:
        return ignored(refusal)
    if event.action in (Action.LABELED, Action.UNLABELED):
        return _label_event(arrival, issue, repository.id)
    if issue.user is not None and issue.user.type == "Bot":
        return ignored("opened by a bot")
    snapshots.lock_issue(arrival.session, repository.id, issue.number)
    if event.action in (Action.DELETED, Action.TRANSFERRED):
        _supersede(arrival, repository.id, issue.number, f"the issue was {event.action}")
        return Verdict(Outcome.WITHDRAWN, f"the issue was {event.action}")
    return _new_text(arrival, issue, repository.id)


def _label_event(arrival: Arrival, issue: Issue, repository_id: int) -> Verdict:
    event = arrival.event
    if event.label is None or event.sender is None:
        return ignored("no label or sender in the payload")
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
    return Verdict(Outcome.LABEL_EVENT, f"a label was {event.action}", note=note)


def _new_text(arrival: Arrival, issue: Issue, repository_id: int) -> Verdict:
    event, session, number = arrival.event, arrival.session, issue.number
    if event.action == Action.EDITED and not {"title", "body"} & event.changes.keys():
        return ignored("neither title nor body was edited")
    text = IssueText.of(issue.title, issue.body)
    kept = snapshots.texts(session, repository_id, number)
    if kept and _is_older(event, issue, text, kept[0]):
        return ignored("a newer text of the issue is known")
    if event.action != Action.OPENED and _person_acted(arrival, repository_id, number):
        return ignored("a person has set or removed one of our labels")
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
        return ignored(f"this text is known already ({same.state})")
    return Verdict(Outcome.TRIAGE, f"the issue was {event.action}", Task.TRIAGE)


def _supersede(
    arrival: Arrival, repository_id: int, number: int, reason: str, keep: str | None = None
) -> None:
    snapshots.supersede(arrival.session, repository_id, number, keep=keep, reason=reason)


def _is_older(event: Event, issue: Issue, text: IssueText, newest: IssueSnapshot) -> bool:
    """GitHub's times have whole seconds; within one, only an opening is surely the oldest."""
    if newest.content_hash == text.content_hash:
        return False
    if event.action == Action.OPENED:
        return issue.updated_at <= newest.observed_at
    return issue.updated_at < newest.observed_at


def _person_acted(arrival: Arrival, repository_id: int, number: int) -> bool:
    touched = snapshots.labels_by_people(arrival.session, repository_id, number)
    return any(arrival.taxonomy.owner_of(label) is not None for label in touched)
