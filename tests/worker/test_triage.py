"""Issues are scored in batches and written down once, whatever breaks on the way."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from app.core.decision import Thresholds
from app.core.errors import ArtifactMismatch
from app.core.taxonomy import DEFAULT_TAXONOMY
from app.db import models, snapshots, work
from app.db.clock import from_now
from app.db.learning import ModelVersion, Version
from app.db.tables import (
    Application,
    Decision,
    Installation,
    IssueSnapshot,
    Prediction,
    Repository,
    State,
)
from tests.worker.conftest import T0, WordScorer
from worker.triage import Batch, Triage


@pytest.fixture
def scorer():
    return WordScorer()


@pytest.fixture
def triage(store, scorer, settings):
    return Triage(store.database, scorer, DEFAULT_TAXONOMY, settings)


def run_until_idle(triage):
    batches = []
    while (batch := triage.run_batch()).claimed:
        batches.append(batch)
    return batches


def test_nothing_to_do_is_said(triage):
    assert triage.run_batch() == Batch(0, 0)


def test_issues_that_wait_are_scored_in_one_batch(store, triage, scorer):
    for number in range(1, 6):
        store.issue(number, f"high ui always {number}")
    assert triage.run_batch() == Batch(claimed=5, to_label=5)
    assert [len(batch) for batch in scorer.batches] == [5]
    assert {row.state for row in store.rows(IssueSnapshot)} == {State.DONE}


def test_predictions_decisions_and_intended_labels_are_stored(store, triage):
    snapshot = store.issue(1, "high ui crash")
    triage.run_batch()
    predictions = {p.dimension: p for p in store.rows(Prediction)}
    assert set(predictions) == {"kind", "severity", "component", "reproducibility"}
    assert predictions["severity"].scores["high"] == pytest.approx(0.9)
    decided = {d.prediction_id: (d.action, d.labels, d.reason) for d in store.rows(Decision)}
    assert decided[predictions["severity"].id] == ("apply", ["high"], "confident")
    assert decided[predictions["reproducibility"].id] == ("abstain", [], "below threshold")
    application = store.one(Application)
    assert application.snapshot_id == snapshot
    assert application.model_version == "words-1"
    assert application.wanted == {"severity": ["severity: high"], "component": ["component: ui"]}
    assert application.state == State.PENDING


def test_an_issue_no_label_fits_is_done_without_a_call_to_github(store, triage):
    store.issue(1, "hm")
    assert triage.run_batch() == Batch(claimed=1, to_label=0)
    assert store.one(Application).state == State.DONE


def test_more_issues_than_a_batch_take_several(store, triage, settings, scorer):
    for number in range(1, 2 * settings.batch_size + 2):
        store.issue(number, "high")
    assert [b.claimed for b in run_until_idle(triage)] == [8, 8, 1]
    assert len(store.rows(Application)) == 17


def test_an_issue_that_breaks_the_batch_does_not_stop_the_others(store, triage, scorer):
    def break_on_poison(titles):
        if "poison" in titles:
            raise ValueError("cannot encode: secret text of an issue")

    scorer.before = break_on_poison
    for number, title in enumerate(("high a", "high b", "poison", "high c", "high d"), 1):
        store.issue(number, title)
    assert triage.run_batch() == Batch(claimed=5, to_label=4)
    poisoned = store.one(IssueSnapshot, IssueSnapshot.title == "poison")
    assert poisoned.state == State.PENDING
    assert poisoned.attempts == 1
    assert "ValueError" in poisoned.error
    assert "secret" not in poisoned.error


def test_a_poisoned_issue_dies_after_its_last_attempt_and_stays_dead(store, triage, scorer):
    def fail(titles):
        raise RuntimeError

    scorer.before = fail
    store.issue(1, "poison")
    for _ in range(3):
        assert triage.run_batch().claimed == 1
        store.make_due(IssueSnapshot)
    assert store.one(IssueSnapshot).state == State.DEAD
    assert triage.run_batch().claimed == 0


def test_a_failed_issue_waits_longer_each_time(store, triage, scorer):
    def fail(titles):
        raise RuntimeError

    scorer.before = fail
    store.issue(1)
    waits = []
    for _ in range(2):
        triage.run_batch()
        waits.append(store.one(IssueSnapshot).due_at - datetime.now(UTC))
        store.make_due(IssueSnapshot)
    assert timedelta(seconds=1) < waits[0] <= timedelta(seconds=2)
    assert timedelta(seconds=7) < waits[1] <= timedelta(seconds=8)


def test_a_model_that_does_not_fit_is_not_searched_for_a_guilty_issue(store, triage, scorer):
    def refuse(titles):
        raise ArtifactMismatch("trained for other labels: train again")

    scorer.before = refuse
    for number in range(1, 5):
        store.issue(number)
    triage.run_batch()
    assert len(scorer.batches) == 1
    assert {row.error for row in store.rows(IssueSnapshot)} == {
        "ArtifactMismatch: trained for other labels: train again"
    }


def test_an_issue_that_kills_its_worker_takes_no_other_issue_along(store, triage, scorer):
    class Killed(BaseException):
        """Stands for SIGKILL: nothing of ours runs afterwards."""

    def kill(titles):
        if "killer" in titles:
            raise Killed

    scorer.before = kill
    for number, title in enumerate(("high a", "killer", "high b", "high c"), 1):
        store.issue(number, title)
    for _ in range(20):
        try:
            triage.run_batch()
        except Killed:
            store.make_due(IssueSnapshot)
    ends = {row.title: row.state for row in store.rows(IssueSnapshot)}
    assert ends.pop("killer") == State.DEAD
    assert set(ends.values()) == {State.DONE}


def test_a_worker_that_lost_its_lease_writes_nothing(store, triage, scorer):
    store.issue(1, "high")

    def another_worker_takes_over(titles):
        store.make_due(IssueSnapshot)
        with store.database.transaction() as session:
            assert work.claim(session, IssueSnapshot, 1, 300)

    scorer.before = another_worker_takes_over
    assert triage.run_batch() == Batch(claimed=1, to_label=0)
    assert store.rows(Prediction) == []
    assert store.rows(Application) == []
    assert store.one(IssueSnapshot).state == State.PENDING


def test_a_text_edited_while_it_was_scored_is_not_labelled(store, triage, scorer):
    store.issue(1, "high")

    def edit(titles):
        with store.database.transaction() as session:
            snapshots.supersede(session, 1, 1, keep=None, reason="a newer text arrived")

    scorer.before = edit
    assert triage.run_batch().to_label == 0
    assert store.rows(Application) == []
    assert store.one(IssueSnapshot).state == State.SUPERSEDED


def test_an_older_text_of_an_issue_is_skipped(store, triage, scorer):
    old = store.issue(1, "high old")
    new = store.issue(1, "high new", observed_at=T0 + timedelta(minutes=1))
    triage.run_batch()
    assert scorer.batches == [["high new"]]
    assert store.one(IssueSnapshot, IssueSnapshot.id == old).state == State.SUPERSEDED
    assert store.one(Application).snapshot_id == new


def test_an_uninstalled_app_labels_nothing(store, triage, scorer):
    store.issue(1)
    store.change(Installation, 1, deleted_at=T0)
    assert triage.run_batch().to_label == 0
    assert scorer.batches == []
    assert store.one(IssueSnapshot).state == State.SUPERSEDED


def test_a_repository_taken_out_of_the_installation_is_skipped(store, triage, scorer):
    store.issue(1)
    store.change(Repository, 1, removed_at=T0)
    triage.run_batch()
    assert scorer.batches == []


def test_a_suspended_installation_waits_without_losing_attempts(store, triage, scorer):
    store.issue(1, "high")
    store.change(Installation, 1, suspended_at=T0)
    triage.run_batch()
    waiting = store.one(IssueSnapshot)
    assert (waiting.state, waiting.attempts) == (State.PENDING, 0)
    assert waiting.due_at > datetime.now(UTC) + timedelta(minutes=50)
    store.change(Installation, 1, suspended_at=None)
    store.make_due(IssueSnapshot)
    assert triage.run_batch().to_label == 1
    assert scorer.batches == [["high"]]


def test_a_text_that_comes_back_is_carried_again_and_predicted_once(store, triage):
    snapshot = store.issue(1, "high ui")
    triage.run_batch()
    (first,) = store.rows(Application)
    store.change(Application, first.id, state=State.DONE, written=["severity: high"])
    before = store.rows(Prediction)
    with store.database.transaction() as session:
        snapshots.reopen(session.get_one(IssueSnapshot, snapshot))
    triage.run_batch()
    again = store.one(Application)
    assert (again.id, again.state, again.written) == (first.id, State.PENDING, ["severity: high"])
    assert [p.id for p in store.rows(Prediction)] == [p.id for p in before]


def test_what_one_model_said_of_a_text_never_changes(store, triage, scorer):
    snapshot = store.issue(1, "high")
    triage.run_batch()
    with store.database.transaction() as session:
        snapshots.reopen(session.get_one(IssueSnapshot, snapshot))
    changed = replace(scorer, thresholds=Thresholds(default=0.95))
    replace(triage, models=changed).run_batch()
    assert store.one(Application).wanted == {}
    assert len(store.rows(Prediction)) == 4
    assert len(store.rows(Decision)) == 3


def test_two_models_leave_two_predictions(store, triage, scorer):
    snapshot = store.issue(1, "high")
    triage.run_batch()
    with store.database.transaction() as session:
        snapshots.reopen(session.get_one(IssueSnapshot, snapshot))
    replace(triage, models=replace(scorer, version="words-2")).run_batch()
    assert [a.model_version for a in store.rows(Application)] == ["words-1", "words-2"]
    assert len(store.rows(Prediction)) == 8


def test_a_batch_is_one_run(store, triage):
    store.issue(1, "high")
    store.issue(2, "high")
    triage.run_batch()
    assert len({application.run_id for application in store.rows(Application)}) == 1


@pytest.fixture
def activate(store):
    """Make a version the active one, of a repository or shared."""

    def put(version, repository_id):
        with store.database.transaction() as session:
            row = ModelVersion(
                version=version,
                repository_id=repository_id,
                state=Version.CANDIDATE,
                uri=f"memory://{version}",
                digest="0" * 64,
                manifest={},
                created_at=from_now(),
            )
            session.add(row)
            session.flush()
            models.promote(session, row)

    return put


def test_issues_of_several_repositories_are_one_batch_each_with_its_version(
    store, triage, scorer, activate
):
    store.repository(2, full_name="octo/other")
    activate("shared", None)
    activate("own", 2)
    store.issue(1, "high")
    store.issue(1, "low", repository_id=2)
    assert triage.run_batch() == Batch(claimed=2, to_label=2)
    assert scorer.batches == [["high", "low"]]
    versions = {
        store.one(IssueSnapshot, IssueSnapshot.id == a.snapshot_id).repository_id: a.model_version
        for a in store.rows(Application)
    }
    assert versions == {1: "shared", 2: "own"}
    assert {p.model_version for p in store.rows(Prediction)} == {"shared", "own"}


def test_a_promoted_version_answers_from_the_next_batch_on(store, triage, activate):
    store.issue(1, "high")
    triage.run_batch()
    activate("own", 1)
    store.issue(2, "high")
    triage.run_batch()
    with store.database.transaction() as session:
        models.rollback(session, 1, "as good as before")
    store.issue(3, "high")
    triage.run_batch()
    assert [a.model_version for a in store.rows(Application)] == ["words-1", "own", "words-1"]


def test_why_a_version_could_not_answer_is_stored_with_it(store, triage, scorer, activate):
    activate("own", 1)
    store.issue(1, "high")
    scorer.unusable = {"own": "ArtifactMismatch: it is not in the model store"}
    assert triage.run_batch().to_label == 1
    assert store.one(Application).model_version == "words-1"
    assert store.one(ModelVersion).problem == "ArtifactMismatch: it is not in the model store"
    scorer.unusable = {}
    store.issue(2, "high")
    triage.run_batch()
    assert store.one(ModelVersion).problem is None


def test_a_repository_that_asks_too_much_of_the_model_stops_no_other(store, triage, scorer):
    def refuse(titles):
        if "too many labels" in titles:
            raise ArtifactMismatch("use fewer labels")

    scorer.before = refuse
    store.repository(2, full_name="octo/other")
    store.issue(1, "high")
    store.issue(1, "too many labels", repository_id=2)
    assert triage.run_batch() == Batch(claimed=2, to_label=1)
    assert store.one(IssueSnapshot, IssueSnapshot.repository_id == 2).error is not None
