"""A correction counts at once, in the repository it was made in and nowhere else."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from datetime import timedelta
from hashlib import sha256

import numpy as np
import pytest
from sqlalchemy import event, select, text, update

from app.core.corrections import Change
from app.core.decision import Thresholds
from app.core.repository_config import Config
from app.core.taxonomy import DEFAULT_TAXONOMY
from app.core.text import IssueText
from app.db import configs, memories
from app.db.clock import from_now
from app.db.learning import Correction, MemoryVector, RepositoryConfig
from app.db.tables import Application, Decision, IssueSnapshot, Prediction, State
from app.predictions import latest
from tests.waiting import until
from tests.worker.conftest import T0, Store
from worker import explanation, memory
from worker.memory import READ_AGAIN, Memory, Place
from worker.model.query import Answer, Query
from worker.triage import Triage

TOPICS = ("alpha", "beta", "gamma", "delta")


@dataclass
class Reader:
    """Leans to the first label of each dimension; its states know the topic in the title."""

    version: str = "reader-1"
    first: float = 0.45
    read: list[str] = field(default_factory=list)

    def answer(self, queries):
        return [self._answer(query) for query in queries]

    def answer_one(self, title):
        return self._answer(Query(IssueText(title=title), DEFAULT_TAXONOMY))

    def _answer(self, query):
        title = query.text.title
        self.read.append(title)
        if "unreadable" in title:
            raise ValueError
        scores = {}
        for dimension in query.taxonomy.dimensions:
            rest = (1 - self.first) / (len(dimension.names) - 1)
            scores[dimension.name] = {
                name: self.first if name == dimension.names[0] else rest for name in dimension.names
            }
        version = query.choices[0].version if query.choices else self.version
        return Answer(version, scores, Thresholds(default=0.4), state(title, version))


def state(title, version):
    topic = next((n for n, word in enumerate(TOPICS) if word in title), len(TOPICS))
    seed = int.from_bytes(sha256(f"{version}{topic}".encode()).digest()[:4])
    own = int.from_bytes(sha256(title.encode()).digest()[:4])
    point = np.random.default_rng(seed).normal(size=32)
    return (point + 0.3 * np.random.default_rng(own).normal(size=32)).astype(np.float16)


@pytest.fixture
def small(sqlite_database):
    """SQLite only: what is tested is not the database."""
    made = Store(sqlite_database)
    made.repository()
    return made


def triage_of(store, settings, reader=None):
    return Triage(store.database, reader or Reader(), DEFAULT_TAXONOMY, settings, Memory())


def correct(store, number, label, dimension="severity", repository_id=1, **values):
    with store.database.transaction() as session:
        row = session.scalar(
            select(Correction).where(
                Correction.repository_id == repository_id,
                Correction.issue_number == number,
                Correction.dimension == dimension,
            )
        ) or Correction(repository_id=repository_id, issue_number=number, dimension=dimension)
        row.snapshot_id = session.scalar(
            select(IssueSnapshot.id).where(
                IssueSnapshot.repository_id == repository_id, IssueSnapshot.issue_number == number
            )
        )
        row.change, row.labels, row.predicted = Change.REPLACED, [label], ["critical"]
        row.actor_id, row.actor, row.happened_at = 7, "mona", T0 + timedelta(minutes=number)
        for name, value in values.items():
            setattr(row, name, value)
        session.add(row)


def triaged(store, triage, number, title, repository_id=1):
    store.issue(number, title, repository_id=repository_id)
    triage.run_batch()


def taught(store, triage, label="low", topic="alpha", count=6, repository_id=1):
    """Issues of all topics, those of one corrected to `label`."""
    for number in range(1, 4 * count + 1):
        store.issue(number, f"{TOPICS[number % 4]} {number}", repository_id=repository_id)
    while triage.run_batch().claimed:
        pass
    for number in range(1, 4 * count + 1):
        if TOPICS[number % 4] == topic:
            correct(store, number, label, repository_id=repository_id)


def severity(store, number, repository_id=1):
    """(decided labels, what they were decided on, the model's own scores)."""
    with store.database.reading() as session:
        decision, prediction = session.execute(
            select(Decision, Prediction)
            .join(Prediction, Prediction.id == Decision.prediction_id)
            .join(IssueSnapshot, IssueSnapshot.id == Prediction.snapshot_id)
            .where(
                IssueSnapshot.issue_number == number,
                IssueSnapshot.repository_id == repository_id,
                Prediction.dimension == "severity",
            )
            .order_by(Prediction.id.desc())
        ).first()
    return decision.labels, decision.scores, prediction.scores


def place(version="reader-1", repository_id=1):
    return Place(repository_id, version, DEFAULT_TAXONOMY)


def test_a_correction_shifts_the_next_decision_and_leaves_the_prediction(store, settings):
    triage = triage_of(store, settings)
    taught(store, triage)
    triaged(store, triage, 101, "alpha again")
    labels, shifted, own = severity(store, 101)
    assert labels == ["low"]
    assert own["critical"] == pytest.approx(0.45)
    assert sum(shifted.values()) == pytest.approx(1)
    # Nobody corrected a component: it is the model's alone.
    with store.database.reading() as session:
        components = session.scalars(
            select(Decision.scores).join(Prediction).where(Prediction.dimension == "component")
        ).all()
    assert set(components) == {None}


def test_explain_and_predictions_show_both_probabilities(small, settings):
    triage = triage_of(small, settings)
    taught(small, triage)
    triaged(small, triage, 101, "alpha again")
    with small.database.reading() as session:
        said = explanation.explain(session, 1, 101, configs.in_force(session, 1))
        (line,) = [line for line in latest(session) if line.number == 101]
    assert "**low**" in said
    assert "(without corrections 18 %)" in said
    answer = line.dimensions["severity"]
    assert answer.probabilities["low"] == pytest.approx(0.55 / 3)
    assert answer.shifted["low"] > 0.5
    assert line.dimensions["component"].shifted is None


def test_issues_unlike_the_corrected_ones_keep_their_labels(small, settings):
    triage = triage_of(small, settings)
    taught(small, triage)
    triaged(small, triage, 101, "gamma again")
    assert severity(small, 101)[0] == ["critical"]


def test_another_repository_is_never_influenced(small, settings):
    small.repository(2, full_name="octo/other")
    triage = triage_of(small, settings)
    taught(small, triage)
    triaged(small, triage, 101, "alpha again", repository_id=2)
    labels, shifted, own = severity(small, 101, repository_id=2)
    assert (labels, shifted) == (["critical"], None)
    assert own["critical"] == pytest.approx(0.45)


def test_a_repository_may_switch_its_memory_off(small, settings):
    triage = triage_of(small, settings)
    taught(small, triage)
    with small.database.transaction() as session:
        configs.learn(session, 1)
        session.flush()
        row = session.get_one(RepositoryConfig, 1)
        row.in_force = Config(memory=False).model_dump(mode="json")
        row.read_at = from_now()
    triaged(small, triage, 101, "alpha again")
    assert severity(small, 101)[:2] == (["critical"], None)


def test_corrections_in_quarantine_teach_nothing(small, settings):
    triage = triage_of(small, settings)
    taught(small, triage)
    for row in small.rows(Correction):
        small.change(Correction, row.id, quarantine="more than 60 an hour by one person")
    triaged(small, triage, 101, "alpha again")
    assert severity(small, 101)[:2] == (["critical"], None)


def test_a_changed_mind_is_learnt_though_its_time_is_the_same(small, settings):
    triage = triage_of(small, settings)
    taught(small, triage)
    triaged(small, triage, 101, "alpha again")
    for row in small.rows(Correction):
        small.change(Correction, row.id, labels=["high"])
    triaged(small, triage, 102, "alpha once more")
    assert severity(small, 102)[0] == ["high"]


def test_a_new_model_version_reads_corrected_issues_again_a_few_a_batch(small, settings):
    old, new = Reader(), Reader("reader-2")
    taught(small, triage_of(small, settings, old), count=READ_AGAIN + 4)
    triage = triage_of(small, settings, new)
    triaged(small, triage, 501, "alpha first")
    assert severity(small, 501)[:2] == (["critical"], None)
    assert len(new.read) == 1 + READ_AGAIN
    triaged(small, triage, 502, "alpha second")
    assert severity(small, 502)[0] == ["low"]
    triaged(small, triage, 503, "alpha third")
    assert len(new.read) == 3 + READ_AGAIN + 4
    # The old version's memory is still its own.
    triaged(small, triage_of(small, settings, old), 504, "alpha fourth")
    assert severity(small, 504)[0] == ["low"]


def test_an_issue_that_cannot_be_read_again_is_not_tried_for_ever(small, settings):
    old, new = Reader(), Reader("reader-2")
    taught(small, triage_of(small, settings, old), count=1)
    (row,) = small.rows(Correction)
    small.change(IssueSnapshot, row.snapshot_id, title="unreadable")
    triage = triage_of(small, settings, new)
    for number in (101, 102, 103):
        triaged(small, triage, number, "alpha again")
    assert new.read.count("unreadable") == 1
    assert small.one(IssueSnapshot, IssueSnapshot.issue_number == 103).state == State.DONE


def test_what_stood_beside_a_correction_counts_and_what_nobody_saw_does_not(store, settings):
    triage = triage_of(store, settings)
    taught(store, triage, count=1)
    with store.database.transaction() as session:
        for row in session.scalars(select(Application)):
            row.applied_at = T0
    with store.database.reading() as session:
        said = memories.said(session, 1)
    (snapshot,) = {one.snapshot_id for one in said}
    assert {(one.dimension, one.label, one.change) for one in said} == {
        ("severity", "low", Change.REPLACED),
        ("component", "ui", None),
        ("reproducibility", "always", None),
    }
    store.change(
        Application,
        store.one(Application, Application.snapshot_id == snapshot).id,
        kept={"component": "a person decided"},
    )
    with store.database.reading() as session:
        assert {one.dimension for one in memories.said(session, 1)} == {
            "severity",
            "reproducibility",
        }


def test_nothing_is_computed_again_while_people_say_nothing_new(small, settings):
    memory = Memory()
    taught(small, replace(triage_of(small, settings), memory=memory))
    asked = [(place(), Reader().answer_one("alpha new"))] * 3
    with small.database.reading() as session:
        memory.recall(session, asked)
        assert memory.fits == 1
        statements = count_statements(small.database)
        memory.recall(session, asked)
    assert memory.fits == 1
    # What people said, which issues they touched, what stood there; no vector, no text.
    assert len(statements) == 3
    correct(small, 1, "high", happened_at=T0 + timedelta(days=1))
    with small.database.reading() as session:
        memory.recall(session, asked)
    assert memory.fits == 2


def test_thousands_of_corrections_are_answered_from_the_newest(small):
    memory, reader = Memory(), Reader()
    with small.database.transaction() as session:
        for number in range(1, 2501):
            session.add(
                IssueSnapshot(
                    id=number,
                    repository_id=1,
                    issue_number=number,
                    author="ann",
                    title=f"alpha {number}",
                    body="",
                    content_hash=str(number),
                    observed_at=T0,
                    created_at=T0,
                    due_at=T0,
                    state=State.DONE,
                    attempts=0,
                )
            )
        session.flush()
        session.add_all(
            Correction(
                repository_id=1,
                issue_number=number,
                snapshot_id=number,
                dimension="severity",
                change=Change.REPLACED,
                labels=["high" if number <= 1250 else "low"],
                predicted=["critical"],
                actor_id=7,
                actor="mona",
                happened_at=T0 + timedelta(minutes=number),
            )
            for number in range(1, 2501)
        )
        session.add_all(
            MemoryVector(
                repository_id=1,
                snapshot_id=number,
                model_version="reader-1",
                vector=state(f"alpha {number}", "reader-1").tobytes(),
                scores=reader.answer_one("alpha").scores,
            )
            for number in range(1, 2501)
        )
    with small.database.reading() as session:
        assert len(memories.said(session, 1)) == memories.MOST
        statements = count_statements(small.database)
        (found,) = memory.recall(session, [(place(), reader.answer_one("alpha new"))])
    # Their number decides over the size of answers, never over the number of questions.
    assert len(statements) == 5
    assert max(found["severity"], key=found["severity"].get) == "low"


def test_vectors_of_issues_nobody_corrected_go_when_newer_ones_come(store, settings):
    triage = triage_of(store, settings)
    taught(store, triage, count=2)
    with store.database.transaction() as session:
        memories.forget(session, 1, "reader-1", most=3)
    kept = {row.snapshot_id for row in store.rows(MemoryVector)}
    newest = {row.id for row in store.rows(IssueSnapshot)[-3:]}
    assert kept == newest | {row.snapshot_id for row in store.rows(Correction)}
    with store.database.transaction() as session:
        memories.forget(session, 1, "reader-2", most=3)
    assert {row.snapshot_id for row in store.rows(MemoryVector)} == newest


def count_statements(database):
    seen = []
    event.listen(database.engine, "before_cursor_execute", lambda *args: seen.append(args[2]))
    return seen


def test_states_of_another_width_cost_the_memory_and_no_label(small, settings):
    """TRIORA_MODEL may be a folder whose content was exchanged: the version keeps its name."""
    triage = triage_of(small, settings)
    taught(small, triage)
    with small.database.transaction() as session:
        session.execute(update(MemoryVector).values(vector=b"\0" * 8))
    triaged(small, triage_of(small, settings), 99, "alpha again")
    assert severity(small, 99)[0] == ["critical"]


def blocked(store):
    waits = "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock'"
    with store.database.reading() as session:
        return session.scalar(text(waits))


def test_two_workers_may_read_the_same_issue_again_at_once(store):
    """The second one waits for the first and keeps what it saw itself: neither of them fails."""
    store.issue(1, "alpha")
    answers = [Reader().answer_one("alpha"), Reader(first=0.6).answer_one("alpha")]
    with ThreadPoolExecutor(1) as pool:
        with store.database.transaction() as session:
            snapshot = session.scalar(select(IssueSnapshot.id))
            memory.keep(session, 1, snapshot, answers[0])

            def second():
                with store.database.transaction() as other:
                    memory.keep(other, 1, snapshot, answers[1])

            done = pool.submit(second)
            if store.database.engine.dialect.name == "postgresql":
                until(lambda: blocked(store), "the second worker waits", 30)
        done.result(timeout=30)
    assert store.one(MemoryVector).scores["severity"]["critical"] == 0.6
