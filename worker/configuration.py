"""Read the configuration of repositories again and again, and report mistakes where owners look."""

from __future__ import annotations

import time
from dataclasses import dataclass

from sqlalchemy import exists, func, select
from sqlalchemy.orm import Session

from app.core.errors import GitHubUnavailable
from app.core.repository_config import OWNERS_REPOSITORY
from app.core.settings import Settings
from app.db import work
from app.db.clock import from_now
from app.db.learning import RepositoryConfig
from app.db.session import Database
from app.db.tables import Repository
from app.github.client import AppClient, InstallationClient
from worker.config_reading import Place, Reading, refresh
from worker.problem_issue import Board, Notice, told
from worker.rounds import Errand, Rounds

# Requests an hour that looking for files that are not there may cost an installation; GitHub gives
# it 5000 at least.
LOOKS_AN_HOUR = 500
# Noted before the first word to GitHub: should the answer get lost, the issue is looked for.
_BEGUN = "begun"


class LeaseLost(GitHubUnavailable):
    """Our time with a row is over: somebody else may be at it already."""

    def __init__(self) -> None:
        super().__init__("GitHub took too long: the lease was used up before the write")


@dataclass
class Configuration:
    """The use case, with all it needs. `changed` counts repositories for which other rules hold."""

    database: Database
    github: AppClient
    settings: Settings
    changed: int = 0

    def run_batch(self) -> int:
        """One installation's turn; how many rows were claimed, 0 when there is nothing to do."""
        rounds = Rounds(self.database, self.github, self.settings, RepositoryConfig)
        return rounds.run(self._look_after)

    def _look_after(self, client: InstallationClient, errand: Errand[RepositoryConfig]) -> None:
        self.changed += refresh(self.database, client, errand.repository)
        self._report(client, errand)
        with self.database.transaction() as session:
            seconds = _interval(session, errand.repository, self.settings.config_seconds)
            until = session.scalar(select(from_now(seconds)))
            work.release(session, errand.row, until=until)

    def _report(self, client: InstallationClient, errand: Errand[RepositoryConfig]) -> None:
        with self.database.reading() as session:
            row = session.get_one(RepositoryConfig, errand.row.id)
            notice = Notice(self._lines(session, row, errand.repository), idle=row.in_force is None)
        reported = row.sources.get("reported", "")
        if notice.digest == reported:
            return
        self._note(errand, row, reported=_BEGUN)
        board = Board(
            client,
            self.github.identity(client),
            errand.repository.full_name,
            before_write=lambda: self._hold(errand),
            after_write=lambda: time.sleep(self.settings.write_spacing_seconds),
        )
        number = board.put_up(notice, row.problem_issue)
        self._note(errand, row, reported=notice.digest, number=number)

    def _lines(
        self, session: Session, row: RepositoryConfig, repository: Repository
    ) -> tuple[str, ...]:
        own, owner = Place.of(row.sources.get("repository")), Place.of(row.sources.get("owner"))
        clash = tuple(row.sources.get("clash") or ())
        mistakes = Reading(own, owner, row.in_force, clash).own_mistakes
        return told(mistakes, owner.mistakes, tells_owners=_tells_owners(session, repository))

    def _note(
        self,
        errand: Errand[RepositoryConfig],
        row: RepositoryConfig,
        *,
        reported: str,
        number: int | None = None,
    ) -> None:
        with self.database.transaction() as session:
            now = session.get_one(RepositoryConfig, row.id, with_for_update=True)
            values: dict[str, object] = {"sources": dict(now.sources) | {"reported": reported}}
            if number is not None:
                values["problem_issue"] = number
            if not work.note(session, errand.row, **values):
                raise LeaseLost

    def _hold(self, errand: Errand[RepositoryConfig]) -> None:
        with self.database.transaction() as session:
            if not work.may_act(session, errand.row, self.settings.lease_seconds):
                raise LeaseLost


def _interval(session: Session, repository: Repository, usual: float) -> float:
    """Seconds until the next reading.

    A file that is there and did not change costs nothing. That there is none costs a request each
    time, and most repositories of a large installation have none: together they may take a small
    share of its hour. Whatever is used is read right then, so only reports of mistakes come later.
    """
    row = session.get_one(RepositoryConfig, repository.id)
    places = (row.sources.get("repository"), row.sources.get("owner"))
    absent = sum(not Place.of(place).etag for place in places)
    covered = session.scalar(
        select(func.count())
        .select_from(Repository)
        .where(
            Repository.installation_id == repository.installation_id,
            Repository.removed_at.is_(None),
        )
    )
    return max(usual, (covered or 0) * absent * 3600 / LOOKS_AN_HOUR)


def _tells_owners(session: Session, repository: Repository) -> bool:
    """True if mistakes in the owner's default are reported in this repository.

    They are reported once: in the owner's `.github` repository where the App covers it (which finds
    them by itself), else in the repository that has been with the installation longest.
    """
    owner = repository.full_name.partition("/")[0]
    home = func.lower(f"{owner}/{OWNERS_REPOSITORY}")
    covered = (
        Repository.installation_id == repository.installation_id,
        Repository.removed_at.is_(None),
    )
    if session.scalar(select(exists().where(func.lower(Repository.full_name) == home, *covered))):
        return False
    return session.scalar(select(func.min(Repository.id)).where(*covered)) == repository.id
