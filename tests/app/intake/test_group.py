"""Deliveries taken in together: the same rows and answers as one by one, or none at all."""

import random

import pytest
from sqlalchemy import delete, event, select, update
from sqlalchemy.exc import DBAPIError

from app.db.learning import RepositoryConfig
from app.db.tables import Base, Delivery, Installation, IssueSnapshot, Outcome, Repository
from app.intake.delivery import accept
from app.intake.group import Letter, accept_together
from app.queue import Task
from tests.webhooks import BOT, installation_event, issue_event, repository

# Ids and moments differ from run to run.
UNSTEADY = {"id", "snapshot_id", "received_at", "created_at", "due_at", "removed_at", "deleted_at"}


@pytest.fixture
def covered(take):
    """Repository 11 of installation 5 is known, by an earlier issue."""
    take("issues", issue_event(number=9000), guid="before")


@pytest.fixture
def issues(rows):
    return lambda: [row.issue_number for row in rows(IssueSnapshot) if row.issue_number < 9000]


def opened(number, **more):
    return Letter("issues", f"g-{number}", issue_event(number=number, **more))


def test_new_issues_are_stored_and_answered_together(covered, database, issues):
    statements = _count(database)
    answers = accept_together(database, [opened(n) for n in range(1, 51)])
    for_many = len(statements)
    accept_together(database, [opened(51)])
    assert len(statements) == 2 * for_many, "statements grow with the number of deliveries"
    assert {(a.outcome, a.reason, a.duplicate, a.ring) for a in answers} == {
        (Outcome.TRIAGE, "the issue was opened", False, Task.TRIAGE)
    }
    assert issues() == list(range(1, 52))


def _count(database):
    statements = []
    event.listen(
        database.engine, "before_cursor_execute", lambda *given: statements.append(given[2])
    )
    return statements


@pytest.mark.parametrize(
    "letter",
    [
        opened(1, author=BOT),
        opened(1, pull_request={}),
        opened(9000, title="another text"),
        Letter("issues", "g-1", issue_event("edited", number=1)),
        Letter("issues", "before", issue_event(number=1)),
        Letter("installation", "g-1", installation_event("suspend")),
    ],
    ids=lambda letter: str(letter.payload.get("action")),
)
def test_what_needs_a_second_look_is_left_and_what_stands_beside_it_is_stored(
    covered, database, issues, letter
):
    answers = accept_together(database, [opened(2), letter, opened(3)])
    assert [answer is not None for answer in answers] == [True, False, True]
    assert issues() == [2, 3]


@pytest.mark.parametrize(
    ("home", "installation"),
    [
        (repository(12, "octo/other"), 5),
        (repository(11, "octo/renamed"), 5),
        (repository(11, private=True), 5),
        (repository(11), 6),
        (repository(13, "new/one"), 7),
    ],
)
def test_a_repository_that_is_new_or_changed_is_learnt_with_its_issues(
    covered, database, rows, home, installation
):
    letters = [opened(n, repository=home, installation=installation) for n in (1, 2)]
    assert None not in accept_together(database, letters)
    known = next(row for row in rows(Repository) if row.id == home["id"])
    assert (known.installation_id, known.full_name, known.private) == (
        installation,
        home["full_name"],
        home["private"],
    )
    assert home["id"] in [row.id for row in rows(RepositoryConfig)]


@pytest.mark.parametrize(
    ("table", "values"),
    [
        (Installation, {"suspended_at": "now"}),
        (Installation, {"deleted_at": "now"}),
        (Repository, {"removed_at": "now"}),
    ],
)
def test_a_repository_that_is_not_simply_covered_is_left(covered, database, issues, table, values):
    with database.transaction() as session:
        now = session.scalar(select(Delivery.received_at))
        given = {key: now if value == "now" else value for key, value in values.items()}
        session.execute(update(table).values(given))
    assert accept_together(database, [opened(1)]) == [None]
    assert issues() == []


def test_an_issue_whose_acts_are_followed_is_left(covered, take, database):
    take("issues", issue_event("labeled", number=1, label="bug"))
    assert accept_together(database, [opened(1)]) == [None]


def test_of_two_of_one_issue_or_guid_the_second_is_left(covered, database, issues):
    same = Letter("issues", "g-1", issue_event(number=5))
    again = Letter("issues", "g-9", issue_event(number=1))
    answers = accept_together(database, [opened(1), same, again, Letter("ping", "g-1", {})])
    assert [answer is not None for answer in answers] == [True, False, False, False]
    assert issues() == [1]


def test_the_grace_of_the_repository_holds(covered, database, rows):
    def waits():
        row = rows(IssueSnapshot)[-1]
        return round((row.due_at - row.created_at).total_seconds())

    accept_together(database, [opened(1)], grace_seconds=30)
    assert waits() == 30
    with database.transaction() as session:
        session.execute(update(RepositoryConfig).values(in_force={"grace_seconds": 90}))
    accept_together(database, [opened(2)], grace_seconds=30)
    assert waits() == 90


@pytest.mark.parametrize("seed", range(4))
def test_rows_and_answers_are_those_of_one_by_one(database, seed):
    letters = _storm(seed)
    alone = [accept(database, x.name, x.guid, x.payload) for x in letters]
    expected = _everything(database)
    with database.transaction() as session:
        for table in reversed(Base.metadata.sorted_tables):
            session.execute(delete(table))
    together = []
    for start in range(0, len(letters), 8):
        part = letters[start : start + 8]
        # In the order in which they would be, were each taken alone: what is left comes after.
        found = accept_together(database, part)
        together += [
            accept(database, x.name, x.guid, x.payload) if a is None else a
            for a, x in zip(found, part, strict=True)
        ]
    assert together == alone
    assert _everything(database) == expected


def _storm(seed):
    """Deliveries of every kind whose order within a group of eight does not matter."""
    chance = random.Random(seed)
    letters = []
    for number in range(1, 65):
        kind = chance.choice(["opened", "opened", "opened", "bot", "ping", "bad", "edited", "pull"])
        home = repository(chance.choice([11, 12]), "octo/game")
        made = {
            "opened": lambda n, r: opened(n, repository=r),
            "bot": lambda n, r: opened(n, repository=r, author=BOT),
            "ping": lambda n, _: Letter("ping", f"g-{n}", {"zen": "x"}),
            "bad": lambda n, _: Letter("issues", f"g-{n}", {"action": "opened", "issue": 1}),
            "edited": lambda n, r: Letter(
                "issues", f"g-{n}", issue_event("edited", number=n, repository=r)
            ),
            "pull": lambda n, r: opened(n, repository=r, pull_request={}),
        }
        letters.append(made[kind](number, home))
    return letters


def _everything(database):
    with database.reading() as session:
        return {
            table.name: sorted(
                repr({k: v for k, v in row._mapping.items() if k not in UNSTEADY})
                for row in session.execute(select(table))
            )
            for table in Base.metadata.sorted_tables
        }


def test_a_guid_that_another_process_stored_meanwhile_undoes_the_group(
    covered, database, issues, monkeypatch
):
    monkeypatch.setattr("app.intake.group._twice", lambda *_: set())
    assert accept_together(
        database, [opened(1), Letter("issues", "before", issue_event(number=2))]
    ) == [None, None]
    assert issues() == []


def test_a_database_that_takes_nothing_is_an_error_and_leaves_nothing(covered, database, issues):
    with database.transaction() as session:
        session.connection().exec_driver_sql("ALTER TABLE delivery RENAME TO hidden")
    with pytest.raises(DBAPIError):
        accept_together(database, [opened(1)])
    assert issues() == []
