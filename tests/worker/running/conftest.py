"""Runs over the issues of the stand-in's repository."""

from dataclasses import dataclass

import pytest

from app.core.settings import Settings
from app.core.taxonomy import DEFAULT_TAXONOMY
from app.db import runs
from app.db.learning import Run
from deploy.sandbox.sandbox import Sandbox
from tests.worker.commands.conftest import store  # noqa: F401 - a fixture
from tests.worker.conftest import Store, WordScorer
from tests.worker.labelling.conftest import labelling  # noqa: F401 - a fixture
from worker.labelling import Labelling
from worker.runs import Running
from worker.triage import Triage


@dataclass
class Works:
    """Everything that works on a run, one after the other and without waiting."""

    github: Sandbox
    store: Store
    repository: str
    settings: Settings
    running: Running
    labelling: Labelling
    scorer: WordScorer

    def open(self, title, **more):
        """Open an issue; its number."""
        return self.github.open_issue(title, repository=self.repository, **more)["number"]

    def labels(self, number):
        return set(self.github.labels(number, self.repository))

    def backfill(self, limit=None, since=None):
        """Ask for a backfill; its id."""
        with self.store.database.transaction() as session:
            repository = runs.repository_of(session, self.repository.upper())
            return runs.ask_backfill(
                session, repository, limit=limit, since=since, asked_by="tester"
            ).id

    def undo(self, target):
        """Ask for an undo; its id."""
        with self.store.database.transaction() as session:
            (run,) = runs.ask_undo(session, target, asked_by="tester")
            return run.id

    def run(self, run_id):
        return self.store.one(Run, Run.id == run_id)

    def step(self):
        """A step of what runs, whose time comes at once."""
        self.store.make_due(Run)
        return self.running.run_batch()

    def triage(self):
        return Triage(self.store.database, self.scorer, DEFAULT_TAXONOMY, self.settings).run_batch()

    def finish(self, run_id):
        """Work until the run is over; the run."""
        for _ in range(50):
            if self.run(run_id).state != "pending":
                return self.run(run_id)
            self.step()
            while self.triage().claimed:
                pass
            while self.labelling.run_batch():
                pass
        raise AssertionError(f"{run_id} goes on and on: {self.run(run_id).counts}")


@pytest.fixture
def works(github, store, repository, settings, app_client, labelling):  # noqa: F811
    hurried = settings.model_copy(update={"backfill_per_hour": 1e12})
    running = Running(store.database, app_client, hurried)
    return Works(github, store, repository, hurried, running, labelling, WordScorer())
