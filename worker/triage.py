"""Claim the issues that wait, score them in one batch, decide, and write it all down.

Nothing here talks to GitHub or to the broker. Whatever kills this process, the leases run out and
another one does the same work again; the fence (the lease token) lets only one result in.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Protocol
from uuid import uuid4

import structlog
from sqlalchemy import select
from sqlalchemy.orm import Session

from app.core.decision import Decision as Decided
from app.core.decision import Scores, Thresholds, decide
from app.core.errors import TriageError
from app.core.repository_config import Config
from app.core.settings import Settings
from app.core.taxonomy import Taxonomy
from app.core.text import IssueText
from app.db import configs, lines, models, work
from app.db.clock import from_now
from app.db.session import Database
from app.db.tables import Application, Decision, IssueSnapshot, Prediction, State
from worker import house, memory
from worker.house import Carry
from worker.memory import Memory, Place
from worker.model.query import Answer, Artifact, Query
from worker.settle import settle
from worker.standing import stand_aside

log = structlog.get_logger()


class Models(Protocol):
    """What triage needs of the models; worker.model builds the real ones."""

    def answer(self, queries: Sequence[Query]) -> list[Answer]:
        """An answer to each query, in order. They may mix repositories."""
        ...


@dataclass(frozen=True)
class Case:
    """One claimed issue, and what is in force in its repository now."""

    row: IssueSnapshot
    config: Config
    taxonomy: Taxonomy
    choices: tuple[Artifact, ...]

    @property
    def query(self) -> Query:
        """What the models are asked."""
        text = IssueText(title=self.row.title, body=self.row.body)
        return Query(text, self.taxonomy, self.choices)


@dataclass(frozen=True)
class Batch:
    """What one round did. `to_label`: how many issues now have labels to be written.

    `unsettled`: how many wait for their repository's configuration.
    """

    claimed: int = 0
    to_label: int = 0
    unsettled: int = 0


@dataclass(frozen=True)
class Triage:
    """The use case, with all it needs."""

    database: Database
    models: Models
    taxonomy: Taxonomy
    settings: Settings
    # One for all batches of a process: it holds what people corrected.
    memory: Memory = field(default_factory=Memory)

    def run_batch(self) -> Batch:
        """Triage up to `batch_size` due issues; all zero if none was due.

        Live issues go before those of a backfill, installations share alike, and within one who
        waited longest goes first.
        """
        cases, claimed, unsettled = self._claim()
        to_label = sum(self._triage(group) for group in _groups(cases))
        if claimed:
            log.info("batch.triaged", issues=len(cases), to_label=to_label)
        return Batch(claimed, to_label, unsettled)

    def _claim(self) -> tuple[list[Case], int, int]:
        with self.database.transaction() as session:
            rows = lines.claim(
                session,
                self.settings.batch_size,
                self.settings.lease_seconds,
                max_attempts=self.settings.max_attempts,
                most_unlabelled=self.settings.installation_backlog,
            )
            there = [row for row in rows if not stand_aside(session, row, row)]
            every = self.settings.config_seconds
            ready = [row for row in there if not house.unsettled(session, row, every)]
            kept, spared = _spare(ready)
            for row in spared:
                work.release(session, row, error=row.error)
            return self._cases(session, kept), len(rows), len(there) - len(ready)

    def _cases(self, session: Session, rows: Sequence[IssueSnapshot]) -> list[Case]:
        """Each row with what is in force in its repository: read anew with every claim."""
        repositories = {row.repository_id for row in rows}
        serving = models.serving(session, repositories)
        rules = {number: configs.in_force(session, number).config for number in repositories}
        return [
            Case(
                row,
                rules[row.repository_id],
                taxonomy=house.taxonomy_of(rules[row.repository_id], self.taxonomy),
                choices=tuple(
                    Artifact(found.version, found.uri, found.digest)
                    for found in serving[row.repository_id]
                ),
            )
            for row in rows
        ]

    def _triage(self, cases: Sequence[Case]) -> int:
        """Score and record `cases`; one that breaks the batch is found by halving."""
        try:
            answers = self.models.answer([case.query for case in cases])
        except TriageError as error:
            # Says something about the model or a repository's settings, not about one issue.
            groups = _by_repository(cases)
            if len(groups) == 1:
                return self._settle(cases, error)
            return sum(self._triage(group) for group in groups)
        except Exception as error:  # noqa: BLE001 - one odd issue must not stop the others
            if len(cases) == 1:
                return self._settle(cases, error)
            middle = len(cases) // 2
            return self._triage(cases[:middle]) + self._triage(cases[middle:])
        return self._record(cases, answers)

    def _settle(self, cases: Sequence[Case], error: Exception) -> int:
        with self.database.transaction() as session:
            for case in cases:
                settle(session, case.row, error, self.settings)
        return 0

    def _record(self, cases: Sequence[Case], answers: Sequence[Answer]) -> int:
        run_id = uuid4().hex
        places = [_place(case, answer) for case, answer in zip(cases, answers, strict=True)]
        with self.database.reading() as session:
            recalled = self.memory.recall(session, list(zip(places, answers, strict=True)))
        with self.database.transaction() as session:
            _note_problems(session, cases, answers)
            to_label = sum(
                self._record_one(session, case, answer, shifted, run_id)
                for case, answer, shifted in zip(cases, answers, recalled, strict=True)
            )
            memory.forget(session, places)
        self._catch_up(cases, places)
        return to_label

    def _catch_up(self, cases: Sequence[Case], places: Sequence[Place | None]) -> None:
        """Let new model versions see some of what was corrected under older ones."""
        once = {
            place.key: (case, place) for case, place in zip(cases, places, strict=True) if place
        }
        for case, place in once.values():

            def read(texts: Sequence[IssueText], case: Case = case) -> list[Answer]:
                return self.models.answer([replace(case.query, text=text) for text in texts])

            self.memory.catch_up(self.database, place, read)

    def _record_one(
        self, session: Session, case: Case, answer: Answer, shifted: Scores, run_id: str
    ) -> bool:
        """Write one issue's results. True if labels are to be put on GitHub."""
        if not work.finish(session, case.row):
            log.warning("lease.lost", table=case.row.__tablename__, row=case.row.id)
            return False
        predictions = _predictions(session, case.row, answer)
        if case.config.memory:
            memory.keep(session, case.row.repository_id, case.row.id, answer)
        scores = {p.dimension: p.scores for p in predictions} | dict(shifted)
        thresholds = case.config.thresholds(answer.thresholds)
        decisions = house.judge(
            case.config,
            case.taxonomy,
            decide(case.taxonomy, scores, thresholds),
            author=case.row.author,
            title=case.row.title,
        )
        _store_decisions(session, predictions, decisions, shifted, thresholds)
        carry = house.carry(case.config, case.taxonomy, decisions)
        _store_application(session, case.row, answer.version, carry, run_id)
        log.info(
            "issue.triaged",
            snapshot=case.row.id,
            model=answer.version,
            dimensions=len(carry.wanted),
            suggested=len(carry.suggested),
        )
        return carry.anything


def _spare(rows: Sequence[IssueSnapshot]) -> tuple[list[IssueSnapshot], list[IssueSnapshot]]:
    """The rows to work on, and those to give back.

    An issue whose claim did not end well may have killed its worker and will again. So such issues
    are scored one at a time: the killer takes nobody with it into the grave.
    """
    again = [row for row in rows if row.attempts > 1]
    spared = again[1:]
    return [row for row in rows if row not in spared], spared


def _groups(cases: Sequence[Case]) -> list[list[Case]]:
    """Fresh ones together, then the one that was tried before, by itself."""
    fresh = [case for case in cases if case.row.attempts <= 1]
    again = [case for case in cases if case.row.attempts > 1]
    return [group for group in (fresh, again) if group]


def _by_repository(cases: Sequence[Case]) -> list[list[Case]]:
    groups: dict[int, list[Case]] = {}
    for case in cases:
        groups.setdefault(case.row.repository_id, []).append(case)
    return list(groups.values())


def _note_problems(session: Session, cases: Sequence[Case], answers: Sequence[Answer]) -> None:
    """Keep with each version why it could not answer, or that it could."""
    said: dict[str, str | None] = {}
    for case, answer in zip(cases, answers, strict=True):
        known = {artifact.version for artifact in case.choices}
        said |= answer.unusable
        if answer.version in known:
            said[answer.version] = None
    for version, problem in said.items():
        models.note_problem(session, version, problem)


def _place(case: Case, answer: Answer) -> Place | None:
    """Whose memory an issue's scores are shifted by; None where the repository wants none."""
    if not case.config.memory:
        return None
    return Place(case.row.repository_id, answer.version, case.taxonomy)


def _predictions(session: Session, row: IssueSnapshot, answer: Answer) -> list[Prediction]:
    """One a dimension. What this version said of this text before stands, and is returned.

    Unless it chose among other labels: the repository's taxonomy has changed since.
    """
    stored = {
        p.dimension: p
        for p in session.scalars(
            select(Prediction).where(
                Prediction.snapshot_id == row.id, Prediction.model_version == answer.version
            )
        )
    }
    for dimension, scored in answer.scores.items():
        if dimension in stored and set(stored[dimension].scores) != set(scored):
            stored[dimension].scores = dict(scored)
        if dimension not in stored:
            stored[dimension] = Prediction(
                snapshot_id=row.id,
                dimension=dimension,
                model_version=answer.version,
                scores=dict(scored),
                created_at=from_now(),
            )
            session.add(stored[dimension])
    session.flush()
    return [stored[dimension] for dimension in answer.scores]


def _store_decisions(
    session: Session,
    predictions: Sequence[Prediction],
    decisions: Sequence[Decided],
    shifted: Scores,
    thresholds: Thresholds,
) -> None:
    by_dimension: Mapping[str, Prediction] = {p.dimension: p for p in predictions}
    stored = {
        d.prediction_id: d
        for d in session.scalars(
            select(Decision).where(Decision.prediction_id.in_([p.id for p in predictions]))
        )
    }
    for decided in decisions:
        prediction = by_dimension[decided.dimension]
        decision = stored.get(prediction.id) or Decision(
            prediction_id=prediction.id, created_at=from_now()
        )
        decision.action = str(decided.action)
        decision.labels = list(decided.labels)
        decision.reason = str(decided.reason)
        by_memory = shifted.get(decided.dimension)
        decision.scores = dict(by_memory) if by_memory is not None else None
        scores = by_memory if by_memory is not None else prediction.scores
        likeliest = max(scores, key=lambda name: scores[name])
        decision.threshold = thresholds.of(decided.dimension, likeliest)
        session.add(decision)


def _store_application(
    session: Session, row: IssueSnapshot, version: str, carry: Carry, run_id: str
) -> None:
    application = session.scalar(
        select(Application).where(
            Application.snapshot_id == row.id, Application.model_version == version
        )
    ) or Application(snapshot_id=row.id, model_version=version, created_at=from_now())
    # A text that comes back (an edit undone) is carried again, so the row may be an old one.
    application.run_id = row.run_id or run_id
    application.wanted = dict(carry.wanted)
    application.suggested = dict(carry.suggested)
    application.kept = dict(carry.kept)
    application.config = carry.config
    application.state = State.PENDING if carry.anything else State.DONE
    application.due_at = from_now()
    application.attempts = 0
    application.lease_token = application.lease_until = application.error = None
    session.add(application)
