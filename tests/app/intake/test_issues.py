"""A new issue waits to be triaged, or is ignored with the reason."""

from datetime import UTC, datetime

import pytest
from sqlalchemy import func, select

from app.db import work
from app.db.clock import from_now
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
from app.intake.delivery import accept
from app.queue import Task
from tests.webhooks import BOT, actor, issue_event

OURS = "severity: high"


def test_opened_issue_waits_to_be_triaged_with_everything_it_needs(take, rows, database):
    accepted = take("issues", issue_event(title="Crash", body="Boom\x00"), guid="g-1")
    assert (accepted.outcome, accepted.duplicate, accepted.ring) == (
        Outcome.TRIAGE,
        False,
        Task.TRIAGE,
    )
    [snapshot] = rows(IssueSnapshot)
    assert (snapshot.repository_id, snapshot.issue_number) == (11, 1)
    assert (snapshot.title, snapshot.body, snapshot.author) == ("Crash", "Boom", "ann")
    assert snapshot.observed_at == datetime(2026, 11, 1, 12, tzinfo=UTC)
    assert (snapshot.state, snapshot.attempts) == (State.PENDING, 0)
    [kept] = rows(Repository)
    assert (kept.full_name, kept.private, kept.installation_id) == ("octo/game", False, 5)
    [installation] = rows(Installation)
    assert (installation.id, installation.account) == (5, "octo")
    [delivery] = rows(Delivery, Delivery.guid)
    assert (delivery.guid, delivery.event, delivery.action) == ("g-1", "issues", "opened")
    assert (delivery.installation_id, delivery.repository_id) == (5, 11)
    with database.reading() as session:
        assert work.any_due(session, IssueSnapshot)


def test_grace_lets_the_author_edit_before_it_is_triaged(take, rows, database):
    take("issues", issue_event(), grace_seconds=90)
    [snapshot] = rows(IssueSnapshot)
    with database.reading() as session:
        assert not work.any_due(session, IssueSnapshot)
        wait = (snapshot.due_at - session.scalar(select(from_now()))).total_seconds()
    assert 60 < wait <= 90


def test_reopened_issue_that_was_never_seen_is_triaged(take):
    assert take("issues", issue_event("reopened")).outcome == Outcome.TRIAGE


def test_reopened_issue_with_a_known_text_is_left_alone(take, texts, finish_all):
    take("issues", issue_event(title="Crash"))
    finish_all()
    again = take("issues", issue_event("reopened", title="Crash", at="2026-11-02T00:00:00Z"))
    assert (again.outcome, again.ring) == (Outcome.IGNORED, None)
    assert texts() == [("Crash", "done")]


@pytest.mark.parametrize(
    ("written", "state", "outcome"),
    [
        ([], State.DONE, Outcome.TRIAGE),
        ([], State.PENDING, Outcome.IGNORED),
        ([OURS], State.DONE, Outcome.IGNORED),
    ],
    ids=["closed in time", "on its way", "labelled"],
)
def test_reopened_issue_gets_the_labels_it_was_closed_before(
    take, texts, database, finish_all, written, state, outcome
):
    take("issues", issue_event(title="Crash"))
    finish_all()
    with database.transaction() as session:
        session.add(
            Application(
                snapshot_id=session.scalar(select(IssueSnapshot.id)),
                model_version="m",
                run_id="r",
                wanted={"severity": [OURS]},
                written=written,
                created_at=from_now(),
                due_at=from_now(),
                state=state,
            )
        )
    again = take("issues", issue_event("reopened", title="Crash", at="2026-11-02T00:00:00Z"))
    assert again.outcome == outcome
    assert texts() == [("Crash", "pending" if outcome == Outcome.TRIAGE else "done")]


@pytest.mark.parametrize(
    ("payload", "why"),
    [
        (issue_event(pull_request={"url": "x"}), "pull request"),
        (issue_event(author=BOT), "bot"),
        (issue_event(installation=None), "installation"),
        (issue_event("assigned"), "action"),
        (issue_event("labeled"), "label"),
        (issue_event("labeled", label="x") | {"sender": None}, "sender"),
        ({"action": "opened", "installation": {"id": 5}}, "no issue"),
        (issue_event(number="many"), "issue.number"),
        (issue_event("edited", changes={}), "edited"),
        (issue_event("edited", changes={"milestone": {}}), "edited"),
        ({}, "action"),
    ],
)
def test_ignored_with_the_reason(take, rows, payload, why):
    accepted = take("issues", payload)
    assert (accepted.outcome, accepted.ring) == (Outcome.IGNORED, None)
    assert why in accepted.reason
    [delivery] = rows(Delivery, Delivery.guid)
    assert (delivery.outcome, delivery.reason) == (Outcome.IGNORED, accepted.reason)
    assert rows(IssueSnapshot) == []


@pytest.mark.parametrize("event", ["ping", "push", "issue_comment", "label", "star"])
def test_events_we_do_not_use_are_recorded_unseen(take, rows, event):
    accepted = take(event, {"anything": "at all"})
    assert accepted.outcome == Outcome.IGNORED
    [delivery] = rows(Delivery, Delivery.guid)
    assert (delivery.event, delivery.reason) == (event, accepted.reason)


def test_label_event_keeps_who_did_what_and_when(take, rows):
    payload = issue_event(
        "unlabeled", label="severity: low", sender=actor("eve", 7), at="2026-11-03T00:00:00Z"
    )
    accepted = take("issues", payload, guid="g-1")
    assert (accepted.outcome, accepted.ring) == (Outcome.LABEL_EVENT, None)
    [event] = rows(LabelEvent, LabelEvent.guid)
    assert (event.guid, event.repository_id, event.issue_number) == ("g-1", 11, 1)
    assert (event.label, event.added) == ("severity: low", False)
    assert (event.actor_id, event.actor, event.actor_type) == (7, "eve", "User")
    assert event.happened_at == datetime(2026, 11, 3, tzinfo=UTC)


def test_label_event_of_a_bot_is_kept_as_one(take, rows):
    take("issues", issue_event("labeled", label=OURS, sender=BOT))
    [event] = rows(LabelEvent, LabelEvent.guid)
    assert (event.added, event.actor_type) == (True, "Bot")


def test_label_event_twice_is_kept_once(take, rows):
    for _ in range(2):
        take("issues", issue_event("labeled", label=OURS), guid="g-1")
    assert len(rows(LabelEvent, LabelEvent.guid)) == 1


@pytest.mark.parametrize("action", ["deleted", "transferred"])
def test_issue_that_went_away_is_not_triaged_any_more(take, texts, action):
    take("issues", issue_event(title="Crash"))
    take("issues", issue_event(number=2, title="Stays"))
    assert take("issues", issue_event(action, title="Crash")).outcome == Outcome.WITHDRAWN
    assert texts() == [("Crash", "superseded"), ("Stays", "pending")]


@pytest.mark.parametrize(
    "text", ["", "\x00", "🦀" * 40000, "x" * 65536, "\u202eevil\u202c", "<!-- " * 5000]
)
def test_any_text_is_kept(take, text, database):
    assert take("issues", issue_event(title=text[:256], body=text)).outcome == Outcome.TRIAGE
    with database.reading() as session:
        assert work.any_due(session, IssueSnapshot)


def test_issue_without_a_body_or_an_author_is_triaged(take, rows):
    payload = issue_event(body=None)
    payload["issue"]["user"] = None
    assert take("issues", payload).outcome == Outcome.TRIAGE
    [snapshot] = rows(IssueSnapshot)
    assert (snapshot.body, snapshot.author) == ("", "ghost")


def test_failure_in_the_middle_leaves_nothing(database, rows, monkeypatch):
    monkeypatch.setattr("app.intake.delivery.insert_new", lambda *_, **__: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        accept(database, "issues", "g-1", issue_event())
    with database.reading() as session:
        for table in (Delivery, IssueSnapshot, Repository, Installation):
            assert session.scalar(select(func.count()).select_from(table)) == 0
