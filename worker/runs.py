"""Carry runs on, a step at a time: backfills of old issues, catch-ups, and undos."""

from __future__ import annotations

from dataclasses import dataclass

from app.core.settings import Settings
from app.db.learning import Run, RunKind
from app.db.session import Database
from app.github.client import AppClient, InstallationClient
from worker import backfill, renames, undo
from worker.rounds import Errand, Rounds
from worker.scene import Scene


@dataclass(frozen=True)
class Running:
    """The use case, with all it needs."""

    database: Database
    github: AppClient
    settings: Settings

    def run_batch(self) -> int:
        """A step of each due run of one installation; how many runs, 0 when none is due."""
        return Rounds(self.database, self.github, self.settings, Run).run(self._step)

    def _step(self, client: InstallationClient, errand: Errand[Run]) -> None:
        us = self.github.identity(client)
        followed = renames.follow(self.database, client, errand.repository.id)
        scene = Scene(self.database, self.settings, followed, us, errand)
        if errand.row.kind == RunKind.UNDO:
            undo.step(scene)
        else:
            backfill.step(scene)
