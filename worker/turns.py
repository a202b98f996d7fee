"""Claims of label work: one writer at a time for each installation, as GitHub asks.

Labels, commands and runs take turns at an installation. Who asked in person goes first: labels
stand back where a command or a run is due.
"""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import ColumnElement, Select, exists, or_, select
from sqlalchemy.orm import Session, aliased
from sqlalchemy.sql.roles import ExpressionElementRole

from app.core.settings import Settings
from app.db import coverage, work
from app.db.clock import from_now
from app.db.learning import Command, Run
from app.db.tables import Application, Installation, IssueSnapshot, Repository, State
from worker.standing import stand_aside

# One writer's turn; short, so that installations take turns. A row costs a few requests and up to
# three writes a second apart, far inside a lease.
TURN = 10
# Of a backfill's labels: so an issue that is opened meanwhile waits for this many.
RUN_TURN = 2
# A command or run that was due so long ago keeps nobody waiting any more.
UNHEARD_SECONDS = 120.0


@dataclass(frozen=True)
class Job:
    """One Application in our hands, with the issue and repository it is about."""

    row: Application
    snapshot: IssueSnapshot
    repository: Repository


def take_turn(session: Session, settings: Settings) -> tuple[list[Job], int]:
    """The due work of one installation that nobody else writes for, and how many rows were claimed.

    Rows that are not to be carried out are settled on the way, so the list may be shorter.
    """
    installation_id = _choose(session)
    if installation_id is None:
        return [], 0
    texts = coverage.texts_of(installation_id)
    rows = _claim(session, settings, texts.where(IssueSnapshot.run_id.is_(None)), TURN)
    if not rows:
        rows = _claim(session, settings, texts, RUN_TURN)
    jobs = [_job(session, row) for row in rows]
    return [job for job in jobs if not stand_aside(session, job.row, job.snapshot)], len(rows)


def _claim(
    session: Session, settings: Settings, texts: Select[int], limit: int
) -> list[Application]:
    return work.claim(
        session,
        Application,
        limit,
        settings.lease_seconds,
        Application.snapshot_id.in_(texts),
        max_attempts=settings.max_attempts,
    )


def _choose(session: Session) -> int | None:
    """The installation whose work has waited longest, locked until the transaction ends."""
    installation_id: int | None = session.scalar(
        select(Installation.id)
        .join(Repository, Repository.installation_id == Installation.id)
        .join(IssueSnapshot, IssueSnapshot.repository_id == Repository.id)
        .join(Application, Application.snapshot_id == IssueSnapshot.id)
        .where(
            work.due(Application),
            is_open(),
            ~is_written_for(Installation.id),
            ~_goes_first(Command),
            ~_goes_first(Run),
        )
        # Nobody waits for what a backfill brought.
        .order_by(IssueSnapshot.run_id.is_not(None), Application.due_at)
        .limit(1)
        .with_for_update(of=Installation, skip_locked=True)
    )
    # Looked at again under the lock: the first look may be older than another writer's claim.
    if installation_id is None or session.scalar(select(is_written_for(installation_id))):
        return None
    return installation_id


def is_open() -> ColumnElement[bool]:
    """The condition of an installation that GitHub lets us call."""
    return or_(Installation.blocked_until.is_(None), Installation.blocked_until <= from_now())


def is_written_for(
    installation_id: ExpressionElementRole[int] | int,
) -> ColumnElement[bool]:
    """True while somebody holds work that writes to the installation's issues."""
    return or_(
        _labels_held(installation_id), _held(Command, installation_id), _held(Run, installation_id)
    )


def somebody_asks(session: Session, installation_id: int) -> bool:
    """True while a person's command waits: whoever pauses the bot means its next label."""
    asked = select(Installation.id).where(Installation.id == installation_id, _goes_first(Command))
    return session.scalar(asked) is not None


def _goes_first(table: type[Command | Run]) -> ColumnElement[bool]:
    asked, repository = aliased(table), aliased(Repository)
    return (
        exists()
        .where(
            asked.state == State.PENDING,
            asked.due_at <= from_now(),
            # Nobody came for it: labels do not wait for a process that does not run.
            asked.due_at > from_now(-UNHEARD_SECONDS),
            asked.repository_id == repository.id,
            repository.installation_id == Installation.id,
        )
        .correlate(Installation)
    )


def _held(
    table: type[Command | Run], installation_id: ExpressionElementRole[int] | int
) -> ColumnElement[bool]:
    held, repository = aliased(table), aliased(Repository)
    return (
        exists()
        .where(
            held.state == State.PENDING,
            held.lease_until > from_now(),
            held.repository_id == repository.id,
            repository.installation_id == installation_id,
        )
        .correlate(Installation)
    )


def _labels_held(installation_id: ExpressionElementRole[int] | int) -> ColumnElement[bool]:
    held, snapshot, repository = aliased(Application), aliased(IssueSnapshot), aliased(Repository)
    return (
        exists()
        .where(
            held.state == State.PENDING,
            held.lease_until > from_now(),
            held.snapshot_id == snapshot.id,
            snapshot.repository_id == repository.id,
            repository.installation_id == installation_id,
        )
        .correlate(Installation)
    )


def _job(session: Session, row: Application) -> Job:
    snapshot = session.get_one(IssueSnapshot, row.snapshot_id)
    return Job(row, snapshot, session.get_one(Repository, snapshot.repository_id))
