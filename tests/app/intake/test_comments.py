"""Commands in comments: who is heard, what is kept of it, and once only."""

import pytest

from app.db.clock import from_now
from app.db.learning import Command, RepositoryConfig
from app.db.tables import Delivery, Outcome, State
from app.queue import Task
from tests.webhooks import BOT, actor, issue_event

MAYA = actor("maya", 7)


@pytest.fixture
def database(sqlite_database):
    """SQLite: what is heard does not depend on the database, and the insert is `insert_new`'s."""
    return sqlite_database


def comment_event(body="/severity high", *, number=501, user=MAYA, action="created", **more):
    payload = issue_event(action, sender=more.pop("sender", user), **more.pop("of_issue", {}))
    payload["comment"] = {
        "id": number,
        "body": body,
        "user": user,
        "created_at": "2026-11-01T13:00:00Z",
        "performed_via_github_app": None,
        **more,
    }
    return payload


def test_a_command_is_kept_and_the_label_worker_is_woken(take, rows):
    accepted = take("issue_comment", comment_event("I am sure.\n\n/severity high\n/repro rare"))
    assert (accepted.outcome, accepted.ring) == (Outcome.COMMAND, Task.COMMAND)
    (row,) = rows(Command)
    assert row.lines == ["/severity high", "/repro rare"]
    assert (row.comment_id, row.issue_number, row.actor, row.actor_id) == (501, 1, "maya", 7)
    assert row.happened_at.isoformat() == "2026-11-01T13:00:00+00:00"
    assert (row.state, row.words, row.outcome) == (State.PENDING, {"unread": True}, None)


def test_what_may_be_a_command_waits_until_the_configuration_says_which_words_there_are(
    take, rows, database
):
    said = "/area ui\n/assign @tom\nNo.\n/ alone\n> /quoted\n/severity high"
    take("issue_comment", comment_event(said))
    assert rows(Command)[0].lines == ["/area ui", "/assign @tom", "/severity high"]
    area = {"rename": "area"}
    with database.transaction() as session:
        row = session.get_one(RepositoryConfig, rows(Command)[0].repository_id)
        row.read_at, row.in_force = from_now(), {"dimensions": {"component": area}}
    take("issue_comment", comment_event(said, number=502))
    assert (rows(Command)[1].lines, rows(Command)[1].words) == (["/area ui", "/severity high"], {})
    assert take("issue_comment", comment_event("/assign", number=503)).outcome == Outcome.IGNORED


@pytest.mark.parametrize(
    ("payload", "why"),
    [
        (comment_event("What a severity!"), "no command"),
        (comment_event(None), "no command"),
        (comment_event("> /severity high"), "no command"),
        (comment_event(user=BOT), "bot"),
        (comment_event(sender=BOT), "not its sender's own"),
        (comment_event(sender=actor("tom", 8)), "not its sender's own"),
        (comment_event(user=None, sender=MAYA), "not its sender's own"),
        (comment_event(performed_via_github_app={"id": 3}), "an App wrote"),
        (comment_event(of_issue={"pull_request": {"url": "x"}}), "pull request"),
        (comment_event(action="edited"), "not an action we use"),
        (comment_event(action="deleted"), "not an action we use"),
    ],
)
def test_nobody_else_is_heard_and_the_reason_is_kept(take, rows, payload, why):
    assert take("issue_comment", payload).outcome == Outcome.IGNORED
    assert why in rows(Delivery, Delivery.guid)[0].reason
    assert rows(Command) == []


def test_a_comment_that_comes_twice_is_carried_out_once(take, rows):
    take("issue_comment", comment_event(), guid="one")
    assert take("issue_comment", comment_event(), guid="one").duplicate
    assert take("issue_comment", comment_event(), guid="two").outcome == Outcome.IGNORED
    assert len(rows(Command)) == 1


def test_a_redelivery_tries_a_command_again_that_had_died(take, rows, database):
    take("issue_comment", comment_event(), guid="one")
    with database.transaction() as session:
        session.get_one(Command, rows(Command)[0].id).state = State.DEAD
    assert take("issue_comment", comment_event(), guid="one").ring == Task.COMMAND
    assert rows(Command)[0].state == State.PENDING


def test_nobody_is_heard_once_the_app_was_removed(take, rows):
    take("issue_comment", comment_event("Hello"))
    gone = {
        "action": "removed",
        "installation": {"id": 5},
        "repositories_removed": [{"id": 11, "full_name": "octo/game"}],
    }
    take("installation_repositories", gone)
    assert take("issue_comment", comment_event()).outcome == Outcome.IGNORED
    assert rows(Command) == []
