"""After a longer absence the issues nobody told us of are found, once, and nothing else is."""

from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import update

from app.db.learning import Run
from app.db.tables import Installation, IssueSnapshot, Repository, Watermark
from tests.worker.conftest import T0
from tests.worker.labelling.journal import HIGH, writes
from worker.reconcile import Redelivery

LIST = "/repos/{owner}/{repo}/issues"
DAY = timedelta(days=1)


@pytest.fixture
def sweep(store, app_client):
    """One redelivery sweep, after nothing was heard for so many days."""

    def sweep(days=0.0):
        with store.database.transaction() as session:
            ago = datetime.now(UTC) - timedelta(days=days)
            session.merge(Watermark(name="deliveries", at=ago))
        Redelivery(store.database, app_client, timedelta(0), DAY).run()
        return store.rows(Run)

    return sweep


@pytest.fixture
def installed(store):
    """The App was installed so many days ago."""

    def installed(days):
        with store.database.transaction() as session:
            at = datetime.now(UTC) - timedelta(days=days)
            session.execute(update(Installation).values(created_at=at))

    return installed


def test_issues_opened_while_nothing_ran_get_their_labels(works, sweep, installed, store):
    installed(100)
    works.github.skew(-20 * 86400)
    before = works.open("high, from before the absence")
    works.github.skew(-2 * 86400)
    missed = works.open("high")
    by_bot = works.open("high", by="stale-bot[bot]")
    theirs = works.open("high", by="mara", labels=["component: audio"])
    closed = works.open("high")
    works.github.edit_issue(closed, by="mara", repository=works.repository, state="closed")
    path = f"/repositories/{works.repository}/pulls"
    works.github.control("POST", path, json={"title": "high"})
    known = works.open("high, and labelled before")
    store.issue(known, "high, and labelled before", repository_id=store.repository_id)
    store.change(IssueSnapshot, store.one(IssueSnapshot).id, state="done")
    works.github.skew(0)
    (run,) = sweep(days=4)
    done = works.finish(run.id)
    assert works.labels(missed) == {HIGH}
    for number in (before, by_bot, closed, known):
        assert works.labels(number) == set()
    assert works.labels(theirs) == {"component: audio"}
    assert (done.counts["taken"], done.counts["skipped"]["known already"]) == (1, 1)
    assert len({path for _, path in writes(works.github) if "issues" in path}) == 1
    # What it wrote can be taken back like a backfill's.
    works.finish(works.undo(run.id))
    assert works.labels(missed) == set()


def test_nothing_older_than_the_installation_is_taken_in(works, sweep, installed, store):
    installed(1)
    works.github.skew(-2 * 86400)
    works.open("high")
    works.github.skew(0)
    (run,) = sweep(days=4)
    assert works.finish(run.id).counts["taken"] == 0


@pytest.mark.parametrize("days", [0.0, 0.9])
def test_a_restart_lists_no_issues(works, sweep, days):
    works.open("high")
    assert sweep(days) == []
    assert works.github.requests("GET", LIST) == []


def test_an_absence_is_caught_up_on_once_and_goes_on_where_its_process_died(
    works, sweep, installed, monkeypatch
):
    monkeypatch.setattr("app.github.connection.PER_PAGE", 2)
    installed(100)
    numbers = [works.open(f"high {i}") for i in range(5)]
    (run,) = sweep(days=4)
    works.step()
    assert works.run(run.id).cursor == "2"
    # A second absence while the first is being caught up on.
    assert [row.id for row in sweep(days=4)] == [run.id]
    works.finish(run.id)
    assert [works.labels(n) for n in numbers] == [{HIGH}] * 5


def test_repositories_the_app_left_are_not_asked_for(works, sweep, installed, store):
    installed(100)
    store.change(Repository, store.repository_id, removed_at=T0)
    assert sweep(days=4) == []


def test_a_catch_up_waits_as_long_as_github_asks(works, sweep, installed):
    installed(100)
    works.open("high")
    (run,) = sweep(days=4)
    works.github.limit(exhaust_seconds=3600)
    works.step()
    row = works.run(run.id)
    assert (row.state, row.attempts) == ("pending", 0)
    assert row.due_at > datetime.now(UTC) + timedelta(minutes=50)
    works.github.clear_faults()
