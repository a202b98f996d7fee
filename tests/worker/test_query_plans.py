"""With 20,000 rows waiting no claim and no sweep reads a table from its beginning to its end."""

import re
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import event

from app import backlog
from app.db import absence, lines, refusals, retention, runs, work
from app.db.learning import Command, RepositoryConfig, Review, Run
from app.db.rows import TABLES
from app.intake.group import Letter, accept_together
from tests.pile import pile_up
from tests.webhooks import issue_event, repository
from worker import relearning, rounds
from worker.turns import take_turn

LARGE = "issue_snapshot|application|delivery|review|label_event|prediction|decision|memory_vector"
# The newest delivery: the index is read from its end, and only there.
NEWEST = "ix_delivery_received_at"
# An alias has a number after the name, a scan of a whole index is one as well.
WHOLE = re.compile(rf"(Seq Scan on|SCAN) ({LARGE})(_\d+)?\b(?!.*{NEWEST})")
NOW = datetime(2026, 11, 1, 12, tzinfo=UTC)


@pytest.fixture
def pile(database):
    pile_up(database, 20_000, labels=20_000, installations=3)
    return database


def claims(session, settings):
    lines.claim(session, 16, 300, max_attempts=8, most_unlabelled=100_000)
    for table in TABLES.values():
        work.claim(session, table, 16, 300, max_attempts=8)
        work.any_due(session, table)
    for table in (Review, Command, RepositoryConfig, Run):
        rounds.take(session, table, settings)


def sweeps(session, settings):
    absence.note(session, NOW, [], complete=True, longest=timedelta(days=1))
    runs.ask_catch_up(session, NOW, asked_by="test")
    retention.forget(session, 30)
    list(backlog.dead(session, backlog.Choice(), limit=50))
    refusals.note_wide(session, 1)


@pytest.mark.parametrize("part", [claims, sweeps])
def test_no_query_reads_a_whole_table(pile, part, settings):
    plans = _plans(pile, lambda session: part(session, settings))
    relearning.ask_where_due(pile)
    assert len(plans) > 12
    for statement, plan in plans:
        assert not WHOLE.search(plan), f"{statement}\n{plan}"


def test_a_label_turn_looks_at_few_rows_where_many_are_due(pile, settings):
    plans = _plans(pile, lambda session: take_turn(session, settings))
    first = next(plan for statement, plan in plans if "installation" in statement)
    assert "ix_application_due" in first, first
    assert not re.search(r"SCAN application", first), first


def test_deliveries_taken_in_together_read_no_whole_table(pile):
    def opened(number):
        home = repository(number % 3 + 1, f"octo{number % 3 + 1}/game")
        event = issue_event(number=number, installation=home["id"], repository=home)
        return Letter("issues", f"new-{number}", event)

    with _noted(pile) as plans:
        answers = accept_together(pile, [opened(n) for n in range(50_000, 50_020)])
    assert None not in answers
    assert {"delivery", "issue_snapshot", "review"} <= {
        re.search(r"FROM (\w+)", statement)[1] for statement, _ in plans
    }
    for statement, plan in plans:
        assert not WHOLE.search(plan), f"{statement}\n{plan}"


def _plans(database, call):
    """The query plan of every SELECT, UPDATE and DELETE that `call` sends, before it is sent."""
    with _noted(database) as plans, database.transaction() as session:
        call(session)
    return plans


@contextmanager
def _noted(database):
    plans = []
    explain = "EXPLAIN QUERY PLAN " if database.is_sqlite else "EXPLAIN "

    def note(connection, cursor, statement, parameters, context, executemany):
        if re.match(r"(WITH|SELECT|UPDATE|DELETE)", statement) and "pg_" not in statement:
            cursor = connection.connection.cursor()
            cursor.execute(explain + statement, parameters)
            plans.append((statement, "\n".join(str(row[-1]) for row in cursor.fetchall())))
            cursor.close()

    event.listen(database.engine, "before_cursor_execute", note)
    yield plans
    event.remove(database.engine, "before_cursor_execute", note)
