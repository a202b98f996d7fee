"""Intake: what each delivery does, in any order and any number of times."""

import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from uuid import uuid4

import pytest
from sqlalchemy import func, select, update

from app.db import work
from app.db.clock import from_now
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
from app.intake import accept
from app.queue import Task
from tests.webhooks import BOT, actor, installation_event, issue_event, repository

OURS = "severity: high"


@pytest.fixture
def take(database):
    """Take one delivery in: `take(event, payload, guid=None)`."""

    def take(event, payload, guid=None, **options):
        return accept(database, event, guid or str(uuid4()), payload, **options)

    return take


@pytest.fixture
def rows(database):
    """All rows of a table, oldest first."""

    def rows(table, order=None):
        with database.reading() as session:
            return list(session.scalars(select(table).order_by(order or table.id)))

    return rows


@pytest.fixture
def texts(rows):
    """(title, state) of every kept text, oldest first."""
    return lambda: [(row.title, str(row.state)) for row in rows(IssueSnapshot)]


def pending(database):
    with database.reading() as session:
        return work.counts(session, IssueSnapshot)[State.PENDING]


def finish_all(database, state=State.DONE):
    with database.transaction() as session:
        session.execute(update(IssueSnapshot).values(state=state))


# A new issue


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


def test_reopened_issue_with_a_known_text_is_left_alone(take, texts, database):
    take("issues", issue_event(title="Crash"))
    finish_all(database)
    again = take("issues", issue_event("reopened", title="Crash", at="2026-11-02T00:00:00Z"))
    assert (again.outcome, again.ring) == (Outcome.IGNORED, None)
    assert texts() == [("Crash", "done")]


@pytest.mark.parametrize(
    ("payload", "why"),
    [
        (issue_event(pull_request={"url": "x"}), "pull request"),
        (issue_event(author=BOT), "bot"),
        (issue_event(installation=None), "installation"),
        (issue_event("closed"), "action"),
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


# The same delivery again


def test_duplicate_makes_no_second_job(take, rows):
    first = take("issues", issue_event(), guid="g-1")
    again = take("issues", issue_event(), guid="g-1")
    assert (first.duplicate, again.duplicate) == (False, True)
    assert again.ring is None
    assert len(rows(IssueSnapshot)) == len(rows(Delivery, Delivery.guid)) == 1


def test_same_delivery_at_the_same_time_from_several_processes_makes_one_job(database, rows):
    start = threading.Barrier(4)

    def once(_):
        mine = Database(database.url.render_as_string(hide_password=False))
        start.wait()
        accepted = accept(mine, "issues", "g-1", issue_event())
        mine.close()
        return accepted.duplicate

    with ThreadPoolExecutor(4) as pool:
        assert sorted(pool.map(once, range(4))) == [False, True, True, True]
    assert len(rows(IssueSnapshot)) == len(rows(Delivery, Delivery.guid)) == 1


def test_redelivery_reopens_an_issue_that_died(take, texts, database):
    take("issues", issue_event(title="Crash"), guid="g-1")
    finish_all(database, State.DEAD)
    again = take("issues", issue_event(title="Crash"), guid="g-1")
    assert (again.duplicate, again.ring) == (True, Task.TRIAGE)
    assert texts() == [("Crash", "pending")]


def test_redelivery_reopens_labels_that_died(take, rows, database):
    take("issues", issue_event(), guid="g-1")
    finish_all(database)
    [snapshot] = rows(IssueSnapshot)
    with database.transaction() as session:
        session.add(
            Application(
                snapshot_id=snapshot.id,
                model_version="m",
                run_id="r",
                wanted={},
                created_at=from_now(),
                due_at=from_now(),
                state=State.DEAD,
            )
        )
    assert take("issues", issue_event(), guid="g-1").ring == Task.LABEL
    assert [str(row.state) for row in rows(Application)] == ["pending"]


def test_redelivery_of_a_done_issue_does_nothing(take, texts, database):
    take("issues", issue_event(title="Crash"), guid="g-1")
    finish_all(database)
    assert take("issues", issue_event(title="Crash"), guid="g-1").ring is None
    assert texts() == [("Crash", "done")]


def test_redelivery_of_an_ignored_delivery_is_looked_at_again(take, rows):
    take("installation", installation_event("suspend"))
    assert take("issues", issue_event(), guid="g-1").outcome == Outcome.IGNORED
    take("installation", installation_event("unsuspend"))
    assert take("issues", issue_event(), guid="g-1").outcome == Outcome.TRIAGE
    [stored] = [row for row in rows(Delivery, Delivery.guid) if row.guid == "g-1"]
    assert stored.outcome == Outcome.TRIAGE


# Edits, in any order


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


def test_edit_after_triage_is_triaged_again(take, texts, database):
    take("issues", issue_event(title="old"))
    finish_all(database)
    take("issues", issue_event("edited", title="new", at="2026-11-01T12:05:00Z"))
    assert texts() == [("old", "done"), ("new", "pending")]


def test_older_text_that_arrives_late_never_replaces_a_newer_one(take, texts):
    take("issues", issue_event("edited", title="newest", at="2026-11-01T12:10:00Z"))
    late_edit = take("issues", issue_event("edited", title="new", at="2026-11-01T12:05:00Z"))
    late_opening = take("issues", issue_event(title="old"))
    assert late_edit.outcome == late_opening.outcome == Outcome.IGNORED
    assert texts() == [("newest", "pending")]


def test_opening_that_arrives_after_an_edit_of_the_same_second_is_the_older_one(take, texts):
    take("issues", issue_event("edited", title="new"))
    take("issues", issue_event(title="old"))
    assert texts() == [("new", "pending")]


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
def test_edits_change_nothing_once_a_person_has_acted(take, texts, database, action):
    take("issues", issue_event(title="old"))
    finish_all(database)
    take("issues", issue_event(action, label=OURS.upper(), sender=actor("eve", 7)))
    edited = take("issues", issue_event("edited", title="new", at="2026-11-01T12:05:00Z"))
    assert (edited.outcome, edited.ring) == (Outcome.IGNORED, None)
    assert "person" in edited.reason
    assert texts() == [("old", "done")]


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


# Labels


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


# Issues that go away


@pytest.mark.parametrize("action", ["deleted", "transferred"])
def test_issue_that_went_away_is_not_triaged_any_more(take, texts, action):
    take("issues", issue_event(title="Crash"))
    take("issues", issue_event(number=2, title="Stays"))
    assert take("issues", issue_event(action, title="Crash")).outcome == Outcome.WITHDRAWN
    assert texts() == [("Crash", "superseded"), ("Stays", "pending")]


# Installations and repositories


def test_installation_brings_its_repositories(take, rows):
    listed = [
        {"id": 12, "name": "b", "full_name": "octo/b", "private": True},
        {"id": 11, "name": "a", "full_name": "octo/a", "private": False},
    ]
    accepted = take("installation", installation_event("created", repositories=listed))
    assert accepted.outcome == Outcome.INSTALLATION
    assert [(row.id, row.full_name, row.private) for row in rows(Repository)] == [
        (11, "octo/a", False),
        (12, "octo/b", True),
    ]


def test_installation_that_arrives_after_its_first_issue_corrects_the_account(take, rows):
    take("issues", issue_event())
    account = actor("acme", 100, "Organization")
    take("installation", installation_event("created", installation={"account": account}))
    assert [row.account for row in rows(Installation)] == ["acme"]


def test_uninstalled_app_does_nothing_more(take, rows):
    take("installation", installation_event("deleted"))
    accepted = take("issues", issue_event(at="2099-01-01T00:00:00Z"))
    assert (accepted.outcome, accepted.reason) == (Outcome.IGNORED, "the App was uninstalled")
    assert rows(Installation)[0].deleted_at is not None


def test_late_creation_does_not_undo_an_uninstallation(take, rows):
    take("installation", installation_event("deleted"))
    take("installation", installation_event("created"))
    assert rows(Installation)[0].deleted_at is not None


def test_new_installation_takes_the_repository_over_and_keeps_it(take, rows):
    take("issues", issue_event())
    take("installation", installation_event("deleted"))
    assert take("issues", issue_event(number=2, installation=6)).outcome == Outcome.TRIAGE
    take("issues", issue_event(number=3, installation=5))
    assert [row.installation_id for row in rows(Repository)] == [6]


def test_suspended_installation_is_ignored_until_it_is_back(take):
    suspension = {"suspended_at": "2026-11-02T00:00:00Z"}
    take("installation", installation_event("suspend", installation=suspension))
    assert "suspended" in take("issues", issue_event()).reason
    take("installation", installation_event("unsuspend"))
    assert take("issues", issue_event()).outcome == Outcome.TRIAGE


def test_event_after_a_suspension_proves_that_it_is_over(take):
    suspension = {"suspended_at": "2026-11-02T00:00:00Z"}
    take("installation", installation_event("unsuspend"))
    take("installation", installation_event("suspend", installation=suspension))
    assert take("issues", issue_event(at="2026-11-02T00:00:01Z")).outcome == Outcome.TRIAGE


def test_removed_repository_is_ignored_until_it_is_back(take, rows):
    take("issues", issue_event())
    listed = {"id": 11, "full_name": "octo/game", "private": False}
    removed = installation_event("removed", repositories_removed=[listed])
    assert take("installation_repositories", removed).outcome == Outcome.INSTALLATION
    assert "removed" in take("issues", issue_event(number=2)).reason
    added = installation_event("added", repositories_added=[listed])
    take("installation_repositories", added)
    assert rows(Repository)[0].removed_at is None
    assert take("issues", issue_event(number=2)).outcome == Outcome.TRIAGE


def test_event_after_a_removal_proves_that_the_repository_is_back(take):
    take("issues", issue_event())
    listed = {"id": 11, "full_name": "octo/game", "private": False}
    take(
        "installation_repositories",
        installation_event("removed", repositories_removed=[listed]),
    )
    later = issue_event(number=2, at="2099-01-01T00:00:00Z")
    assert take("issues", later).outcome == Outcome.TRIAGE


def test_removal_by_another_installation_changes_nothing(take, rows):
    take("issues", issue_event())
    listed = {"id": 11, "full_name": "octo/game", "private": False}
    take(
        "installation_repositories",
        installation_event("removed", number=6, repositories_removed=[listed]),
    )
    assert rows(Repository)[0].removed_at is None


def repository_event(action, **keys):
    return {
        "action": action,
        "repository": repository() | keys,
        "installation": {"id": 5},
        "sender": actor(),
    }


def test_renamed_repository_keeps_its_row(take, rows):
    take("issues", issue_event())
    take("repository", repository_event("renamed", full_name="octo/engine"))
    assert [(row.id, row.full_name) for row in rows(Repository)] == [(11, "octo/engine")]


@pytest.mark.parametrize(("action", "private"), [("privatized", True), ("publicized", False)])
def test_visibility_follows(take, rows, action, private):
    take("repository", repository_event(action, private=private))
    assert [row.private for row in rows(Repository)] == [private]


def test_deleted_repository_is_covered_no_more(take, rows):
    take("repository", repository_event("deleted"))
    assert rows(Repository)[0].removed_at is not None


def test_repository_transferred_away_is_covered_no_more(take, rows):
    take("installation", installation_event("created"))
    moved = repository_event("transferred", full_name="evil/game", owner=actor("evil", 8))
    take("repository", moved)
    assert rows(Repository)[0].removed_at is not None


def test_repository_transferred_to_us_is_covered(take, rows):
    take("installation", installation_event("created"))
    take("repository", repository_event("transferred"))
    assert rows(Repository)[0].removed_at is None


# What the database cannot take


@pytest.mark.parametrize(
    "text", ["", "\x00", "🦀" * 40000, "x" * 65536, "\u202eevil\u202c", "<!-- " * 5000]
)
def test_any_text_is_kept(take, text, database):
    assert take("issues", issue_event(title=text[:256], body=text)).outcome == Outcome.TRIAGE
    assert pending(database) == 1


def test_issue_without_a_body_or_an_author_is_triaged(take, rows):
    payload = issue_event(body=None)
    payload["issue"]["user"] = None
    assert take("issues", payload).outcome == Outcome.TRIAGE
    [snapshot] = rows(IssueSnapshot)
    assert (snapshot.body, snapshot.author) == ("", "ghost")


def test_failure_in_the_middle_leaves_nothing(database, rows, monkeypatch):
    monkeypatch.setattr("app.intake.insert_new", lambda *_, **__: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        accept(database, "issues", "g-1", issue_event())
    with database.reading() as session:
        for table in (Delivery, IssueSnapshot, Repository, Installation):
            assert session.scalar(select(func.count()).select_from(table)) == 0
