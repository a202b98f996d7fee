"""`triora status` and `triora replay`: what waits and died, and how it comes back."""

import json

import pytest
from sqlalchemy import select, update
from typer.testing import CliRunner

from app import backlog
from app.cli import cli
from app.core.errors import ConfigProblem
from app.db import retrainings
from app.db.clock import from_now
from app.db.learning import Retraining, Run
from app.db.tables import Installation, IssueSnapshot, Repository, State
from app.intake.delivery import accept
from tests.webhooks import issue_event, repository


@pytest.fixture
def dead(database):
    """Dead: issue 1 of octo/a, issues 2 and 3 of octo/b, a run and two retrainings of octo/a."""
    for number, home, name in ((1, 11, "octo/a"), (2, 12, "octo/b"), (3, 12, "octo/b")):
        event = issue_event(number=number, repository=repository(home, name))
        accept(database, "issues", f"g-{number}", event)
    common = {"repository_id": 11, "asked_by": "me", "created_at": from_now(), "due_at": from_now()}
    gone = {"state": State.DEAD, "attempts": 8, "error": "ConnectionError in scores"}
    with database.transaction() as session:
        session.execute(update(IssueSnapshot).values(**gone))
        session.add(Run(id="abc123", kind="backfill", **common, **gone))
        session.add_all(Retraining(**common, **gone) for _ in range(2))
    return database


def states(database, table):
    with database.reading() as session:
        return [str(state) for state in session.scalars(select(table.state).order_by(table.id))]


@pytest.mark.parametrize(
    ("choice", "revived"),
    [
        ({}, {"issues": 3, "runs": 1, "retrainings": 1}),
        ({"repository": "OCTO/B"}, {"issues": 2}),
        ({"table": "runs"}, {"runs": 1}),
        ({"named": ("issues:2", "runs:abc123")}, {"issues": 1, "runs": 1}),
    ],
)
def test_the_dead_rows_of_a_choice_are_tried_again_and_no_others(dead, choice, revived):
    with dead.transaction() as session:
        done = backlog.replay(session, backlog.Choice(**choice))
        left = backlog.count(session, backlog.Choice())
    assert {name: n for name, n in done.items() if n} == revived
    # At most one retraining of a repository waits.
    assert left == 6 - sum(revived.values())


@pytest.mark.parametrize("named", ["labels", "labels:x", "nothing:1", "issues:-1"])
def test_a_name_of_no_row_is_a_clear_error(dead, named):
    with dead.reading() as session, pytest.raises(ConfigProblem, match="names no row"):
        backlog.count(session, backlog.Choice(named=(named,)))


def test_status_counts_what_waits_and_says_who_is_blocked(dead):
    accept(dead, "issues", "g-9", issue_event(number=9, repository=repository(11, "octo/a")))
    with dead.transaction() as session:
        session.execute(update(Installation).values(blocked_until=from_now(60)))
        refused = update(Repository).where(Repository.id == 12)
        session.execute(refused.values(refused_since=from_now()))
        waits = update(IssueSnapshot).where(IssueSnapshot.issue_number == 9)
        session.execute(waits.values(due_at=from_now(-90)))
    with dead.reading() as session:
        now = backlog.status(session)
    issues = now.work["issues"]
    assert (issues.pending, issues.due, issues.held, issues.dead) == (1, 1, 0, 3)
    assert 90 <= issues.waiting_seconds < 150
    assert [(b.repository, b.why) for b in now.blocked] == [
        (None, backlog.WAITS),
        ("octo/b", "GitHub refuses what is to be done there"),
    ]


def test_status_says_how_a_retraining_that_was_given_up_is_started_again(dead):
    with dead.reading() as session:
        now = backlog.status(session)
    (told,) = now.given_up
    assert (told.repository, told.row) == ("octo/a", "retrainings:2")
    line = "octo/a: its retraining was given up (ConnectionError in scores): "
    assert list(backlog.table(now))[-1] == line + "`triora retrain octo/a` asks for it anew"
    with dead.transaction() as session:
        retrainings.ask(session, 11, "somebody")
    with dead.reading() as session:
        assert backlog.status(session).given_up == []


def test_the_commands_list_ask_and_carry_out(dead, monkeypatch, tmp_path):
    if not dead.is_sqlite:
        pytest.skip("the commands are the same")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("TRIORA_DATABASE_URL", str(dead.url))

    def run(*words):
        ended = CliRunner().invoke(cli, words, catch_exceptions=False)
        assert ended.exit_code == 0
        return ended.output

    assert "issues:2         octo/b#2  ConnectionError in scores" in run("replay")
    assert "nothing was changed" in run("replay", "--all")
    assert states(dead, IssueSnapshot) == ["dead"] * 3
    assert "issues: 2 will be tried again" in run("replay", "--repository", "octo/b", "--yes")
    assert states(dead, IssueSnapshot) == ["dead", "pending", "pending"]
    assert json.loads(run("status", "--json"))["work"]["issues"]["dead"] == 1
    assert "issues" in run("status")
