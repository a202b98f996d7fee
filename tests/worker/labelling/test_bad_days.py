"""Outages, limits, lost answers, renames: every write is carried out once, in the end."""

from datetime import UTC, datetime, timedelta

import pytest

from app.db.tables import (
    Application,
    Installation,
    Repository,
    State,
)
from tests.worker.conftest import T0
from tests.worker.labelling.journal import CREATE, HIGH, LOW, UI, posts


@pytest.mark.parametrize("kind", ["drop-after", "truncate"])
def test_a_write_whose_answer_was_lost_is_not_repeated(
    labelling, github, repository, labels, issue, wants, store, kind
):
    github.fault("POST /repos/*/*/issues/*/labels", kind)
    wants(issue)
    labelling.run_batch()
    failed = store.one(Application)
    assert (failed.state, failed.attempts) == (State.PENDING, 0)
    assert "GitHubUnavailable" in failed.error
    store.make_due(Application)
    labelling.run_batch()
    assert posts(github) == [{"labels": [HIGH, UI]}]
    done = store.one(Application)
    assert (done.state, done.written, done.kept, done.error) == (State.DONE, [HIGH, UI], {}, None)


def test_a_lost_answer_does_not_make_our_label_a_persons(
    labelling, github, repository, labels, issue, wants, store
):
    github.fault("POST /repos/*/*/issues/*/labels", "drop-after")
    wants(issue, {"severity": [LOW]})
    labelling.run_batch()
    wants(issue, title="edited", observed_at=T0 + timedelta(hours=1))
    labelling.run_batch()
    assert set(github.labels(issue, repository)) == {HIGH, UI}


def test_a_label_created_without_an_answer_is_found_by_the_next_attempt(
    labelling, github, repository, issue, wants, store
):
    github.fault("POST /repos/*/*/labels", "drop-after")
    wants(issue)
    labelling.run_batch()
    store.make_due(Application)
    labelling.run_batch()
    assert set(github.labels(issue, repository)) == {HIGH, UI}
    assert sorted(body["name"] for body in posts(github, CREATE)) == [UI, HIGH]


def test_an_outage_is_waited_out_and_costs_no_attempt(
    labelling, github, repository, labels, wants, store
):
    numbers = [github.open_issue(repository=repository)["number"] for _ in range(3)]
    for number in numbers:
        wants(number)
    github.fault("GET /repos/*/*/labels", "status", status=502)
    labelling.run_batch()
    rows = store.rows(Application)
    assert [row.attempts for row in rows] == [0, 0, 0]
    assert {row.state for row in rows} == {State.PENDING}
    assert all(row.due_at > datetime.now(UTC) for row in rows)
    store.make_due(Application)
    labelling.run_batch()
    assert {row.state for row in store.rows(Application)} == {State.DONE}


def test_an_outage_of_three_hours_loses_nothing(
    labelling, github, repository, labels, issue, wants, store
):
    github.fault("* /**", "status", status=503, times=None)
    row = wants(issue)
    passed, calls, waits = timedelta(), 0, []
    while passed < timedelta(hours=3):
        assert labelling.run_batch() == 1
        put_off = store.one(Application)
        assert (put_off.state, put_off.attempts) == (State.PENDING, 0)
        waits.append(put_off.due_at - datetime.now(UTC))
        # As much time passes as the row is to wait.
        passed += waits[-1]
        calls += 1
        store.make_due(Application)
        store.change(Application, row, created_at=datetime.now(UTC) - passed)
    assert calls < 30, "an outage is not the time to knock all the time"
    assert max(waits) < timedelta(minutes=16), "recovery is noticed soon"
    github.clear_faults()
    labelling.run_batch()
    assert set(github.labels(issue, repository)) == {HIGH, UI}
    assert store.one(Application).state == State.DONE


def test_an_issue_whose_writes_always_fail_is_asked_for_rarely_and_is_not_lost(
    labelling, github, repository, labels, issue, wants, store, settings
):
    github.fault("POST /repos/*/*/issues/*/labels", "status", status=500, times=None)
    row = wants(issue)
    store.change(Application, row, created_at=datetime.now(UTC) - timedelta(days=2))
    for _ in range(settings.max_attempts + 1):
        assert labelling.run_batch() == 1
        waiting = store.one(Application)
        assert waiting.due_at > datetime.now(UTC) + timedelta(minutes=10)
        store.make_due(Application)
    assert waiting.state == State.PENDING
    assert "500" in waiting.error


def test_a_row_github_never_takes_dies_after_its_last_attempt(
    labelling, github, repository, labels, issue, wants, store, settings
):
    github.fault("POST /repos/*/*/issues/*/labels", "status", status=422, times=None)
    wants(issue)
    for _ in range(settings.max_attempts):
        assert labelling.run_batch() == 1
        store.make_due(Application)
    dead = store.one(Application)
    assert dead.state == State.DEAD
    assert "422" in dead.error
    assert labelling.run_batch() == 0


@pytest.mark.parametrize(
    "limit",
    [{"exhaust_seconds": 600}, {"secondary": {"retry_after": 600}}],
    ids=["primary", "secondary"],
)
def test_a_limit_stops_the_installation_and_costs_no_attempt(
    labelling, github, repository, labels, wants, store, limit
):
    numbers = [github.open_issue(repository=repository)["number"] for _ in range(3)]
    for number in numbers:
        wants(number)
    github.limit(**limit)
    labelling.run_batch()
    blocked = store.one(Installation).blocked_until
    assert timedelta(seconds=550) < blocked - datetime.now(UTC) < timedelta(seconds=620)
    rows = store.rows(Application)
    assert [row.attempts for row in rows] == [0, 0, 0]
    assert all(abs(row.due_at - blocked) < timedelta(seconds=1) for row in rows)


def test_a_blocked_installation_is_not_called(
    labelling, github, repository, labels, issue, wants, store
):
    wants(issue)
    until = datetime.now(UTC) + timedelta(minutes=5)
    store.change(Installation, github.installation_id, blocked_until=until)
    before = len(github.requests())
    assert labelling.run_batch() == 0
    assert len(github.requests()) == before
    store.change(Installation, github.installation_id, blocked_until=datetime.now(UTC))
    assert labelling.run_batch() == 1
    assert set(github.labels(issue, repository)) == {HIGH, UI}


def test_a_revoked_token_costs_nothing(labelling, github, repository, labels, wants):
    for _ in range(2):
        number = github.open_issue(repository=repository)["number"]
        wants(number)
        labelling.run_batch()
        assert set(github.labels(number, repository)) == {HIGH, UI}
        github.revoke_tokens()


def test_a_renamed_repository_is_followed(
    labelling, github, repository, labels, issue, wants, store
):
    github.change_repository(repository, name="ash")
    wants(issue)
    labelling.run_batch()
    assert set(github.labels(issue, "lantern-works/ash")) == {HIGH, UI}
    assert store.one(Repository).full_name == "lantern-works/ash"
    assert store.one(Application).attempts == 1


def test_an_issue_that_is_gone_ends_quietly(labelling, github, repository, wants, store):
    issue = github.open_issue(repository=repository)["number"]
    github.control("DELETE", f"/repositories/{repository}/issues/{issue}")
    wants(issue)
    labelling.run_batch()
    row = store.one(Application)
    assert row.state == State.SUPERSEDED
    assert "Gone" in row.error


def test_a_transferred_issue_ends_quietly(labelling, github, repository, wants, store):
    issue = github.open_issue(repository=repository)["number"]
    target = {"repository": "lantern-works/emberfall"}
    github.control("POST", f"/repositories/{repository}/issues/{issue}/transfer", json=target)
    wants(issue)
    labelling.run_batch()
    assert store.one(Application).state == State.SUPERSEDED


def test_one_issue_github_refuses_does_not_stop_the_others(
    labelling, github, repository, labels, wants, store
):
    numbers = [github.open_issue(repository=repository)["number"] for _ in range(3)]
    for number in numbers:
        wants(number)
    github.fault(f"POST /repos/*/*/issues/{numbers[0]}/labels", "status", status=422)
    labelling.run_batch()
    states = [row.state for row in store.rows(Application)]
    assert states == [State.PENDING, State.DONE, State.DONE]
