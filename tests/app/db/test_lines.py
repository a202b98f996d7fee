"""Claims share fairly: a backlog of one installation keeps no other one waiting."""

from collections import Counter
from datetime import timedelta

import pytest
from sqlalchemy import insert, select, update

from app.db import lines
from app.db.clock import from_now
from app.db.tables import Application, Installation, IssueSnapshot, Repository, State


@pytest.fixture
def fill(database):
    """`fill(repository, installation, count)`: so many issues wait there, `age` seconds already."""

    def fill(repository, installation, count, *, age=60, run=None, first=1, attempts=0):
        with database.transaction() as session:
            now = session.scalar(select(from_now()))
            if session.get(Installation, installation) is None:
                session.add(Installation(id=installation, account="octo", created_at=now))
                session.flush()
            if session.get(Repository, repository) is None:
                session.add(
                    Repository(
                        id=repository,
                        installation_id=installation,
                        full_name=f"octo/{repository}",
                        private=False,
                    )
                )
                session.flush()
            session.execute(
                insert(IssueSnapshot),
                [
                    {
                        "repository_id": repository,
                        "issue_number": n,
                        "author": "ann",
                        "title": "t",
                        "body": "b",
                        "content_hash": "0" * 64,
                        "state": State.PENDING,
                        "attempts": attempts,
                        "run_id": run,
                        "observed_at": now,
                        "created_at": now,
                        "due_at": now - timedelta(seconds=age) + timedelta(milliseconds=n),
                    }
                    for n in range(first, first + count)
                ],
            )

    return fill


@pytest.fixture
def claim(database):
    def claim(limit=16, most_unlabelled=1000):
        with database.transaction() as session:
            return lines.claim(session, limit, 300, max_attempts=3, most_unlabelled=most_unlabelled)

    return claim


def shares(rows):
    return Counter(row.repository_id for row in rows)


def test_each_installation_gets_the_same_share_and_what_is_left_over_is_used(fill, claim):
    fill(1, 1, 50, age=9000)
    fill(2, 2, 3)
    fill(3, 3, 50)
    assert shares(claim(12)) == {1: 5, 2: 3, 3: 4}
    assert shares(claim(12)) == {1: 6, 3: 6}


def test_a_lone_installation_gets_everything_longest_waiting_first(fill, claim):
    fill(1, 1, 4)
    fill(2, 1, 6, age=9000)
    assert shares(claim(8)) == {2: 6, 1: 2}
    assert [row.issue_number for row in claim(8)] == [3, 4]
    assert claim() == []


def test_an_installation_with_many_repositories_gets_no_more_than_one_with_one(fill, claim):
    for repository in range(1, 9):
        fill(repository, 1, 9, age=9000)
    fill(99, 2, 9)
    assert shares(claim(8))[99] == 4


def test_live_issues_go_before_every_backfill_and_backfills_share_alike(fill, claim):
    fill(1, 1, 30, age=9000, run="a")
    fill(1, 1, 30, age=9000, run="b", first=31)
    fill(2, 2, 30, run="c")
    fill(3, 3, 2)
    rows = claim(12)
    assert shares(rows) == {3: 2, 1: 5, 2: 5}
    claimed = claim(200) + rows
    assert len(claimed) == 92


def test_more_installations_than_places_all_come_to_their_turn(fill, claim):
    for number in range(1, 13):
        fill(number, number, 2, age=9000 - number)
    seen = shares(claim(4))
    assert list(seen.values()) == [1] * 4
    while rows := claim(4):
        seen += shares(rows)
    assert seen == dict.fromkeys(range(1, 13), 2)


def test_an_installation_whose_labels_pile_up_waits_and_others_go_on(database, fill, claim):
    fill(1, 1, 6, age=9000)
    fill(2, 2, 2)
    with database.transaction() as session:
        done = session.scalars(
            select(IssueSnapshot).where(IssueSnapshot.repository_id == 1).limit(3)
        ).all()
        for row in done:
            row.state = State.DONE
            session.add(
                Application(
                    snapshot_id=row.id,
                    model_version="m",
                    run_id="r",
                    wanted={},
                    created_at=from_now(),
                    due_at=from_now(),
                )
            )
    assert shares(claim(most_unlabelled=3)) == {2: 2}
    with database.transaction() as session:
        session.execute(update(Application).values(state=State.DONE))
    assert shares(claim(most_unlabelled=3)) == {1: 3}


def test_rows_that_killed_their_workers_are_buried_and_others_come_in_their_place(
    database, fill, claim
):
    fill(1, 1, 5, age=9000, attempts=3)
    fill(1, 1, 5, first=6)
    assert [row.issue_number for row in claim(3)] == [6, 7, 8]
    with database.reading() as session:
        dead = session.scalars(select(IssueSnapshot).where(IssueSnapshot.state == State.DEAD))
        assert {row.issue_number for row in dead} == {1, 2, 3, 4, 5}
