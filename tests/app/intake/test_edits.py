"""Edits, in any order of arrival: the newest text is triaged, until a person has acted."""

import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from itertools import permutations

import pytest

from app.db import snapshots, work
from app.db.session import Database
from app.db.tables import (
    IssueSnapshot,
    Outcome,
)
from app.intake.delivery import accept
from app.queue import Task
from tests.webhooks import BOT, actor, issue_event

OURS = "severity: high"
OPENED = datetime(2026, 11, 1, 12, tzinfo=UTC)


def test_edit_supersedes_the_text_that_waits(take, texts):
    take("issues", issue_event(title="old"))
    take("issues", issue_event("edited", title="new", at="2026-11-01T12:05:00Z"))
    assert texts() == [("old", "superseded"), ("new", "pending")]


def test_edit_takes_the_lease_from_whoever_scores_the_old_text(take, database):
    take("issues", issue_event(title="old"))
    with database.transaction() as session:
        [row] = work.claim(session, IssueSnapshot, 1, 300)
    take("issues", issue_event("edited", title="new", at="2026-11-01T12:05:00Z"))
    with database.transaction() as session:
        assert work.finish(session, row) is False


def test_edit_after_triage_is_triaged_again(take, texts, finish_all):
    take("issues", issue_event(title="old"))
    finish_all()
    take("issues", issue_event("edited", title="new", at="2026-11-01T12:05:00Z"))
    assert texts() == [("old", "done"), ("new", "pending")]


def test_older_text_that_arrives_late_never_replaces_a_newer_one(take, texts):
    take("issues", issue_event("edited", title="newest", at="2026-11-01T12:10:00Z"))
    late_edit = take("issues", issue_event("edited", title="new", at="2026-11-01T12:05:00Z"))
    late_opening = take("issues", issue_event(title="old"))
    assert late_edit.ring is late_opening.ring is None
    assert texts() == [("newest", "pending"), ("new", "superseded"), ("old", "superseded")]


def test_opening_that_arrives_after_an_edit_of_the_same_second_is_the_older_one(take, texts):
    take("issues", issue_event("edited", title="new"))
    take("issues", issue_event(title="old"))
    assert texts() == [("new", "pending"), ("old", "superseded")]


def test_text_as_filed_is_the_same_in_whatever_order_its_edits_arrive(take, database):
    events = [
        issue_event(title="filed"),
        issue_event("edited", title="second", at="2026-11-01T12:00:00Z"),
        issue_event("labeled", label=OURS, at="2026-11-01T12:03:00Z"),
        issue_event("edited", title="third", at="2026-11-01T12:05:00Z"),
        issue_event("edited", title="filed", at="2026-11-01T12:06:00Z"),
    ]
    for number, order in enumerate(permutations(events[:4]), 1):
        for event in (*order, events[4], order[0]):
            take("issues", event | {"issue": event["issue"] | {"number": number}})
        with database.reading() as session:
            filed = snapshots.filed(session, 11, number)
            assert (filed.title, filed.opened_at) == ("filed", OPENED), order


def test_edits_of_the_same_second_count_in_order_of_arrival(take, texts):
    take("issues", issue_event(title="old"))
    take("issues", issue_event("edited", title="new"))
    assert texts() == [("old", "superseded"), ("new", "pending")]


def test_author_who_returns_to_an_earlier_text_gets_that_one_triaged(take, texts):
    take("issues", issue_event(title="first"))
    take("issues", issue_event("edited", title="second", at="2026-11-01T12:05:00Z"))
    back = take("issues", issue_event("edited", title="first", at="2026-11-01T12:06:00Z"))
    assert back.ring == Task.TRIAGE
    assert texts() == [("first", "pending"), ("second", "superseded")]
    late = take("issues", issue_event("edited", title="third", at="2026-11-01T12:05:30Z"))
    assert late.outcome == Outcome.IGNORED


def test_author_who_returns_to_a_labelled_text_gets_its_labels_back(take, texts, finish_all):
    take("issues", issue_event(title="first"))
    take("issues", issue_event("edited", title="second", at="2026-11-01T12:05:00Z"))
    finish_all()
    back = take("issues", issue_event("edited", title="first", at="2026-11-01T12:06:00Z"))
    assert back.ring == Task.TRIAGE
    assert texts() == [("first", "pending"), ("second", "done")]


def test_labelled_text_that_arrives_again_is_not_labelled_again(take, finish_all):
    take("issues", issue_event(title="first"))
    finish_all()
    again = take("issues", issue_event("edited", title="first", at="2026-11-01T12:06:00Z"))
    assert again.outcome == Outcome.IGNORED


def test_deliveries_of_one_issue_at_the_same_time_leave_one_text_waiting(database, texts):
    start = threading.Barrier(4)

    def edit(n):
        mine = Database(database.url.render_as_string(hide_password=False))
        start.wait()
        payload = issue_event("edited", title=f"text {n}", at=f"2026-11-01T12:0{n}:00Z")
        accept(mine, "issues", f"g-{n}", payload)
        mine.close()

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(edit, range(4)))
    assert [title for title, state in texts() if state == "pending"] == ["text 3"]


@pytest.mark.parametrize("action", ["labeled", "unlabeled"])
def test_edits_change_nothing_once_a_person_has_acted(take, texts, action, finish_all):
    take("issues", issue_event(title="old"))
    finish_all()
    take("issues", issue_event(action, label=OURS.upper(), sender=actor("eve", 7)))
    edited = take("issues", issue_event("edited", title="new", at="2026-11-01T12:05:00Z"))
    assert (edited.outcome, edited.ring) == (Outcome.IGNORED, None)
    assert "person" in edited.reason
    assert texts() == [("old", "done")]


@pytest.mark.parametrize("late", [True, False])
def test_an_edit_that_is_the_first_we_hear_of_an_issue_is_triaged_whoever_acted(take, texts, late):
    take("issues", issue_event("labeled", label=OURS, sender=actor("eve", 7)))
    edited = take("issues", issue_event("edited", title="new", at="2026-11-01T12:05:00Z"))
    assert edited.outcome == Outcome.TRIAGE
    if late:
        take("issues", issue_event(title="old"))
    assert [title for title, state in texts() if state == "pending"] == ["new"]


@pytest.mark.parametrize(
    "event",
    [
        issue_event("labeled", label=OURS, sender=BOT),
        issue_event("labeled", label="good first issue"),
        issue_event("labeled", label=OURS, number=2),
    ],
    ids=["a bot", "a label that is not ours", "another issue"],
)
def test_edits_count_while_no_person_has_decided(take, texts, event):
    take("issues", issue_event(title="old"))
    take("issues", event)
    take("issues", issue_event("edited", title="new", at="2026-11-01T12:05:00Z"))
    assert texts() == [("old", "superseded"), ("new", "pending")]
