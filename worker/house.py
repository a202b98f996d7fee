"""The rules of the house an issue is filed in: what its configuration makes of decisions.

Nothing is carried to GitHub that the repository denies, wants proposed only, or wants to see first.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta

from sqlalchemy import select
from sqlalchemy.orm import Session

from app.core.decision import Action, Decision, Reason
from app.core.repository_config import DEFAULT_CONFIG, Config
from app.core.taxonomy import Taxonomy
from app.db import configs, work
from app.db.clock import from_now
from app.db.configs import UNREAD
from app.db.learning import RepositoryConfig
from app.db.tables import Application, IssueSnapshot

DRY_RUN = "a dry run"
# How long an issue waits for the first reading of its repository's configuration. If GitHub does
# not answer, it is then scored under the defaults, so that people see what would have been done.
# Nothing is written under them: the label writer reads the configuration before its first write,
# and what was decided under another one is decided again.
FIRST_READING_SECONDS = 60.0
_SOON = 1.0
# Paused, or broken with nothing good before: whoever ends that makes the row due at once.
_LATER = 900.0


@dataclass(frozen=True)
class Carry:
    """What is to be carried to GitHub. `wanted`, `suggested`: dimension -> GitHub label names."""

    wanted: Mapping[str, list[str]] = field(default_factory=dict)
    suggested: Mapping[str, list[str]] = field(default_factory=dict)
    kept: Mapping[str, str] = field(default_factory=dict)
    config: str = ""

    @property
    def anything(self) -> bool:
        """True if the label writer has something to do."""
        return bool(self.wanted or self.suggested)


def taxonomy_of(config: Config, usual: Taxonomy) -> Taxonomy:
    """The repository's taxonomy; `usual` where its configuration says nothing at all."""
    return usual if config.digest == DEFAULT_CONFIG.digest else config.taxonomy


def judge(
    config: Config, taxonomy: Taxonomy, decisions: Sequence[Decision], *, author: str, title: str
) -> list[Decision]:
    """The decisions as the repository's rules leave them, in order."""
    denied = config.denied(author=author, title=title)
    return [_judge_one(config, taxonomy, decision, denied) for decision in decisions]


def _judge_one(
    config: Config, taxonomy: Taxonomy, decision: Decision, denied: Reason | None
) -> Decision:
    if decision.action is Action.ABSTAIN:
        return decision
    reason = denied or config.denied(labels=_names(taxonomy, decision))
    if reason is not None:
        return Decision(dimension=decision.dimension, action=Action.ABSTAIN, reason=reason)
    if config.suggest_only and decision.action is Action.APPLY:
        changes = {"action": Action.SUGGEST, "reason": Reason.SUGGEST_ONLY}
        return decision.model_copy(update=changes)
    return decision


def carry(config: Config, taxonomy: Taxonomy, decisions: Sequence[Decision]) -> Carry:
    """What of the (judged) decisions goes to GitHub: nothing in a dry run."""
    if config.dry_run:
        would = [d.dimension for d in decisions if d.action is not Action.ABSTAIN]
        return Carry(kept=dict.fromkeys(would, DRY_RUN), config=config.digest)

    def named(action: Action) -> dict[str, list[str]]:
        chosen = [d for d in decisions if d.action is action]
        return {d.dimension: _names(taxonomy, d) for d in chosen}

    return Carry(named(Action.APPLY), named(Action.SUGGEST), config=config.digest)


def _names(taxonomy: Taxonomy, decision: Decision) -> list[str]:
    dimension = taxonomy[decision.dimension]
    return [dimension.label(name).github for name in decision.labels]


def unsettled(session: Session, row: IssueSnapshot, seconds: float) -> bool:
    """True, with `row` put off, if its repository's configuration has to be read (or mended) first.

    `seconds`: the age from which on a reading is asked for anew.
    """
    if session.get(RepositoryConfig, row.repository_id) is None:
        # Known since before configurations were read, so it is no new repository.
        configs.learn(session, row.repository_id)
        return False
    if configs.is_stale(session, row.repository_id, seconds):
        configs.want(session, row.repository_id)
    now = configs.in_force(session, row.repository_id)
    if now.waiting is None:
        return _grace_left(session, row, now.config)
    if now.waiting == UNREAD and _waited(session, row):
        return False
    put_off(session, row, now.waiting)
    return True


def _grace_left(session: Session, row: IssueSnapshot, config: Config) -> bool:
    """The first issue came before anybody knew how long people want to go first."""
    if row.error != UNREAD or not config.grace_seconds:
        return False
    until = row.created_at + timedelta(seconds=config.grace_seconds)
    if until <= session.scalars(select(from_now())).one():
        return False
    work.release(session, row, until=until)
    return True


def put_off(session: Session, row: IssueSnapshot | Application, waiting: str) -> None:
    """Give `row` back until its repository's configuration allows more."""
    seconds = _SOON if waiting == UNREAD else _LATER
    until = session.scalar(select(from_now(seconds)))
    work.release(session, row, until=until, error=waiting)


def _waited(session: Session, row: IssueSnapshot) -> bool:
    began = select(IssueSnapshot.id).where(
        IssueSnapshot.id == row.id, IssueSnapshot.created_at <= from_now(-FIRST_READING_SECONDS)
    )
    return session.scalar(began) is not None
