"""What holds for a repository now: its configuration as last read, and whether it is paused."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import select, update
from sqlalchemy.orm import Session

from app.core import repository_config
from app.core.repository_config import DEFAULT_CONFIG, Config, Mistakes
from app.db import work
from app.db.clock import from_now
from app.db.insertion import insert_new
from app.db.learning import RepositoryConfig
from app.db.tables import Application, IssueSnapshot, Repository, State

UNREAD = "the configuration was not read yet"
BROKEN = "the configuration has a mistake, and none was in force before"
PAUSED = "paused by a maintainer"


@dataclass(frozen=True)
class InForce:
    """`waiting` is why nothing is written to GitHub for now, if nothing is.

    broken: there is a configuration with a mistake, and none was ever good: `config` is a guess.
    """

    config: Config = DEFAULT_CONFIG
    paused: bool = False
    waiting: str | None = UNREAD
    read_at: datetime | None = None
    broken: bool = False


def in_force(session: Session, repository_id: int) -> InForce:
    """The last good configuration of a repository; the defaults where nothing was read."""
    row = session.get(RepositoryConfig, repository_id)
    return InForce() if row is None else of(row)


def of(row: RepositoryConfig) -> InForce:
    """What `row` says."""
    paused = row.paused_at is not None
    try:
        config = repository_config.in_force(row.in_force)
    except Mistakes:
        # An older Triora knew another key.
        return InForce(DEFAULT_CONFIG, paused, PAUSED if paused else BROKEN, row.read_at, True)
    return InForce(config, paused, _waiting(row), row.read_at, _broken(row))


def _waiting(row: RepositoryConfig) -> str | None:
    if row.paused_at is not None:
        return PAUSED
    if row.read_at is None:
        return UNREAD
    return BROKEN if _broken(row) else None


def _broken(row: RepositoryConfig) -> bool:
    return row.problem is not None and row.in_force is None


def config_of(in_force: dict[str, Any] | None) -> Config:
    """What a row's `in_force` says; the defaults where it cannot be used."""
    try:
        return repository_config.in_force(in_force)
    except Mistakes:
        return DEFAULT_CONFIG


def learn(session: Session, repository_id: int) -> None:
    """Let the configuration of a repository be read, now and again every few minutes."""
    row = session.get(RepositoryConfig, repository_id)
    if row is None:
        insert_new(
            session,
            RepositoryConfig,
            id=repository_id,
            sources={},
            created_at=from_now(),
            due_at=from_now(),
            state=State.PENDING,
            attempts=0,
        )
    elif row.state != State.PENDING:
        # Dropped while the App was not in the repository, or dead of what an owner has mended.
        row.state, row.attempts, row.due_at = State.PENDING, 0, from_now()
        row.lease_token = row.lease_until = None


def want(session: Session, repository_id: int) -> None:
    """Have the configuration read as soon as may be, unless somebody is at it."""
    learn(session, repository_id)
    session.flush()
    session.execute(
        update(RepositoryConfig)
        .where(RepositoryConfig.id == repository_id, RepositoryConfig.lease_token.is_(None))
        .values(due_at=from_now()),
        execution_options={"synchronize_session": False},
    )


def want_all(session: Session, installation_id: int) -> None:
    """Have the configuration of all an installation's repositories read as soon as may be."""
    covered = select(Repository.id).where(Repository.installation_id == installation_id)
    session.execute(
        update(RepositoryConfig)
        .where(RepositoryConfig.id.in_(covered), RepositoryConfig.lease_token.is_(None))
        .values(due_at=from_now()),
        execution_options={"synchronize_session": False},
    )


def is_stale(session: Session, repository_id: int, seconds: float) -> bool:
    """True if the configuration was not read within the last `seconds`, or never."""
    fresh = select(RepositoryConfig.id).where(
        RepositoryConfig.id == repository_id, RepositoryConfig.read_at > from_now(-seconds)
    )
    return session.scalar(fresh) is None


def pause(session: Session, repository_id: int, by: str) -> None:
    """Nothing is written for the repository until `resume`. Twice changes nothing."""
    learn(session, repository_id)
    session.execute(
        update(RepositoryConfig)
        .where(RepositoryConfig.id == repository_id, RepositoryConfig.paused_at.is_(None))
        .values(paused_at=from_now(), paused_by=by[:100]),
        execution_options={"synchronize_session": "fetch"},
    )


def resume(session: Session, repository_id: int) -> None:
    """End a pause: what waited is due. The caller rings for triage and labels."""
    session.execute(
        update(RepositoryConfig)
        .where(RepositoryConfig.id == repository_id)
        .values(paused_at=None, paused_by=None),
        execution_options={"synchronize_session": "fetch"},
    )
    release_waiting(session, repository_id)


def release_waiting(session: Session, repository_id: int) -> None:
    """What waited for the configuration of a repository is due now."""
    texts = select(IssueSnapshot.id).where(IssueSnapshot.repository_id == repository_id)
    work.hasten(session, IssueSnapshot, IssueSnapshot.repository_id == repository_id)
    work.hasten(session, Application, Application.snapshot_id.in_(texts))
