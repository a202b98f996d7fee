"""Rounds over rows of work that belong to a repository: one installation's turn at a time.

The turns of `worker.turns`, for tables that name their repository: who waited longest comes first,
an installation that GitHub asked us to leave alone waits, and one row's error settles that row.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

import structlog
from sqlalchemy import ColumnElement, select
from sqlalchemy.orm import InstrumentedAttribute, Session

from app.core.errors import GitHubUnavailable, Gone
from app.core.settings import Settings
from app.db import work
from app.db.clock import from_now
from app.db.learning import Command, RepositoryConfig, Review, Run
from app.db.refusals import block
from app.db.rows import repository_column
from app.db.session import Database
from app.db.tables import Installation, Repository
from app.github.client import AppClient, InstallationClient
from app.github.failures import Refused, RepositoryMoved
from worker import refusals
from worker.settle import settle
from worker.standing import barred
from worker.turns import TURN, is_open, is_worked_for, is_written_for

log = structlog.get_logger()

B = TypeVar("B", Review, Command, RepositoryConfig, Run)


@dataclass(frozen=True)
class Errand(Generic[B]):
    """One row in our hands, with the repository it is about."""

    row: B
    repository: Repository


@dataclass(frozen=True)
class Rounds(Generic[B]):
    """Turns over one table, with all they need."""

    database: Database
    github: AppClient
    settings: Settings
    table: type[B]

    def run(self, do: Callable[[InstallationClient, Errand[B]], None]) -> int:
        """One installation's turn: `do` each of its due rows, and finish the row there.

        How many rows were claimed, 0 when nothing is due. An error that `do` raises settles its
        row; GitHubUnavailable ends the turn, and the rows not begun are put off without a count.
        A repository that was renamed is followed, and `do` called again.
        """
        with self.database.transaction() as session:
            errands, claimed = take(session, self.table, self.settings)
        if errands:
            with self.github.installation(errands[0].repository.installation_id) as client:
                self._work_through(client, errands, do)
        return claimed

    def _work_through(
        self,
        client: InstallationClient,
        errands: Sequence[Errand[B]],
        do: Callable[[InstallationClient, Errand[B]], None],
    ) -> None:
        for index, errand in enumerate(errands):
            try:
                self._follow_moves(client, errand, do)
            except GitHubUnavailable as error:
                # It concerns the others as well: asking on would only cost their attempts.
                self._settle(errand, error)
                self._put_off(errands[index + 1 :], error)
                return
            except Refused as error:
                # A token keeps the permissions it was made with.
                client.renew()
                self._put_off(errands[index + 1 :])
                self._settle(errand, error)
                return
            except Exception as error:  # noqa: BLE001 - one odd row must not stop the others
                self._settle(errand, error)
            else:
                refusals.end(self.database, errand.row, errand.repository, wrote=False)

    def _follow_moves(
        self,
        client: InstallationClient,
        errand: Errand[B],
        do: Callable[[InstallationClient, Errand[B]], None],
    ) -> None:
        try:
            do(client, errand)
        except RepositoryMoved:
            self._learn_name(client, errand.repository)
            do(client, errand)

    def _learn_name(self, client: InstallationClient, repository: Repository) -> None:
        found = client.repository(repository.id)
        if found.full_name == repository.full_name:
            raise Gone("the issue was transferred to another repository")
        with self.database.transaction() as session:
            session.get_one(Repository, repository.id).full_name = found.full_name
        repository.full_name = found.full_name
        log.info("repository.renamed", repository=repository.id)

    def _settle(self, errand: Errand[B], error: Exception) -> None:
        with self.database.transaction() as session:
            if isinstance(error, Refused):
                refusals.put_off(session, errand.row, errand.repository, error)
                return
            settle(session, errand.row, error, self.settings)
            if isinstance(error, GitHubUnavailable) and error.limited and error.retry_at:
                block(session, errand.repository.installation_id, error.retry_at)

    def _put_off(
        self, errands: Sequence[Errand[B]], error: GitHubUnavailable | None = None
    ) -> None:
        with self.database.transaction() as session:
            until = error.retry_at if error is not None else None
            if error is not None and until is None:
                until = session.scalar(select(from_now(self.settings.retry_seconds)))
            for errand in errands:
                work.release(session, errand.row, until=until, error=errand.row.error)


def take(session: Session, table: type[B], settings: Settings) -> tuple[list[Errand[B]], int]:
    """The due rows of one installation that nobody else works for, and how many were claimed.

    Rows that are not to be carried out are settled on the way, so the list may be shorter.
    """
    installation_id = _choose(session, table)
    if installation_id is None:
        return [], 0
    covered = select(Repository.id).where(Repository.installation_id == installation_id)
    rows: list[B] = work.claim(
        session,
        table,
        TURN,
        settings.lease_seconds,
        repository_column(table).in_(covered),
        max_attempts=settings.max_attempts,
    )
    errands = [Errand(row, session.get_one(Repository, _home_of(row))) for row in rows]
    return [e for e in errands if not barred(session, e.row, e.repository)], len(rows)


def _home_of(row: Review | Command | RepositoryConfig | Run) -> int:
    return row.id if isinstance(row, RepositoryConfig) else row.repository_id


def _choose(session: Session, table: type[B]) -> int | None:
    """The installation whose work has waited longest, locked until the transaction ends."""
    installation_id: int | None = session.scalar(
        select(Installation.id)
        .join(Repository, Repository.installation_id == Installation.id)
        .join(table, repository_column(table) == Repository.id)
        .where(work.due(table), is_open(), ~_busy(table, Installation.id))
        .order_by(table.due_at)
        .limit(1)
        .with_for_update(of=Installation, skip_locked=True)
    )
    # Looked at again under the lock: the first look may be older than another worker's claim.
    if installation_id is None or session.scalar(select(_busy(table, installation_id))):
        return None
    return installation_id


def _busy(table: type[B], installation_id: InstrumentedAttribute[int] | int) -> ColumnElement[bool]:
    if issubclass(table, Command | Run):
        return is_written_for(installation_id)
    return is_worked_for(table, installation_id)
