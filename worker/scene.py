"""What a person's command or a run works with on GitHub: client, database and a lease to mind."""

from __future__ import annotations

import time
from collections.abc import Collection
from dataclasses import dataclass
from typing import Generic, TypeVar

from sqlalchemy import select

from app.core.settings import Settings
from app.db import work
from app.db.clock import from_now
from app.db.insertion import insert_new
from app.db.learning import Command, Run
from app.db.session import Database
from app.db.tables import SeenLabel
from app.github.client import InstallationClient
from app.github.models import Identity
from worker.labelling import LeaseLost
from worker.rounds import Errand

R = TypeVar("R", Command, Run)


@dataclass(frozen=True)
class Scene(Generic[R]):
    """One row in our hands, and all that carrying it out needs. `us` is our App on GitHub."""

    database: Database
    settings: Settings
    client: InstallationClient
    us: Identity
    errand: Errand[R]

    @property
    def row(self) -> R:
        """What is carried out."""
        return self.errand.row

    @property
    def name(self) -> str:
        """owner/name of the repository."""
        return self.errand.repository.full_name

    @property
    def repository_id(self) -> int:
        """GitHub's number of the repository."""
        return self.errand.repository.id

    def hold(self, **note: object) -> None:
        """Before a write: LeaseLost unless the row is still safely ours. Writes `note` on it."""
        with self.database.transaction() as session:
            if not work.may_act(session, self.row, self.settings.lease_seconds):
                raise LeaseLost
            if note and not work.note(session, self.row, **note):
                raise LeaseLost
        for column, value in note.items():
            setattr(self.row, column, value)

    def pause(self) -> None:
        """After a write: GitHub asks for a second between two."""
        time.sleep(self.settings.write_spacing_seconds)

    def seen(self) -> set[str]:
        """Labels of the taxonomy that ever stood in the repository, case-folded."""
        with self.database.reading() as session:
            return set(
                session.scalars(
                    select(SeenLabel.name).where(SeenLabel.repository_id == self.repository_id)
                )
            )

    def remember(self, names: Collection[str]) -> None:
        """Note that these labels stand in the repository: deleted, they are not created again."""
        with self.database.transaction() as session:
            for name in sorted({name.casefold() for name in names}):
                insert_new(
                    session,
                    SeenLabel,
                    repository_id=self.repository_id,
                    name=name,
                    seen_at=from_now(),
                )
