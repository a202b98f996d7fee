"""Claim the issues that wait, score them in one batch, decide, and write it all down.

Nothing here talks to GitHub or to the broker. Whatever kills this process, the leases run out and
another one does the same work again; the fence (the lease token) lets only one result in.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol
from uuid import uuid4

import structlog
from sqlalchemy import select
from sqlalchemy.orm import Session

from app.core.decision import Action, Scores, Thresholds, decide
from app.core.decision import Decision as Decided
from app.core.errors import TriageError
from app.core.settings import Settings
from app.core.taxonomy import Taxonomy
from app.core.text import IssueText
from app.db import work
from app.db.clock import from_now
from app.db.session import Database
from app.db.tables import Application, Decision, IssueSnapshot, Prediction, State
from worker.settle import settle
from worker.standing import stand_aside

log = structlog.get_logger()


class Scorer(Protocol):
    """What triage needs of a model; worker.model builds the real one."""

    version: str
    thresholds: Thresholds

    def score(
        self, texts: Sequence[IssueText], taxonomy: Taxonomy
    ) -> list[dict[str, dict[str, float]]]:
        """Scores of each text, in order."""
        ...


@dataclass(frozen=True)
class Batch:
    """What one round did. `to_label`: how many issues now have labels to be written."""

    claimed: int = 0
    to_label: int = 0


@dataclass(frozen=True)
class Triage:
    """The use case, with all it needs."""

    database: Database
    scorer: Scorer
    taxonomy: Taxonomy
    settings: Settings

    def run_batch(self) -> Batch:
        """Triage up to `batch_size` due issues, longest waiting first. All zero if none was due."""
        rows, claimed = self._claim()
        to_label = sum(self._triage(group) for group in _groups(rows))
        if claimed:
            log.info("batch.triaged", issues=len(rows), to_label=to_label)
        return Batch(claimed, to_label)

    def _claim(self) -> tuple[list[IssueSnapshot], int]:
        with self.database.transaction() as session:
            rows = work.claim(
                session,
                IssueSnapshot,
                self.settings.batch_size,
                self.settings.lease_seconds,
                max_attempts=self.settings.max_attempts,
            )
            ready = [row for row in rows if not stand_aside(session, row, row)]
            kept, spared = _spare(ready)
            for row in spared:
                work.release(session, row, error=row.error)
        return kept, len(rows)

    def _triage(self, rows: Sequence[IssueSnapshot]) -> int:
        """Score and record `rows`; a row that breaks the batch is found by halving."""
        try:
            scores = self.scorer.score([_text(row) for row in rows], self.taxonomy)
        except TriageError as error:
            # Says something about the model or its settings, not about one issue.
            return self._settle(rows, error)
        except Exception as error:  # noqa: BLE001 - one odd issue must not stop the others
            if len(rows) == 1:
                return self._settle(rows, error)
            middle = len(rows) // 2
            return self._triage(rows[:middle]) + self._triage(rows[middle:])
        return self._record(rows, scores)

    def _settle(self, rows: Sequence[IssueSnapshot], error: Exception) -> int:
        with self.database.transaction() as session:
            for row in rows:
                settle(session, row, error, self.settings)
        return 0

    def _record(self, rows: Sequence[IssueSnapshot], scores: Sequence[Scores]) -> int:
        run_id = uuid4().hex
        with self.database.transaction() as session:
            return sum(
                self._record_one(session, row, scored, run_id)
                for row, scored in zip(rows, scores, strict=True)
            )

    def _record_one(
        self, session: Session, row: IssueSnapshot, scores: Scores, run_id: str
    ) -> bool:
        """Write one issue's results. True if labels are to be put on GitHub."""
        if not work.finish(session, row):
            log.warning("lease.lost", table=row.__tablename__, row=row.id)
            return False
        predictions = self._predictions(session, row, scores)
        decisions = decide(
            self.taxonomy, {p.dimension: p.scores for p in predictions}, self.scorer.thresholds
        )
        _store_decisions(session, predictions, decisions)
        wanted = _wanted(self.taxonomy, decisions)
        self._store_application(session, row, wanted, run_id)
        log.info("issue.triaged", snapshot=row.id, dimensions=len(wanted))
        return bool(wanted)

    def _predictions(
        self, session: Session, row: IssueSnapshot, scores: Scores
    ) -> list[Prediction]:
        """One a dimension. What this model said of this text before stands, and is returned."""
        stored = {
            p.dimension: p
            for p in session.scalars(
                select(Prediction).where(
                    Prediction.snapshot_id == row.id,
                    Prediction.model_version == self.scorer.version,
                )
            )
        }
        for dimension, scored in scores.items():
            if dimension not in stored:
                stored[dimension] = Prediction(
                    snapshot_id=row.id,
                    dimension=dimension,
                    model_version=self.scorer.version,
                    scores=dict(scored),
                    created_at=from_now(),
                )
                session.add(stored[dimension])
        session.flush()
        return list(stored.values())

    def _store_application(
        self, session: Session, row: IssueSnapshot, wanted: dict[str, list[str]], run_id: str
    ) -> None:
        application = session.scalar(
            select(Application).where(
                Application.snapshot_id == row.id,
                Application.model_version == self.scorer.version,
            )
        ) or Application(
            snapshot_id=row.id, model_version=self.scorer.version, created_at=from_now()
        )
        # A text that comes back (an edit undone) is carried again, so the row may be an old one.
        application.run_id = run_id
        application.wanted = wanted
        application.state = State.PENDING if wanted else State.DONE
        application.due_at = from_now()
        application.attempts = 0
        application.lease_token = application.lease_until = application.error = None
        session.add(application)


def _spare(rows: Sequence[IssueSnapshot]) -> tuple[list[IssueSnapshot], list[IssueSnapshot]]:
    """The rows to work on, and those to give back.

    An issue whose claim did not end well may have killed its worker and will again. So such issues
    are scored one at a time: the killer takes nobody with it into the grave.
    """
    again = [row for row in rows if row.attempts > 1]
    spared = again[1:]
    return [row for row in rows if row not in spared], spared


def _groups(rows: Sequence[IssueSnapshot]) -> list[list[IssueSnapshot]]:
    """Fresh rows together, then the one that was tried before, by itself."""
    fresh = [row for row in rows if row.attempts <= 1]
    again = [row for row in rows if row.attempts > 1]
    return [group for group in (fresh, again) if group]


def _text(row: IssueSnapshot) -> IssueText:
    return IssueText(title=row.title, body=row.body)


def _store_decisions(
    session: Session, predictions: Sequence[Prediction], decisions: Sequence[Decided]
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
        session.add(decision)


def _wanted(taxonomy: Taxonomy, decisions: Sequence[Decided]) -> dict[str, list[str]]:
    """Dimension -> GitHub label names to be written."""
    return {
        decided.dimension: [taxonomy[decided.dimension].label(n).github for n in decided.labels]
        for decided in decisions
        if decided.action is Action.APPLY
    }
