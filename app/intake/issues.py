"""Deliveries about one issue: a text to triage, a label event, an issue that is gone."""

from __future__ import annotations

from collections.abc import Sequence

from app.core.text import IssueText
from app.db import coverage, label_names, reviews, snapshots, words
from app.db.tables import IssueSnapshot, Outcome, State
from app.github.events import Action, Event, Issue
from app.intake.labels import issue_label_event, look_again
from app.intake.verdict import Arrival, Verdict, ignored, new_issue


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
    snapshots.lock_issue(arrival.session, repository.id, issue.number)
    match event.action:
        case Action.LABELED | Action.UNLABELED:
            return issue_label_event(arrival, issue, repository.id)
        case Action.DELETED | Action.TRANSFERRED:
            return _withdraw(arrival, issue, repository.id)
        case Action.CLOSED:
            look_again(arrival, issue.number, repository.id)
            return Verdict(Outcome.NOTED, "the issue was closed")
    if issue.user is not None and issue.user.type == "Bot":
        return ignored("opened by a bot")
    if event.action == Action.REOPENED:
        reviews.want_known(arrival.session, repository.id, issue.number)
    return _new_text(arrival, issue, repository.id)


def _withdraw(arrival: Arrival, issue: Issue, repository_id: int) -> Verdict:
    """The issue left the repository; what was learnt of it there goes with it."""
    why = f"the issue was {arrival.event.action}"
    _supersede(arrival, repository_id, issue.number, why)
    reviews.forget(arrival.session, repository_id, issue.number, why)
    return Verdict(Outcome.WITHDRAWN, why)


def _new_text(arrival: Arrival, issue: Issue, repository_id: int) -> Verdict:
    event, session, number = arrival.event, arrival.session, issue.number
    if event.action == Action.EDITED and not {"title", "body"} & event.changes.keys():
        return ignored("neither title nor body was edited")
    text = IssueText.of(issue.title, issue.body)
    kept = snapshots.texts(session, repository_id, number)
    same = next((row for row in kept if row.content_hash == text.content_hash), None)
    if same is not None and snapshots.seen_earlier(kept, same, issue.updated_at):
        reviews.want_known(session, repository_id, number)
    if kept and _is_older(event, issue, text, kept[0]):
        return _as_filed(arrival, issue, repository_id, kept, "a newer text of the issue is known")
    # Of an issue nobody told us of yet, the other dimensions are still to be labelled.
    if kept and event.action != Action.OPENED and _person_acted(arrival, repository_id, number):
        why = "a person has set or removed one of our labels"
        return _as_filed(arrival, issue, repository_id, kept, why)
    if same is not None:
        same.observed_at = max(same.observed_at, issue.updated_at)
    if kept:
        why = "a newer text of the issue arrived"
        _supersede(arrival, repository_id, number, why, keep=text.content_hash)
    if same is None:
        author = issue.user.login if issue.user else "ghost"
        at, grace = issue.updated_at, arrival.grace_seconds
        snapshots.add(
            session, repository_id, number, author, text, at, grace, opened_at=issue.created_at
        )
        reviews.want_known(session, repository_id, number)
    elif same.state in (State.SUPERSEDED, State.DEAD) or kept[0] is not same:
        # An author may return to a text after another one, which may have been labelled since.
        snapshots.reopen(same, arrival.grace_seconds)
    elif event.action == Action.REOPENED and snapshots.went_unlabelled(session, same):
        # It was closed by the time its labels were to be written.
        snapshots.reopen(same, arrival.grace_seconds)
    else:
        return ignored(f"this text is known already ({same.state})")
    return new_issue(event.action)


def _as_filed(
    arrival: Arrival, issue: Issue, repository_id: int, kept: Sequence[IssueSnapshot], why: str
) -> Verdict:
    """Ignore the text, and why; but keep it if it is the earliest: it is what was filed.

    So it does not matter which of an issue's deliveries comes first.
    """
    session, number = arrival.session, issue.number
    text = IssueText.of(issue.title, issue.body)
    before = snapshots.before_all(kept)
    opening = arrival.event.action == Action.OPENED
    if any(row.content_hash == text.content_hash for row in kept) or (
        before is not None and not opening and issue.updated_at > before
    ):
        return ignored(why)
    author = issue.user.login if issue.user else "ghost"
    at = min(issue.updated_at, before) if before is not None else issue.updated_at
    snapshots.add(
        session,
        repository_id,
        number,
        author,
        text,
        at,
        0.0,
        opened_at=issue.created_at,
        superseded=why,
    )
    reviews.want_known(session, repository_id, number)
    return Verdict(Outcome.NOTED, f"{why}; kept as the text that was filed")


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
    session = arrival.session
    touched = {
        *snapshots.labels_by_people(session, repository_id, number),
        *words.labels(session, repository_id, number),
    }
    known = arrival.taxonomy
    aliases = label_names.aliases(session, repository_id)
    return words.hands_off(session, repository_id, number) or any(
        known.owner_of(aliases.canonical(label, known)) is not None for label in touched
    )
