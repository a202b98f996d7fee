"""The same repository through everything: stand-in GitHub, receiver, broker, workers, all real."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import structlog
from sqlalchemy import select

from app.core.repository_config import Config
from app.core.settings import Settings
from app.core.text import IssueText
from app.db import models
from app.db.learning import Correction
from app.db.session import Database
from app.db.tables import Application, IssueSnapshot, State
from deploy.sandbox.demo.stage import Stage, standing
from deploy.sandbox.remote import PROJECT
from worker.model.query import Artifact
from worker.triage import Models

log = structlog.get_logger()

T = TypeVar("T")
PATIENCE = 600.0
POLL_SECONDS = 0.05
CONFIG = ".github/triora.yml"
# GitHub's own limit.
TITLE = 256


@dataclass
class Live:
    """One repository of a running stand-in, with a Triora that serves it."""

    stage: Stage
    database: Database
    config: Config
    asked: Models
    repository_id: int = 0

    def file(self, text: IssueText) -> tuple[int, dict[str, str]]:
        """Somebody opens a report; returns when its labels are on."""
        opened = self.stage.github.open_issue(text.title[:TITLE], text.body)
        number = int(opened["number"])
        row = self._wait(lambda: self._done(number), f"labels of issue {number}")
        owners = (self.config.taxonomy.owner_of(name) for name in row.written)
        return number, {owner[0].name: owner[1].name for owner in owners if owner is not None}

    def _done(self, number: int) -> Application | None:
        with self.database.reading() as session:
            found = session.execute(
                select(Application, IssueSnapshot.repository_id)
                .join(IssueSnapshot, IssueSnapshot.id == Application.snapshot_id)
                .where(IssueSnapshot.issue_number == number, Application.state != State.PENDING)
            ).first()
        if found is None:
            return None
        application, self.repository_id = found
        if application.state == State.DEAD:
            raise RuntimeError(f"issue {number} was not labelled: {application.error}")
        return application

    def deal(
        self, number: int, said: Mapping[str, str], right: Mapping[str, str], *, close: bool
    ) -> None:
        """A maintainer replaces labels on GitHub, and perhaps closes the issue.

        Returns when all of that is known as corrections and confirmations.
        """
        taxonomy = self.config.taxonomy
        for dimension in right:
            if dimension in said:
                wrong = taxonomy[dimension].label(said[dimension]).github
                self.stage.github.unlabel(number, wrong)
        if right:
            names = [taxonomy[d].label(name).github for d, name in right.items()]
            self.stage.github.label(number, *names)
        if close:
            self.stage.github.close_issue(number)
        expected = {**said, **right} if close else right
        self._wait(lambda: self._known(number, expected), f"corrections of issue {number}")

    def _known(self, number: int, expected: Mapping[str, str]) -> bool:
        with self.database.reading() as session:
            rows = session.execute(
                select(Correction.dimension, Correction.labels).where(
                    Correction.issue_number == number
                )
            )
            known = {row.dimension: row.labels for row in rows}
        return all(known.get(dimension) == [label] for dimension, label in expected.items())

    def choices(self) -> tuple[Artifact, ...]:
        """The versions that answer now, best first."""
        with self.database.reading() as session:
            serving = models.serving(session, [self.repository_id])[self.repository_id]
        return tuple(Artifact(row.version, row.uri, row.digest) for row in serving)

    def retrain(self) -> str:
        """Ask for a retraining and wait for it, as an operator would."""
        done = subprocess.run(
            [str(Path(sys.executable).with_name("triora")), "retrain", PROJECT, "--wait"],
            env=dict(self.stage.environment),
            capture_output=True,
            text=True,
            check=False,
        )
        return (done.stdout or done.stderr).strip().splitlines()[-1]

    def _wait(self, condition: Callable[[], T | None], what: str) -> T:
        deadline = time.monotonic() + PATIENCE
        while not (found := condition()):
            self.stage.check()
            if time.monotonic() > deadline:
                raise TimeoutError(f"{what} took over {PATIENCE:.0f} s")
            time.sleep(POLL_SECONDS)
        return found


@contextmanager
def played(asked: Models, settings: Settings, config: Config) -> Iterator[Live]:
    """Everything started, with a repository that says `config`'s memory; ended with the block."""
    with standing(
        settings.data_dir,
        os.environ,
        patience=PATIENCE,
        progress=lambda line: log.info("feedback_loop.stage", doing=line),
    ) as stage:
        memory = "true" if config.memory else "false"
        # Retraining is asked for, never by the schedule: arms have to differ in nothing else.
        wanted = f"memory: {memory}\nretraining:\n  enabled: false\n"
        stage.github.put_file(CONFIG, wanted)
        database = Database(stage.environment["TRIORA_DATABASE_URL"])
        try:
            yield Live(stage, database, config, asked)
        finally:
            database.engine.dispose()
