"""A repository's model learns anew: dataset -> training -> calibration -> gate -> version.

One at a time on a machine and in a repository. Every stage leaves what the next one needs on disk,
so that a process that is killed is followed by one that ends with the same version.
"""

from __future__ import annotations

import shutil
from datetime import datetime
from pathlib import Path
from typing import Any

import structlog
from filelock import FileLock, Timeout
from sqlalchemy import select
from sqlalchemy.orm import Session

from app.core.errors import TriageError
from app.core.settings import Settings
from app.db import models, work
from app.db.clock import from_now
from app.db.learning import ModelVersion, Retraining
from app.db.session import Database
from app.db.tables import State
from training.gate import Rules, Verdict
from training.lessons import Shares
from training.retraining import candidate, draft, plan
from training.retraining.candidate import Candidate
from training.retraining.draft import TooLittle
from training.retraining.lease import Lease
from training.retraining.plan import Plan
from worker.model.store import ModelStore, StoreUnreachable

log = structlog.get_logger()

FOLDER = "retraining"
TAKEN_OVER = "another process took it over"
OVERTAKEN = "another version became active while it was trained"
# Of `Retraining.outcome`; longer texts are cut.
OUTCOME_LENGTH = 500


class Retrainer:
    """The use case: `run_one` claims a retraining that is due and carries it out."""

    def __init__(self, database: Database, settings: Settings, rules: Rules | None = None) -> None:
        self._database = database
        self._settings = settings
        self._rules = rules or Rules()
        self._shares = Shares(least=self._rules.issues, highest=self._rules.highest)
        self._place = settings.data_dir.resolve() / FOLDER

    def run_one(self, repository_id: int | None = None) -> str | None:
        """What came of one due retraining (of that repository, if given), in words.

        None if none is due, or if this machine is at one already. A TriageError ends the retraining
        for good and is raised, but for a model store that does not answer: then it goes on later.
        After any other error it is due again when its lease runs out.
        """
        self._place.mkdir(parents=True, exist_ok=True, mode=0o700)
        try:
            # The kernel takes the lock back from a process that dies.
            with FileLock(self._place / "lock", blocking=False):
                return self._claim_and_run(repository_id)
        except Timeout:
            return None

    def _claim_and_run(self, repository_id: int | None) -> str | None:
        seconds = self._settings.lease_seconds
        mine = () if repository_id is None else (Retraining.repository_id == repository_id,)
        with self._database.transaction() as session:
            most = self._settings.max_attempts
            claimed = work.claim(session, Retraining, 1, seconds, *mine, max_attempts=most)
        self._clear()
        for row in claimed:
            log.info("retraining.begun", id=row.id, repository=row.repository_id)
            try:
                with Lease(self._database, row, seconds) as lease:
                    outcome = self._carry_out(row, lease)
            except StoreUnreachable as error:
                return self._put_off(row, error)
            except TriageError as error:
                log.error("retraining.failed", id=row.id, error=type(error).__name__)
                with self._database.transaction() as session:
                    work.bury(session, row, f"{type(error).__name__}: {error}")
                self._clear()
                raise
            log.info("retraining.ended", id=row.id, outcome=outcome)
            return outcome
        return None

    def _put_off(self, row: Retraining, error: StoreUnreachable) -> str:
        """Hours of training wait for the store to come back; they are on disk."""
        log.warning("retraining.put_off", id=row.id, error=str(error))
        with self._database.transaction() as session:
            work.fail(
                session,
                row,
                str(error),
                delay_seconds=self._settings.lease_seconds,
                max_attempts=self._settings.max_attempts,
            )
        return f"put off for {self._settings.lease_seconds} seconds: {error}"

    def _clear(self) -> None:
        """Delete the rows of retrainings that nobody will go on with: they are issue text."""
        with self._database.reading() as session:
            pending = session.scalars(
                select(Retraining.id).where(Retraining.state == State.PENDING)
            )
            kept = {str(number) for number in pending}
        for folder in self._place.iterdir():
            if folder.is_dir() and folder.name not in kept:
                shutil.rmtree(folder, ignore_errors=True)

    def _carry_out(self, row: Retraining, lease: Lease) -> str:
        folder = self._place / str(row.id)
        try:
            drawn = plan.load(folder) or self._draw_up(row, folder)
        except TooLittle as reason:
            return self._end(row, folder, str(reason))
        store = ModelStore(self._settings.model_store_url, self._settings.model_cache)
        made = candidate.make(drawn, folder, self._rules, self._settings, store)
        if lease.lost:
            return TAKEN_OVER
        uri, digest = store.put(made.folder)
        return self._register(row, folder, drawn, made, uri, digest)

    def _draw_up(self, row: Retraining, folder: Path) -> Plan:
        # Reading only: comparing thousands of texts must keep no writer waiting.
        with self._database.reading() as session:
            drawn = draft.draw_up(session, row, folder, self._settings, self._shares)
        with self._database.transaction() as session:
            # Fixed now: who takes the work over on another machine learns from the same.
            work.note(session, row, until=drawn.until)
        return drawn

    def _register(
        self, row: Retraining, folder: Path, drawn: Plan, made: Candidate, uri: str, digest: str
    ) -> str:
        """Version, verdict and promotion are one fact: written together, or not at all."""
        verdict, name = made.verdict, made.manifest.version
        origin = drawn.origin.version if drawn.origin is not None else None
        with self._database.transaction() as session:
            models.lock(session, row.repository_id)
            current = models.active(session, row.repository_id)
            overtaken = (current.version if current is not None else None) != origin
            kept = OVERTAKEN if overtaken else "" if verdict.promote else verdict.reason
            version = session.scalar(select(ModelVersion).where(ModelVersion.version == name))
            if version is not None and not kept:
                # Nothing new was learned, so the same weights came out: what was said stands.
                kept = models.refusal(version) or ""
            outcome = f"{name} is kept as a candidate: {kept}" if kept else f"{name} is active: "
            outcome += "" if kept else verdict.reason
            if not self._finish(session, row, outcome, drawn.until, name):
                return TAKEN_OVER
            if version is None:
                version = models.add(
                    session,
                    made.manifest,
                    repository_id=row.repository_id,
                    uri=uri,
                    digest=digest,
                    parent=origin,
                    report=_report(row, drawn, verdict),
                    reason=kept,
                )
            if not kept:
                models.promote(session, version, verdict.reason)
        shutil.rmtree(folder, ignore_errors=True)
        return outcome

    def _end(self, row: Retraining, folder: Path, outcome: str) -> str:
        with self._database.transaction() as session:
            held = self._finish(session, row, outcome, row.until)
        shutil.rmtree(folder, ignore_errors=True)
        return outcome if held else TAKEN_OVER

    @staticmethod
    def _finish(
        session: Session,
        row: Retraining,
        outcome: str,
        until: datetime | None,
        version: str | None = None,
    ) -> bool:
        return work.finish(
            session,
            row,
            outcome=outcome[:OUTCOME_LENGTH],
            model_version=version,
            until=until if until is not None else from_now(),
            finished_at=from_now(),
        )


def _report(row: Retraining, drawn: Plan, verdict: Verdict) -> dict[str, Any]:
    return {
        "gate": verdict.model_dump(mode="json"),
        draft.LEARNED: list(drawn.learned),
        "retraining": row.id,
    }
