"""The texts of an issue, newest first: which one waits to be scored, and which are overtaken."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta

from sqlalchemy import ARRAY, BigInteger, func, literal, select, update
from sqlalchemy.orm import Session, defer

from app.core.text import IssueText
from app.db.clock import from_now
from app.db.tables import Application, IssueSnapshot, LabelEvent, State

# GitHub's times have whole seconds: enough to put one text before another of the same second.
_TICK = timedelta(microseconds=1)


def lock_issue(session: Session, repository_id: int, number: int) -> None:
    """Two deliveries of one issue are taken in one after the other, until the transaction ends.

    SQLite has one writer anyway.
    """
    lock_issues(session, [(repository_id, number)])


def lock_issues(session: Session, issues: Iterable[tuple[int, int]]) -> None:
    """The same for several (repository, number), in one order: two never wait in a circle."""
    if session.get_bind().dialect.name == "postgresql":
        keys = sorted(_lock_key(*issue) for issue in issues)
        key = func.unnest(literal(keys, ARRAY(BigInteger))).column_valued("key")
        session.execute(select(func.pg_advisory_xact_lock(key)))


def _lock_key(repository_id: int, number: int) -> int:
    digest = hashlib.sha256(f"issue {repository_id}/{number}".encode()).digest()
    return int.from_bytes(digest[:8], signed=True)


def texts(session: Session, repository_id: int, number: int) -> list[IssueSnapshot]:
    """Every kept text of an issue, newest first; titles and bodies are loaded when looked at."""
    return list(
        session.scalars(
            select(IssueSnapshot)
            .options(defer(IssueSnapshot.title), defer(IssueSnapshot.body))
            .where(
                IssueSnapshot.repository_id == repository_id,
                IssueSnapshot.issue_number == number,
            )
            .order_by(IssueSnapshot.observed_at.desc(), IssueSnapshot.id.desc())
        )
    )


def filed(session: Session, repository_id: int, number: int) -> IssueSnapshot | None:
    """The earliest text known of an issue: the one that was filed, if all deliveries came."""
    return min(texts(session, repository_id, number), key=_first, default=None)


def _first(row: IssueSnapshot) -> tuple[datetime, int]:
    return row.first_observed_at or row.observed_at, row.id


def seen_earlier(kept: Sequence[IssueSnapshot], row: IssueSnapshot, at: datetime) -> bool:
    """Note that `row`, one of the `kept` texts of an issue, was its text `at` that time already.

    True if that makes it the earliest, which it was not.
    """
    before = min(kept, key=_first)
    row.first_observed_at = min(_first(row)[0], at)
    return before is not row and min(kept, key=_first) is row


def before_all(kept: Sequence[IssueSnapshot]) -> datetime | None:
    """A moment before the first of these texts was seen; None without any."""
    first = min((_first(row)[0] for row in kept), default=None)
    return first - _TICK if first is not None else None


def add(
    session: Session,
    repository_id: int,
    number: int,
    author: str,
    text: IssueText,
    observed_at: datetime,
    grace_seconds: float,
    *,
    opened_at: datetime | None = None,
    superseded: str | None = None,
) -> None:
    """Keep a new text, due after `grace_seconds`; not to be scored, if `superseded` says why."""
    session.add(
        IssueSnapshot(
            repository_id=repository_id,
            issue_number=number,
            author=author,
            title=text.title,
            body=text.body,
            content_hash=text.content_hash,
            observed_at=observed_at,
            first_observed_at=observed_at,
            opened_at=opened_at,
            created_at=from_now(),
            state=State.PENDING if superseded is None else State.SUPERSEDED,
            error=superseded,
            due_at=from_now(grace_seconds),
            attempts=0,
        )
    )


def reopen(snapshot: IssueSnapshot, grace_seconds: float = 0.0) -> None:
    """Let `snapshot` be claimed again, as if new."""
    snapshot.state = State.PENDING
    snapshot.attempts = 0
    snapshot.lease_token = None
    snapshot.lease_until = None
    snapshot.due_at = from_now(grace_seconds)


def went_unlabelled(session: Session, snapshot: IssueSnapshot) -> bool:
    """True if labels were decided for `snapshot`, nobody works on them, and none was written."""
    of_it = session.scalars(select(Application).where(Application.snapshot_id == snapshot.id)).all()
    return (
        any(row.wanted for row in of_it)
        and not any(row.written for row in of_it)
        and all(row.state != State.PENDING for row in of_it)
    )


def supersede(
    session: Session, repository_id: int, number: int, *, keep: str | None, reason: str
) -> int:
    """Nobody works on the issue's waiting or dead texts any more, but the one with hash `keep`.

    Whoever is scoring one loses the lease. Returns how many.
    """
    statement = (
        update(IssueSnapshot)
        .where(
            IssueSnapshot.repository_id == repository_id,
            IssueSnapshot.issue_number == number,
            IssueSnapshot.state.in_((State.PENDING, State.DEAD)),
        )
        .values(state=State.SUPERSEDED, lease_token=None, lease_until=None, error=reason)
        .returning(IssueSnapshot.id)
    )
    if keep is not None:
        statement = statement.where(IssueSnapshot.content_hash != keep)
    return len(session.execute(statement, execution_options={"synchronize_session": False}).all())


def labels_by_people(session: Session, repository_id: int, number: int) -> list[str]:
    """Names of the labels that people, not bots, put on the issue or took off."""
    return list(
        session.scalars(
            select(LabelEvent.label)
            .where(
                LabelEvent.repository_id == repository_id,
                LabelEvent.issue_number == number,
                LabelEvent.actor_type == "User",
            )
            .distinct()
        )
    )
