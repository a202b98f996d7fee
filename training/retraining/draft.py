"""Draws up the plan of a retraining: what it learns from, and from where it goes on."""

from __future__ import annotations

from pathlib import Path

from sqlalchemy.orm import Session

from app.core.settings import Settings
from app.db import configs, corrections, models
from app.db.learning import ModelVersion, Retraining
from app.db.tables import Repository
from training import config as training_configs
from training import lessons as taught
from training.gate import highest_severity
from training.retraining import plan as plans
from training.retraining.plan import Origin, Plan
from worker.model.presets import PRESETS

# The configuration for models that are no preset: hub ids and folders, mostly larger ones.
LARGE = "mistral-7b"
CHECKPOINTS = 10
LEARNED = "learned"


class TooLittle(Exception):
    """There is not enough to learn from and to judge by; `str` says what there is."""


def draw_up(
    session: Session,
    row: Retraining,
    folder: Path,
    settings: Settings,
    shares: taught.Shares,
) -> Plan:
    """The plan of `row`, saved in `folder`. TooLittle if nothing can come of it."""
    repository = session.get_one(Repository, row.repository_id)
    if repository.removed_at is not None:
        raise TooLittle("the App is no longer installed there")
    taxonomy = configs.in_force(session, repository.id).config.taxonomy
    active = models.active(session, repository.id)
    learned = _learned(active)
    config, limit = _config(settings), settings.retraining_rows
    numbers = corrections.issues(session, repository.id, until=row.until)
    chosen = set(taught.thinned(numbers, taught.most_issues(limit, shares), config.seed))
    known = corrections.lessons(session, repository.id, until=row.until, issues=chosen)
    rows, left_out = taught.examples(known, repository.full_name, taxonomy)
    parts = taught.divide(rows, highest=highest_severity(taxonomy), learned=learned, shares=shares)
    if len(parts.holdout) < shares.least:
        raise TooLittle(
            f"too little to learn from: {len(rows)} issues were corrected or confirmed, and"
            f" {len(parts.holdout)} of them may judge; {shares.least} are needed for that, and as"
            " many to learn from"
        )
    replay = [settings.retraining_replay] if settings.retraining_replay is not None else []
    plan = Plan(
        repository=repository.full_name,
        # Of all that was said: what was not drawn is no news for the next one.
        until=row.until or corrections.newest(session, repository.id),
        origin=_origin(active),
        start=settings.retraining_start,
        config=config,
        taxonomy=taxonomy,
        # Who goes on from the active version knows what that one learned, whatever became of it.
        learned=tuple(
            sorted(learned.union(parts.learned))
            if settings.retraining_start == "active"
            else parts.learned
        ),
        left_out=dict(left_out),
    )
    plans.save(
        folder,
        plan,
        {
            "fit": taught.thinned(parts.fit, limit, config.seed),
            "replay": taught.replayed(replay, taxonomy, parts, limit, config.seed),
            "calibration": parts.calibration,
            "holdout": taught.witnessed(parts.holdout, taxonomy),
        },
    )
    return plan


def _config(settings: Settings) -> training_configs.TrainConfig:
    name = settings.retraining_config
    if name is None:
        known = settings.model in PRESETS and settings.model in training_configs.names()
        name = settings.model if known else LARGE
    return training_configs.read(
        name, {"base": settings.model, "evaluations": 0, "checkpoints": CHECKPOINTS}
    )


def _origin(active: ModelVersion | None) -> Origin | None:
    if active is None:
        return None
    return Origin(version=active.version, uri=active.uri, digest=active.digest)


def _learned(active: ModelVersion | None) -> frozenset[int]:
    """Issues whose answers the active version knows: they would judge in its favour."""
    return frozenset(active.report.get(LEARNED, ())) if active is not None else frozenset()
