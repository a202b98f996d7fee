"""Leased work: nobody gets a row twice, nobody writes without the lease, nothing is lost."""

import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import insert, select, update

from app.db import work
from app.db.clock import from_now
from app.db.session import Database
from app.db.tables import Installation, IssueSnapshot, Repository, State

LEASE = 300


@pytest.fixture
def store(database):
    """A database with one repository, and a way to fill it with issues."""
    with database.transaction() as session:
        session.execute(insert(Installation).values(id=1, account="octo", created_at=from_now()))
        session.execute(
            insert(Repository).values(id=1, installation_id=1, full_name="octo/x", private=False)
        )
    return database


def add_issues(database, count, *, due_in=-1.0, state=State.PENDING, first=1):
    row = {
        "repository_id": 1,
        "author": "ann",
        "title": "t",
        "body": "b",
        "content_hash": "0" * 64,
        "state": state,
        "attempts": 0,
    }
    shift = timedelta(seconds=due_in)
    with database.transaction() as session:
        now = session.scalar(select(from_now()))
        session.execute(
            insert(IssueSnapshot),
            [
                row
                | {
                    "issue_number": n,
                    "observed_at": now,
                    "created_at": now,
                    # The first one has waited longest.
                    "due_at": now + shift - timedelta(milliseconds=count - n),
                }
                for n in range(first, first + count)
            ],
        )


def claim(database, limit=10, lease=LEASE, **options):
    with database.transaction() as session:
        return work.claim(session, IssueSnapshot, limit, lease, **options)


def expire(database):
    """Let every lease run out now."""
    with database.transaction() as session:
        session.execute(
            update(IssueSnapshot)
            .where(IssueSnapshot.lease_token.is_not(None))
            .values(due_at=from_now(-1), lease_until=from_now(-1))
        )


def stored(database, row):
    with database.reading() as session:
        return session.get_one(IssueSnapshot, row.id)


def test_claim_takes_the_longest_due_first_up_to_the_limit(store):
    add_issues(store, 5)
    assert [row.issue_number for row in claim(store, limit=3)] == [1, 2, 3]
    assert [row.issue_number for row in claim(store, limit=3)] == [4, 5]
    assert claim(store) == []


def test_claim_of_an_empty_table_is_empty(store):
    assert claim(store) == []


def test_claim_leaves_what_is_not_due_or_not_pending(store):
    add_issues(store, 1, due_in=60)
    for n, state in enumerate((State.DONE, State.SUPERSEDED, State.DEAD), start=2):
        add_issues(store, 1, state=state, first=n)
    assert claim(store) == []


def test_claim_counts_attempts_and_leases_by_the_databases_clock(store):
    add_issues(store, 1)
    [row] = claim(store, lease=100)
    with store.reading() as session:
        now = session.scalar(select(from_now()))
    assert row.attempts == 1
    assert row.lease_token
    assert timedelta(seconds=90) < row.lease_until - now <= timedelta(seconds=100)


def test_every_claim_has_a_token_of_its_own(store):
    add_issues(store, 2)
    [first], [second] = claim(store, limit=1), claim(store, limit=1)
    assert first.lease_token != second.lease_token


def test_conditions_narrow_the_choice(store):
    add_issues(store, 4)
    with store.transaction() as session:
        rows = work.claim(session, IssueSnapshot, 10, LEASE, IssueSnapshot.issue_number > 2)
    assert [row.issue_number for row in rows] == [3, 4]


def test_claimers_at_the_same_time_share_the_rows_and_none_gets_one_twice(store):
    add_issues(store, 120)
    start = threading.Barrier(4)

    def work_through(_):
        start.wait()
        # Another Database each, as another process has.
        mine = Database(store.url.render_as_string(hide_password=False))
        claimed = []
        while rows := claim(mine, limit=7):
            claimed += [row.id for row in rows]
        mine.close()
        return claimed

    with ThreadPoolExecutor(4) as pool:
        everything = [row for claimed in pool.map(work_through, range(4)) for row in claimed]
    assert len(everything) == len(set(everything)) == 120


def test_postgresql_claimers_do_not_wait_for_each_other(store):
    if store.is_sqlite:
        pytest.skip("SQLite has one writer at a time")
    add_issues(store, 4)
    with store.transaction() as one, store.transaction() as other:
        first = work.claim(one, IssueSnapshot, 2, LEASE)
        second = work.claim(other, IssueSnapshot, 4, LEASE)
    assert [row.issue_number for row in first] == [1, 2]
    assert [row.issue_number for row in second] == [3, 4]


def test_row_of_a_worker_that_died_is_claimed_again_with_another_token(store):
    add_issues(store, 1)
    [lost] = claim(store)
    expire(store)
    [again] = claim(store)
    assert again.id == lost.id
    assert again.attempts == 2
    assert again.lease_token != lost.lease_token


def test_finish_marks_done_frees_the_lease_and_writes_values(store):
    add_issues(store, 1)
    [row] = claim(store)
    with store.transaction() as session:
        assert work.finish(session, row, author="bob")
    after = stored(store, row)
    assert (after.state, after.lease_token, after.lease_until) == (State.DONE, None, None)
    assert after.author == "bob"


WRITES = {
    "finish": lambda session, row: work.finish(session, row),
    "release": lambda session, row: work.release(session, row),
    "fail": lambda session, row: work.fail(session, row, "no", delay_seconds=0, max_attempts=9),
    "bury": lambda session, row: work.bury(session, row, "no"),
}


@pytest.mark.parametrize("write", WRITES.values(), ids=WRITES)
def test_who_lost_the_lease_changes_nothing(store, write):
    add_issues(store, 1)
    [stale] = claim(store)
    expire(store)
    [current] = claim(store)
    with store.transaction() as session:
        assert write(session, stale) is False
    after = stored(store, current)
    assert (after.state, after.lease_token) == (State.PENDING, current.lease_token)
    assert (after.attempts, after.error) == (2, None)


@pytest.mark.parametrize("write", WRITES.values(), ids=WRITES)
def test_a_row_superseded_meanwhile_stays_so(store, write):
    add_issues(store, 1)
    [row] = claim(store)
    with store.transaction() as session:
        session.execute(update(IssueSnapshot).values(state=State.SUPERSEDED))
    with store.transaction() as session:
        assert write(session, row) is False
    assert stored(store, row).state == State.SUPERSEDED


@pytest.mark.parametrize("write", WRITES.values(), ids=WRITES)
def test_a_row_nobody_claimed_is_not_written(store, write):
    add_issues(store, 1)
    with store.reading() as session:
        row = session.scalars(select(IssueSnapshot)).one()
    with store.transaction() as session:
        assert write(session, row) is False


def test_released_row_is_due_at_once_and_costs_no_attempt(store):
    add_issues(store, 1)
    [row] = claim(store)
    with store.transaction() as session:
        assert work.release(session, row)
    [again] = claim(store)
    assert again.attempts == 1


def test_released_row_waits_until_the_given_time(store):
    add_issues(store, 1)
    [row] = claim(store)
    with store.transaction() as session:
        until = datetime.now(UTC) + timedelta(hours=1)
        assert work.release(session, row, until=until, error="rate limit")
    assert claim(store) == []
    after = stored(store, row)
    assert (after.due_at, after.error) == (until, "rate limit")


def test_failed_row_comes_back_after_the_delay(store):
    add_issues(store, 1)
    [row] = claim(store)
    with store.transaction() as session:
        assert work.fail(session, row, "GitHubUnavailable", delay_seconds=60, max_attempts=3)
    assert claim(store) == []
    with store.transaction() as session:
        session.execute(update(IssueSnapshot).values(due_at=from_now(-1)))
    [again] = claim(store)
    assert (again.attempts, again.error) == (2, "GitHubUnavailable")


def test_row_that_failed_too_often_is_dead_and_keeps_the_reason(store):
    add_issues(store, 1)
    for _ in range(3):
        [row] = claim(store)
        with store.transaction() as session:
            assert work.fail(session, row, "x" * 900, delay_seconds=-1, max_attempts=3)
    assert claim(store) == []
    after = stored(store, row)
    assert (after.state, after.error) == (State.DEAD, "x" * 500)


def test_row_whose_workers_always_die_is_buried(store):
    add_issues(store, 1)
    for _ in range(2):
        assert len(claim(store, max_attempts=2)) == 1
        expire(store)
    assert claim(store, max_attempts=2) == []
    with store.reading() as session:
        row = session.scalars(select(IssueSnapshot)).one()
    assert (row.state, row.lease_token) == (State.DEAD, None)
    assert "its worker died" in row.error


def test_buried_row_is_revived_with_fresh_attempts(store):
    add_issues(store, 2)
    rows = claim(store)
    with store.transaction() as session:
        for row in rows:
            assert work.bury(session, row, "NotPermitted")
    with store.transaction() as session:
        assert work.revive(session, IssueSnapshot, IssueSnapshot.id == rows[0].id) == 1
    [again] = claim(store)
    assert (again.id, again.attempts) == (rows[0].id, 1)


def test_lease_may_be_acted_on_until_seventy_percent_are_used(store):
    add_issues(store, 1)
    [row] = claim(store, lease=100)

    def left(seconds):
        with store.transaction() as session:
            session.execute(update(IssueSnapshot).values(lease_until=from_now(seconds)))
            return work.may_act(session, row, lease_seconds=100)

    assert (left(60), left(20), left(-1)) == (True, False, False)


def test_lease_of_somebody_else_may_not_be_acted_on(store):
    add_issues(store, 1)
    [stale] = claim(store)
    expire(store)
    claim(store)
    with store.reading() as session:
        assert work.may_act(session, stale, LEASE) is False


def test_any_due_agrees_with_claim(store):
    def any_due():
        with store.reading() as session:
            return work.any_due(session, IssueSnapshot)

    assert not any_due()
    add_issues(store, 1, due_in=60)
    assert not any_due()
    add_issues(store, 1, first=2)
    assert any_due()
    claim(store)
    assert not any_due()
    expire(store)
    assert any_due()


def test_counts_pending_and_dead(store):
    with store.reading() as session:
        assert work.counts(session, IssueSnapshot) == {State.PENDING: 0, State.DEAD: 0}
    add_issues(store, 3)
    add_issues(store, 2, state=State.DEAD, first=4)
    add_issues(store, 4, state=State.DONE, first=6)
    with store.reading() as session:
        assert work.counts(session, IssueSnapshot) == {State.PENDING: 3, State.DEAD: 2}
