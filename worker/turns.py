"""Claims of label work: one writer at a time for each installation, as GitHub asks.

Labels, commands and runs take turns at an installation. Who asked in person goes first: labels
stand back where a command or a run is due.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import Any

from sqlalchemy import ColumnElement, Select, literal, or_, select
from sqlalchemy.orm import InstrumentedAttribute, Session, aliased

from app.core.settings import Settings
from app.db import coverage, work
from app.db.clock import from_now
from app.db.learning import Command, Run
from app.db.rows import repository_column
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
    # Nobody waits for what a backfill brought. Two questions, since each follows the index of what
    # is due and ends with the first find; in one, all that is due would have to be sorted.
    for live in (True, False):
        installation_id: int | None = session.scalar(_longest_waiting(live))
        if installation_id is not None:
            break
    # Looked at again under the lock: the first look may be older than another writer's claim.
    if installation_id is None or session.scalar(select(is_written_for(installation_id))):
        return None
    return installation_id


@cache
def _longest_waiting(live: bool) -> Select[int]:
    # Put together once: that takes longer than the answer, and nobody else may write meanwhile.
    return (
        select(Installation.id)
        .join(Repository, Repository.installation_id == Installation.id)
        .join(IssueSnapshot, IssueSnapshot.repository_id == Repository.id)
        .join(Application, Application.snapshot_id == IssueSnapshot.id)
        .where(
            work.due(Application),
            IssueSnapshot.run_id.is_(None) if live else IssueSnapshot.run_id.is_not(None),
            is_open(),
            ~is_written_for(Installation.id),
            ~_among(Installation.id, _asked(Command), _asked(Run)),
        )
        .order_by(Application.due_at)
        .limit(1)
        .with_for_update(of=Installation, skip_locked=True)
    )


def is_open() -> ColumnElement[bool]:
    """The condition of an installation that GitHub lets us call."""
    return or_(Installation.blocked_until.is_(None), Installation.blocked_until <= from_now())


def is_written_for(installation_id: InstrumentedAttribute[int] | int) -> ColumnElement[bool]:
    """True while somebody holds work that writes to the installation's issues."""
    return _among(installation_id, *(held(table) for table in (Application, Command, Run)))


def is_worked_for(
    table: type[work.Claimed], installation_id: InstrumentedAttribute[int] | int
) -> ColumnElement[bool]:
    """True while somebody holds a row of `table` for the installation."""
    return _among(installation_id, held(table))


def held(table: type[work.Claimed]) -> Select[int]:
    """Installations with a row of `table` in somebody's hands.

    Nothing in it refers to the query around it: so it is found once, not for every row of that.
    """
    mine = aliased(table)
    # A claim puts `due_at` to the end of the lease: the index of what is due ends the search.
    return _installations(table, mine).where(
        mine.state == State.PENDING, mine.due_at > from_now(), mine.lease_until > from_now()
    )


def somebody_asks(session: Session, installation_id: int) -> bool:
    """True while a person's command waits: whoever pauses the bot means its next label."""
    asked = _among(installation_id, _asked(Command))
    return bool(session.scalar(select(asked)))


def _asked(table: type[Command | Run]) -> Select[int]:
    asked = aliased(table)
    return _installations(table, asked).where(
        asked.state == State.PENDING,
        asked.due_at <= from_now(),
        # Nobody came for it: labels do not wait for a process that does not run.
        asked.due_at > from_now(-UNHEARD_SECONDS),
    )


def _installations(table: type[work.Claimed], named: Any) -> Select[int]:
    """The installation of each row of `named`, an alias of `table`."""
    repository = aliased(Repository)
    if issubclass(table, Application):
        snapshot = aliased(IssueSnapshot)
        found = select(repository.installation_id).join(
            snapshot, snapshot.repository_id == repository.id
        )
        return found.join(named, named.snapshot_id == snapshot.id)
    home = getattr(named, repository_column(table).key)
    return select(repository.installation_id).join(named, home == repository.id)


def _among(
    installation_id: InstrumentedAttribute[int] | int, *found: Select[int]
) -> ColumnElement[bool]:
    number = literal(installation_id) if isinstance(installation_id, int) else installation_id
    return or_(*(number.in_(numbers) for numbers in found))


def _job(session: Session, row: Application) -> Job:
    snapshot = session.get_one(IssueSnapshot, row.snapshot_id)
    return Job(row, snapshot, session.get_one(Repository, snapshot.repository_id))
