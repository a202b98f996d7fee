"""Deliveries about labels: put on an issue, taken off, renamed or deleted in the repository.

None of them says yet who has rights, or what it means for an issue: `worker.review` finds out.
"""

from __future__ import annotations

from app.db import label_names, reviews
from app.db.tables import LabelEvent, Outcome
from app.github.events import Action, Issue
from app.intake.verdict import Arrival, Verdict, ignored


def issue_label_event(arrival: Arrival, issue: Issue, repository_id: int) -> Verdict:
    """Judge `labeled` and `unlabeled` of the `issues` event."""
    event = arrival.event
    added = event.action == Action.LABELED
    if event.sender is None or (event.label is None and added):
        return ignored("no label or sender in the payload")
    note = LabelEvent(
        guid=arrival.guid,
        repository_id=repository_id,
        issue_number=issue.number,
        # Without a name: GitHub strips a label off every issue as it is deleted.
        label=event.label.name if event.label is not None else "",
        added=added,
        actor_id=event.sender.id,
        actor=event.sender.login,
        actor_type=event.sender.type,
        happened_at=issue.updated_at,
    )
    look_again(arrival, issue.number, repository_id)
    return Verdict(Outcome.LABEL_EVENT, f"a label was {event.action}", note=note)


def look_again(arrival: Arrival, number: int, repository_id: int) -> None:
    """Have the issue's corrections derived again; a bot's act matters only after a person's."""
    sender = arrival.event.sender
    by_a_person = sender is not None and sender.type == "User"
    ask = reviews.want if by_a_person else reviews.want_known
    ask(arrival.session, repository_id, number)


def label_event(arrival: Arrival) -> Verdict:
    """Judge a delivery of the `label` event: one was renamed or deleted in the repository.

    The payload tells no time, so nothing here depends on the order of such events.
    """
    event, repository, session = arrival.event, arrival.repository, arrival.session
    if event.label is None or event.label.id is None or repository is None:
        return ignored("no label or repository in the payload")
    label_names.saw(session, repository.id, event.label.name)
    if event.action == Action.DELETED:
        return Verdict(Outcome.NOTED, "a label was deleted: it is not created again")
    before = event.renamed_from
    if before is None or before.casefold() == event.label.name.casefold():
        return ignored("the label was not renamed")
    label_names.saw(session, repository.id, before)
    if label_names.learn(session, repository.id, event.label.id, {before, event.label.name}):
        concerned = label_names.issues_with(session, repository.id, event.label.id)
        reviews.want_many(session, repository.id, concerned)
    return Verdict(Outcome.NOTED, "a label was renamed")
