"""Claims of texts to be scored, shared fairly: no installation waits behind another's backlog.

What one repository has waiting is a line: its live issues, and those of each backfill. Every claim
gives each installation with somebody in line the same share, the longest waiting first within it.
Only heads of lines are looked at, so a claim costs the same however long the lines are.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cache

from sqlalchemy import CTE, ColumnElement, Select, func, null, select
from sqlalchemy.orm import Session, aliased

from app.db import work
from app.db.clock import from_now
from app.db.tables import Application, IssueSnapshot, Repository, State


@dataclass(frozen=True)
class Line:
    """Somebody waits here since `since`. `run_id` is the backfill's; None for live issues."""

    installation_id: int
    repository_id: int
    run_id: str | None
    since: datetime


def claim(
    session: Session,
    limit: int,
    lease_seconds: float,
    *,
    max_attempts: int,
    most_unlabelled: int,
) -> list[IssueSnapshot]:
    """Up to `limit` due texts, leased; live ones before those of backfills.

    An installation with `most_unlabelled` issues whose labels wait to be written gets none.
    """
    rows: list[IssueSnapshot] = []
    full = _full(session, most_unlabelled)
    for heads in (_live(), _of_runs()):
        if len(rows) < limit:
            found = session.execute(heads)
            lines = [Line(n, repo, run, since) for n, repo, run, since in found if n not in full]
            more = _share(session, lines, limit - len(rows), lease_seconds, max_attempts)
            rows += sorted(more, key=lambda row: row.id)
    return rows


def _share(
    session: Session, lines: Sequence[Line], limit: int, lease_seconds: float, max_attempts: int
) -> list[IssueSnapshot]:
    waiting: dict[int, list[Line]] = {}
    for line in sorted(lines, key=lambda line: line.since):
        waiting.setdefault(line.installation_id, []).append(line)
    if len(waiting) > limit:
        # By chance, not by age: old backlogs, if there are many, would always come first.
        waiting = {number: waiting[number] for number in random.sample(list(waiting), limit)}
    rows: list[IssueSnapshot] = []
    while waiting and len(rows) < limit:
        share = max(1, (limit - len(rows)) // len(waiting))
        for number, theirs in list(waiting.items()):
            wanted = min(share, limit - len(rows))
            if wanted == 0:
                break
            taken = work.claim(
                session,
                IssueSnapshot,
                wanted,
                lease_seconds,
                IssueSnapshot.repository_id == theirs[0].repository_id,
                IssueSnapshot.run_id == theirs[0].run_id,
                max_attempts=max_attempts,
            )
            rows += taken
            if len(taken) < wanted:
                theirs.pop(0)
            if not theirs:
                del waiting[number]
    return rows


@cache
def _live() -> Select[int, int, str | None, datetime]:
    """The head of every line of live issues, where it is due."""
    repositories = _repositories()
    return _heads(repositories, repositories.c.id, None)


@cache
def _of_runs() -> Select[int, int, str | None, datetime]:
    """The head of every line of a backfill, where it is due."""
    repositories = _repositories()
    first, further = aliased(IssueSnapshot), aliased(IssueSnapshot)
    runs = select(
        repositories.c.id,
        select(func.min(first.run_id))
        .where(
            first.state == State.PENDING,
            first.repository_id == repositories.c.id,
            first.run_id.is_not(None),
        )
        .scalar_subquery()
        .label("run_id"),
    ).cte("runs", recursive=True)
    following = (
        select(func.min(further.run_id))
        .where(
            further.state == State.PENDING,
            further.repository_id == runs.c.id,
            further.run_id > runs.c.run_id,
        )
        .scalar_subquery()
    )
    runs = runs.union_all(select(runs.c.id, following).where(runs.c.run_id.is_not(None)))
    return _heads(runs, runs.c.id, runs.c.run_id)


def _heads(
    lines: CTE, repository_id: ColumnElement[int], run_id: ColumnElement[str] | None
) -> Select[int, int, str | None, datetime]:
    waits = aliased(IssueSnapshot)
    since = (
        select(func.min(waits.due_at))
        .where(
            waits.state == State.PENDING,
            waits.repository_id == repository_id,
            waits.run_id == run_id,
        )
        .scalar_subquery()
        .label("since")
    )
    head = null() if run_id is None else run_id
    heads = (
        select(Repository.installation_id, Repository.id, head.label("run_id"), since)
        .join_from(lines, Repository, Repository.id == repository_id)
        .subquery()
    )
    return select(heads).where(heads.c.since <= from_now())


def _repositories() -> CTE:
    """Repositories with texts that are not scored, each found by a step in the index."""
    first, further = aliased(IssueSnapshot), aliased(IssueSnapshot)
    found = (
        select(func.min(first.repository_id).label("id"))
        .where(first.state == State.PENDING)
        .cte("repositories", recursive=True)
    )
    following = (
        select(func.min(further.repository_id))
        .where(further.state == State.PENDING, further.repository_id > found.c.id)
        .scalar_subquery()
    )
    return found.union_all(select(following).where(found.c.id.is_not(None)))


def _full(session: Session, most: int) -> set[int]:
    """Installations whose labels cannot be written as fast as their issues come."""
    pending = Application.state == State.PENDING
    some = select(Application.id).where(pending).order_by(Application.due_at).limit(most).subquery()
    if (session.scalar(select(func.count()).select_from(some)) or 0) < most:
        return set()
    return set(
        session.scalars(
            select(Repository.installation_id)
            .join(IssueSnapshot, IssueSnapshot.repository_id == Repository.id)
            .join(Application, Application.snapshot_id == IssueSnapshot.id)
            .where(pending)
            .group_by(Repository.installation_id)
            .having(func.count() >= most)
        )
    )
