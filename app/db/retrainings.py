"""Which repositories' models learn anew: asked for by a person, or due by the schedule."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from app.core.config_rules import RetrainingRule
from app.core.corrections import Change
from app.db.clock import from_now
from app.db.insertion import insert_new
from app.db.learning import Correction, Retraining
from app.db.tables import Repository, State

SCHEDULE = "schedule"


@dataclass(frozen=True)
class News:
    """What people taught a repository since its last retraining: how much, and how long ago."""

    repository_id: int
    corrections: int
    since: datetime


def ask(session: Session, repository_id: int, asked_by: str) -> bool:
    """Have the repository's model learn anew. False if that waits or runs already."""
    return insert_new(
        session,
        Retraining,
        repository_id=repository_id,
        asked_by=asked_by[:100],
        state=State.PENDING,
        attempts=0,
        due_at=from_now(),
        created_at=from_now(),
    )


def due(
    session: Session, rule_of: Callable[[int], RetrainingRule], now: datetime | None = None
) -> list[int]:
    """Ids of the repositories whose time has come, by the rule of each."""
    moment = now if now is not None else datetime.now(UTC)
    return [
        news.repository_id
        for news in waiting_news(session)
        if is_due(news, rule_of(news.repository_id), moment)
    ]


def is_due(news: News, rule: RetrainingRule, now: datetime) -> bool:
    """True if either condition of the rule is met; never without anything new."""
    if not rule.enabled or news.corrections < 1:
        return False
    enough = news.corrections >= rule.after_corrections
    late = rule.every_days is not None and now - news.since >= timedelta(days=rule.every_days)
    return enough or late


def waiting_news(session: Session) -> list[News]:
    """Repositories with new corrections that no retraining waits to learn; not those that left.

    `since` is when the last one was asked for; without one, the time of the first correction.
    """
    last = (
        select(
            Retraining.repository_id,
            func.max(Retraining.created_at).label("asked_at"),
            func.max(func.coalesce(Retraining.until, Retraining.created_at)).label("until"),
        )
        .group_by(Retraining.repository_id)
        .subquery()
    )
    pending = select(Retraining.repository_id).where(Retraining.state == State.PENDING)
    rows = session.execute(
        select(
            Correction.repository_id,
            func.count(),
            func.min(Correction.happened_at),
            func.max(last.c.asked_at),
        )
        .join(Repository, Repository.id == Correction.repository_id)
        .outerjoin(last, last.c.repository_id == Correction.repository_id)
        .where(
            Correction.quarantine.is_(None),
            # Confirmations teach as well, but where nothing was wrong there is nothing to mend.
            Correction.change != Change.CONFIRMED,
            Repository.removed_at.is_(None),
            Correction.repository_id.not_in(pending),
            (last.c.until.is_(None)) | (Correction.happened_at > last.c.until),
        )
        .group_by(Correction.repository_id)
    )
    return [News(repository, count, asked or first) for repository, count, first, asked in rows]


def latest(session: Session, repository_id: int) -> Retraining | None:
    """The repository's newest retraining, whatever its state."""
    return session.scalar(
        select(Retraining)
        .where(Retraining.repository_id == repository_id)
        .order_by(Retraining.id.desc())
        .limit(1)
    )


def newest(session: Session, limit: int) -> list[tuple[Retraining, str]]:
    """Retrainings with their repository's name, newest first."""
    rows = session.execute(
        select(Retraining, Repository.full_name)
        .join(Repository, Repository.id == Retraining.repository_id)
        .order_by(Retraining.created_at.desc(), Retraining.id.desc())
        .limit(limit)
    )
    return [(retraining, name) for retraining, name in rows]


def given_up(session: Session) -> list[tuple[Retraining, str]]:
    """Each repository's newest retraining, with the name, where that died."""
    newest_ones = select(func.max(Retraining.id)).group_by(Retraining.repository_id)
    rows = session.execute(
        select(Retraining, Repository.full_name)
        .join(Repository, Repository.id == Retraining.repository_id)
        .where(Retraining.id.in_(newest_ones), Retraining.state == State.DEAD)
        .order_by(Repository.full_name)
    )
    return [(retraining, name) for retraining, name in rows]
