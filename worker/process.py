"""What one worker process holds: settings, database, GitHub, and the model where it is needed."""

from __future__ import annotations

import threading
import time
from collections.abc import Collection
from functools import cached_property

import structlog

from app.core.settings import Settings
from app.core.taxonomy import DEFAULT_TAXONOMY, Taxonomy
from app.db import models as versions
from app.db.session import Database
from app.github.client import AppClient
from app.queue import Queue
from worker.commands import Commanding
from worker.configuration import Configuration
from worker.labelling import Labelling
from worker.memory import Memory
from worker.pacing import Pacing
from worker.review import Reviewing
from worker.runs import Running
from worker.triage import Models, Triage
from worker.watch import Watch

log = structlog.get_logger()


class Process:
    """Built once at the entry point; every part is made when first asked for, and once."""

    def __init__(self, settings: Settings, taxonomy: Taxonomy = DEFAULT_TAXONOMY) -> None:
        self.settings = settings
        self.taxonomy = taxonomy
        self._lock = threading.Lock()
        self._models: Models | None = None
        self._memory = Memory()
        self._github: AppClient | None = None

    @cached_property
    def database(self) -> Database:
        """The store. Connects to nothing yet."""
        return Database(self.settings.sql_url)

    @cached_property
    def watch(self) -> Watch:
        """The use case that rolls back what people override too often."""
        return Watch(self.database, self.settings)

    def prepare(self, queues: Collection[str]) -> None:
        """Make what work from these queues needs, before the first message is taken.

        ConfigProblem or ArtifactMismatch says what is missing.
        """
        if Queue.TRIAGE in queues:
            self.load_models()
        if Queue.LABEL in queues or Queue.UPKEEP in queues:
            self.connect()

    def connect(self) -> AppClient:
        """GitHub as our App; one for all threads, since it keeps the tokens."""
        with self._lock:
            if self._github is None:
                pacing = Pacing(self.database, self.settings)
                self._github = AppClient.from_settings(
                    self.settings, before_write=pacing.before_write
                )
            return self._github

    def load_models(self) -> Models:
        """The models; loading them takes seconds to minutes and most of the process's memory."""
        with self._lock:
            if self._models is None:
                self._models = self._load()
            return self._models

    def _load(self) -> Models:
        # Torch must not reach the label writer, which imports this module too.
        from worker.model.versions import build_models  # noqa: PLC0415

        started = time.monotonic()
        log.info("model.loading", model=self.settings.model)
        with self.database.reading() as session:
            alone = not versions.any_active(session)
        models = build_models(self.settings, self.taxonomy, merged=alone)
        log.info(
            "model.ready", version=models.version, seconds=round(time.monotonic() - started, 1)
        )
        return models

    def triage(self) -> Triage:
        """The use case of the triage worker."""
        return Triage(self.database, self.load_models(), self.taxonomy, self.settings, self._memory)

    def labelling(self) -> Labelling:
        """The use case of the label writer."""
        return Labelling(self.database, self.connect(), self.taxonomy, self.settings)

    def configuration(self) -> Configuration:
        """The use case that reads repositories' configuration, and reports mistakes in it."""
        return Configuration(self.database, self.connect(), self.settings)

    def reviewing(self) -> Reviewing:
        """The use case that finds out what people said of labels."""
        return Reviewing(self.database, self.connect(), self.taxonomy, self.settings)

    def commanding(self) -> Commanding:
        """The use case that carries out commands in comments."""
        return Commanding(self.database, self.connect(), self.settings)

    def running(self) -> Running:
        """The use case that carries backfills and undos on."""
        return Running(self.database, self.connect(), self.settings)
