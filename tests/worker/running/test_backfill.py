"""Old issues are labelled once, silently, slowly, and behind the live ones."""

from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest

from app.db import work
from app.db.learning import Command, RepositoryConfig, Run
from app.db.tables import Application, IssueSnapshot, State
from app.queue import Task
from tests.worker.conftest import T0
from tests.worker.labelling.journal import HIGH, LOW, UI, posts, writes
from worker.reconcile import bells_to_ring

LIST = "/repos/{owner}/{repo}/issues"


def test_open_issues_nobody_labelled_get_their_labels_and_the_run_says_how_many(works):
    plain = [works.open("high ui"), works.open("low")]
    unsure = works.open("hm")
    theirs = works.open("high", by="mara", labels=["component: audio"])
    by_bot = works.open("high", by="stale-bot[bot]")
    closed = works.open("high")
    works.github.edit_issue(closed, by="mara", repository=works.repository, state="closed")
    path = f"/repositories/{works.repository}/pulls"
    works.github.control("POST", path, json={"title": "high"})
    run = works.finish(works.backfill())
    assert works.labels(plain[0]) == {HIGH, UI}
    assert works.labels(plain[1]) == {LOW}
    assert works.labels(unsure) == works.labels(by_bot) == works.labels(closed) == set()
    assert works.labels(theirs) == {"component: audio"}
    assert run.counts == {
        "taken": 3,
        "news": 0,
        "seen": 6,
        "skipped": {"a pull request": 1, "opened by a bot": 1, "somebody labelled it": 1},
        "labelled": 2,
        "left": 1,
        "dead": 0,
    }
    assert run.finished_at is not None
    assert {row.run_id for row in works.store.rows(Application)} == {run.id}
    # Silent: labels, and nothing else.
    assert {path.rpartition("/")[2] for _, path in writes(works.github)} == {"labels"}
    assert len(posts(works.github)) == 2


def test_a_limit_takes_the_newest_and_a_date_leaves_older_ones(works):
    numbers = [works.open(f"high {i}") for i in range(4)]
    works.finish(works.backfill(limit=2))
    assert [bool(works.labels(n)) for n in numbers] == [False, False, True, True]
    tomorrow = datetime.now(UTC) + timedelta(days=1)
    run = works.finish(works.backfill(since=tomorrow))
    assert run.counts["taken"] == 0


def test_a_list_that_moves_while_it_is_walked_loses_nobody(works, monkeypatch):
    monkeypatch.setattr("app.github.connection.PER_PAGE", 2)
    numbers = [works.open(f"high {i}") for i in range(7)]
    run = works.backfill()
    works.step()
    # The two of the first page are closed: everything else moves up by a page.
    for number in numbers[-2:]:
        works.github.edit_issue(number, by="mara", repository=works.repository, state="closed")
    done = works.finish(run)
    assert [bool(works.labels(n)) for n in numbers[:5]] == [True] * 5
    assert done.counts["taken"] == 7


def test_a_run_whose_process_died_goes_on_where_it_was(works, monkeypatch):
    monkeypatch.setattr("app.github.connection.PER_PAGE", 2)
    numbers = [works.open(f"high {i}") for i in range(5)]
    run = works.backfill()
    works.step()
    # Killed in the middle of the next step: the row is leased, and nothing was written.
    with works.store.database.transaction() as session:
        assert work.claim(session, Run, 1, 300)
    assert works.run(run).cursor == "2"
    asked = len(works.github.requests("GET", LIST))
    works.finish(run)
    assert [bool(works.labels(n)) for n in numbers] == [True] * 5
    assert len(posts(works.github)) == 5
    # Pages 2 and 3, and a second walk over three pages.
    assert len(works.github.requests("GET", LIST)) - asked == 5


def test_issues_are_spread_over_time_and_the_next_page_waits_for_them(works, store):
    for i in range(4):
        works.open(f"high {i}")
    works.settings.__dict__["backfill_per_hour"] = 3600
    run = works.backfill()
    works.step()
    due = [row.due_at for row in store.rows(IssueSnapshot)]
    steps = {(later - sooner).total_seconds() for sooner, later in pairwise(due)}
    assert all(abs(step) == pytest.approx(1, abs=0.3) for step in steps)
    assert (works.run(run).due_at - min(due)).total_seconds() == pytest.approx(4, abs=0.5)


def test_a_rate_limit_puts_the_run_off_as_github_says(works):
    works.open("high")
    run = works.backfill()
    works.github.limit(exhaust_seconds=3600)
    works.step()
    row = works.run(run)
    assert (row.state, row.attempts) == (State.PENDING, 0)
    assert row.due_at > datetime.now(UTC) + timedelta(minutes=50)
    works.github.clear_faults()


def test_nothing_is_taken_in_while_the_repository_is_paused(works, store):
    works.open("high")
    store.change(RepositoryConfig, store.repository_id, paused_at=T0)
    run = works.backfill()
    assert bells_to_ring(store.database) == [Task.RUN]
    works.step()
    assert store.rows(IssueSnapshot) == []
    assert "paused" in works.run(run).error


def test_an_issue_that_was_undone_by_a_maintainer_is_left(works, store):
    number = works.open("high")
    with store.database.transaction() as session:
        session.add(
            Command(
                comment_id=1,
                repository_id=store.repository_id,
                issue_number=number,
                lines=["/triage undo"],
                words={"hands_off": True},
                actor_id=1,
                actor="tom",
                state="done",
                happened_at=T0,
                created_at=T0,
                due_at=T0,
            )
        )
    run = works.finish(works.backfill())
    assert works.labels(number) == set()
    assert run.counts["skipped"] == {"a maintainer told the bot to keep off": 1}


# Live issues go first


def old_issues(store, count, run_id="old"):
    """So many issues of a backfill, all due for long."""
    long_ago = datetime.now(UTC) - timedelta(days=1)
    text = {"author": "ann", "title": "high", "body": "", "observed_at": T0, "created_at": T0}
    with store.database.transaction() as session:
        session.bulk_insert_mappings(
            IssueSnapshot,
            [
                text
                | {
                    "repository_id": store.repository_id,
                    "issue_number": 1000 + i,
                    "content_hash": f"{i:064}",
                    "run_id": run_id,
                    "due_at": long_ago,
                    "state": "pending",
                    "attempts": 0,
                }
                for i in range(count)
            ],
        )


def test_a_live_issue_is_scored_before_ten_thousand_old_ones(works, store):
    old_issues(store, 10_000)
    store.issue(1, "low live", repository_id=store.repository_id)
    works.triage()
    assert works.scorer.batches[0][0] == "low live"
    assert len(works.scorer.batches[0]) == works.settings.batch_size


def test_a_live_issues_labels_are_written_before_all_old_ones(works, store):
    old_issues(store, 40)
    while works.triage().claimed:
        pass
    number = works.open("low live")
    store.issue(number, "low live", repository_id=store.repository_id)
    works.triage()
    works.labelling.run_batch()
    assert works.labels(number) == {LOW}
    # And the turn after it is short: the next live issue waits for two of them at most.
    assert works.labelling.run_batch() == 2
