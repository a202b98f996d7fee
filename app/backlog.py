"""What waits, what died and why, and who is blocked: for an operator, and for scripts."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from datetime import datetime
from typing import Any

from pydantic import BaseModel
from sqlalchemy import ColumnElement, Select, func, null, or_, select
from sqlalchemy.orm import Session, aliased

from app.core.errors import ConfigProblem
from app.db import retrainings, rows, runs, work
from app.db.clock import from_now
from app.db.learning import Command, Retraining, Review
from app.db.tables import Application, Installation, IssueSnapshot, Repository, State
from app.db.work import Claimed

WAITS = "GitHub asked us to wait, or bears no further write yet"


class Dead(BaseModel):
    """A row that was given up. `row` names it, as `triora replay` takes it."""

    row: str
    repository: str
    issue: int | None
    attempts: int
    error: str


class Kind(BaseModel):
    """The rows of one table that are not through. `waiting_seconds`: the longest due one, or 0."""

    pending: int
    due: int
    held: int
    dead: int
    waiting_seconds: float


class Blocked(BaseModel):
    """An installation, or one repository of it, that no call is made for, and why."""

    installation: int
    account: str
    repository: str | None = None
    why: str
    since: datetime | None = None
    until: datetime | None = None


class GivenUp(BaseModel):
    """A repository whose last retraining died: its model learns nothing until one is asked for."""

    repository: str
    row: str
    why: str


class Status(BaseModel):
    """Everything at one moment."""

    work: dict[str, Kind]
    blocked: list[Blocked]
    given_up: list[GivenUp]


class Choice(BaseModel):
    """Which dead rows: by table, by repository, by name, or all without any of them."""

    table: str | None = None
    repository: str | None = None
    named: tuple[str, ...] = ()

    def conditions(
        self, session: Session
    ) -> Iterator[tuple[str, type[Claimed], list[ColumnElement[bool]]]]:
        """Each table with rows to choose from, and the conditions of the choice.

        ConfigProblem for what names no table, row or repository.
        """
        wanted = _read_names(self.named)
        if self.table is not None and self.table not in rows.TABLES:
            raise ConfigProblem(f"no table {self.table!r}: there are {', '.join(rows.TABLES)}")
        place = None
        if self.repository is not None:
            place = runs.repository_of(session, self.repository, left=True).id
        for name, table in rows.TABLES.items():
            if self.table not in (None, name) or (wanted and name not in wanted):
                continue
            conditions: list[ColumnElement[bool]] = [table.state == State.DEAD]
            if wanted:
                conditions.append(table.id.in_(wanted[name]))
            if place is not None:
                conditions.append(rows.of_repositories(table, place))
            yield name, table, conditions


def dead(session: Session, choice: Choice, limit: int | None = None) -> Iterator[Dead]:
    """The dead rows of the choice, oldest first in each table, at most `limit` of each."""
    for name, table, conditions in choice.conditions(session):
        found = _with_repository(table).where(*conditions).order_by(table.id).limit(limit)
        for row, repository, issue in session.execute(found):
            yield Dead(
                row=f"{name}:{row.id}",
                repository=repository,
                issue=issue,
                attempts=row.attempts,
                error=row.error or "no reason was kept",
            )


def count(session: Session, choice: Choice) -> int:
    """How many dead rows there are of the choice."""
    return sum(
        session.scalar(select(func.count(table.id)).where(*conditions)) or 0
        for _, table, conditions in choice.conditions(session)
    )


def replay(session: Session, choice: Choice) -> dict[str, int]:
    """Make the dead rows of the choice pending and due; how many in each table.

    At most one retraining of a repository waits: a dead one stays where another does.
    """
    return {
        name: work.revive(session, table, *conditions, *_allowed(table))
        for name, table, conditions in choice.conditions(session)
    }


def status(session: Session) -> Status:
    """How things stand."""
    return Status(
        work={name: _kind(session, table) for name, table in rows.TABLES.items()},
        blocked=list(_blocked(session)),
        given_up=[
            GivenUp(repository=name, row=f"retrainings:{row.id}", why=row.error or "no reason")
            for row, name in retrainings.given_up(session)
        ],
    )


def table(now: Status) -> Iterator[str]:
    """The same in lines for a person."""
    yield f"{'':<12}{'pending':>9}{'due':>9}{'held':>9}{'dead':>9}   longest due"
    for name, kind in now.work.items():
        counts = f"{kind.pending:>9}{kind.due:>9}{kind.held:>9}{kind.dead:>9}"
        waits = f"{kind.waiting_seconds:.0f} s" if kind.due else "-"
        yield f"{name:<12}{counts}   {waits}"
    for one in now.blocked:
        until = f", until {one.until:%Y-%m-%d %H:%M:%S} UTC" if one.until else ""
        since = f" since {one.since:%Y-%m-%d %H:%M:%S} UTC" if one.since else ""
        what = one.repository or f"installation {one.installation} ({one.account})"
        yield f"{what}: {one.why}{since}{until}"
    for lost in now.given_up:
        anew = f"`triora retrain {lost.repository}` asks for it anew"
        yield f"{lost.repository}: its retraining was given up ({lost.why}): {anew}"


def _read_names(names: Collection[str]) -> dict[str, list[int | str]]:
    wanted: dict[str, list[int | str]] = {}
    for name in names:
        kind, _, number = name.partition(":")
        if kind not in rows.TABLES or not (number.isdecimal() or (kind == "runs" and number)):
            raise ConfigProblem(
                f"{name!r} names no row: write it as `triora replay` lists it, like labels:17"
            )
        wanted.setdefault(kind, []).append(number if kind == "runs" else int(number))
    return wanted


def _with_repository(table: type[Claimed]) -> Select[Any, str, int | None]:
    """Each row with its repository's name, and its issue's number where it is about one."""
    home, numbered = rows.repository_column(table), IssueSnapshot.issue_number
    if issubclass(table, Application):
        query = select(table, Repository.full_name, numbered)
        return query.join_from(table, IssueSnapshot, IssueSnapshot.id == table.snapshot_id).join(
            Repository, Repository.id == home
        )
    number: Any = null()
    if issubclass(table, IssueSnapshot | Review | Command):
        number = table.issue_number
    return select(table, Repository.full_name, number).join(Repository, Repository.id == home)


def _allowed(table: type[Claimed]) -> list[ColumnElement[bool]]:
    if not issubclass(table, Retraining):
        return []
    waiting, later = aliased(Retraining), aliased(Retraining)
    return [
        Retraining.repository_id.not_in(
            select(waiting.repository_id).where(waiting.state == State.PENDING)
        ),
        Retraining.id.in_(
            select(func.max(later.id))
            .where(later.state == State.DEAD)
            .group_by(later.repository_id)
        ),
    ]


def _kind(session: Session, table: type[Claimed]) -> Kind:
    counted = work.counts(session, table)
    due, longest = session.execute(
        select(func.count(table.id), func.min(table.due_at)).where(work.due(table))
    ).one()
    held = session.scalar(
        select(func.count(table.id)).where(
            table.state == State.PENDING,
            table.due_at > from_now(),
            table.lease_until > from_now(),
        )
    )
    now = session.scalar(select(from_now()))
    waits = (now - longest).total_seconds() if longest is not None and now is not None else 0.0
    return Kind(
        pending=counted[State.PENDING],
        due=due,
        held=held or 0,
        dead=counted[State.DEAD],
        waiting_seconds=round(max(waits, 0.0), 3),
    )


def _blocked(session: Session) -> Iterator[Blocked]:
    there = Installation.deleted_at.is_(None)
    stopped = or_(
        Installation.suspended_at.is_not(None),
        Installation.refused_since.is_not(None),
        Installation.blocked_until > from_now(),
    )
    for row in session.scalars(select(Installation).where(there, stopped)):
        said = {"installation": row.id, "account": row.account}
        if row.suspended_at is not None:
            yield Blocked(**said, why="suspended by its owner", since=row.suspended_at)
        elif row.refused_since is not None:
            why = "GitHub refuses every call"
            yield Blocked(**said, why=why, since=row.refused_since, until=row.blocked_until)
        else:
            yield Blocked(**said, why=WAITS, until=row.blocked_until)
    refused = (
        select(Repository, Installation.account)
        .join(Installation, Installation.id == Repository.installation_id)
        .where(there, Repository.removed_at.is_(None), Repository.refused_since.is_not(None))
        .order_by(Repository.full_name)
    )
    for repository, account in session.execute(refused):
        yield Blocked(
            installation=repository.installation_id,
            account=account,
            repository=repository.full_name,
            why="GitHub refuses what is to be done there",
            since=repository.refused_since,
        )
