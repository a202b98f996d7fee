"""What holds for a repository right before its labels are written, read anew if it may be old."""

from __future__ import annotations

from dataclasses import dataclass

import structlog
from sqlalchemy import select
from sqlalchemy.orm import Session

from app.core.repository_config import Config
from app.core.settings import Settings
from app.core.taxonomy import Taxonomy
from app.db import configs, snapshots, work
from app.db.learning import RepositoryConfig, Run
from app.db.session import Database
from app.db.tables import Application, Decision, IssueSnapshot, Prediction
from app.github.client import InstallationClient
from worker import house
from worker.config_reading import refresh
from worker.turns import Job

log = structlog.get_logger()

CHANGED = "it was decided under another configuration"


@dataclass(frozen=True)
class Rules:
    """The configuration and taxonomy to write by."""

    config: Config
    taxonomy: Taxonomy

    def creates(self, github_name: str) -> bool:
        """True if a label of that name may be made where the repository never had it."""
        owner = self.taxonomy.owner_of(github_name)
        return owner is not None and owner[1].create


def ask(
    database: Database, client: InstallationClient, settings: Settings, usual: Taxonomy, job: Job
) -> Rules | None:
    """The rules for `job`; None, with its row settled, if nothing is to be written now.

    What was decided under another configuration is decided again. Raises GitHubUnavailable when the
    configuration has to be read and GitHub does not answer: then nothing may be written either.
    """
    number = job.repository.id
    with database.reading() as session:
        stale = configs.is_stale(session, number, settings.config_seconds)
    if stale:
        changed = refresh(database, client, job.repository)
        if changed:
            _have_reported(database, number)
    with database.transaction() as session:
        now = configs.in_force(session, number)
        if now.waiting is not None:
            house.put_off(session, job.row, now.waiting)
            return None
        if job.row.config not in (None, now.config.digest):
            _decide_again(session, job)
            return None
    return Rules(now.config, house.taxonomy_of(now.config, usual))


def _have_reported(database: Database, number: int) -> None:
    """Mistakes that this reading found are for the configuration's own task to report."""
    with database.transaction() as session:
        if session.get_one(RepositoryConfig, number).problem is not None:
            configs.want(session, number)


def _decide_again(session: Session, job: Job) -> None:
    log.info("issue.decided_again", application=job.row.id, snapshot=job.snapshot.id)
    if work.drop(session, job.row, CHANGED):
        snapshots.reopen(session.get_one(IssueSnapshot, job.snapshot.id))


def chances(session: Session, job: Job) -> dict[str, dict[str, float]]:
    """Dimension -> label -> the probability that was decided on."""
    rows = session.execute(
        select(Prediction, Decision)
        .outerjoin(Decision, Decision.prediction_id == Prediction.id)
        .where(
            Prediction.snapshot_id == job.snapshot.id,
            Prediction.model_version == job.row.model_version,
        )
    )
    return {
        prediction.dimension: (decision and decision.scores) or prediction.scores
        for prediction, decision in rows
    }


def was_labelled(session: Session, job: Job) -> bool:
    """True if the issue was labelled before, but for backfills: then it had its one comment.

    If there is none now, a person deleted it, or none was wanted.
    """
    earlier = (
        select(Application.id)
        .join(IssueSnapshot, IssueSnapshot.id == Application.snapshot_id)
        .where(
            IssueSnapshot.repository_id == job.snapshot.repository_id,
            IssueSnapshot.issue_number == job.snapshot.issue_number,
            Application.applied_at.is_not(None),
            Application.run_id.not_in(select(Run.id)),
        )
        .limit(1)
    )
    return session.scalar(earlier) is not None
