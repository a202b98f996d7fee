"""A repository of the stand-in whose configuration nobody has read yet, and the bot's use cases."""

from dataclasses import dataclass

import pytest
from sqlalchemy import select, update

from app.core.repository_config import PATH
from app.core.settings import Settings
from app.core.taxonomy import DEFAULT_TAXONOMY
from app.db import configs
from app.db.clock import from_now
from app.db.learning import RepositoryConfig
from app.db.tables import Application, Decision, IssueSnapshot, Prediction
from app.github.client import AppClient
from deploy.sandbox.sandbox import Sandbox
from tests.worker.conftest import Store, WordScorer
from tests.worker.labelling.conftest import make_store
from worker.configuration import Configuration
from worker.labelling import Labelling
from worker.triage import Triage

OWNERS = "lantern-works/.github"


@dataclass
class House:
    """One repository, and all that the bot does there, by hand."""

    github: Sandbox
    store: Store
    repository: str
    client: AppClient
    settings: Settings

    @property
    def number(self):
        return self.store.repository_id

    def write(self, text, repository=None):
        """Put `.github/triora.yml` on the default branch; None deletes it."""
        repository = repository or self.repository
        if text is None:
            self.github.control("DELETE", f"/repositories/{repository}/files/{PATH}")
        else:
            self.github.put_file(PATH, text, repository)

    def age(self):
        """Let the time pass after which configurations are read again."""
        with self.store.database.transaction() as session:
            session.execute(
                update(RepositoryConfig).values(
                    due_at=from_now(-1),
                    read_at=select(from_now(-3600)).scalar_subquery(),
                )
            )

    def read(self):
        """One round of the configuration's task; how many rows it looked after."""
        with self.store.database.transaction() as session:
            session.execute(update(RepositoryConfig).values(due_at=from_now(-1)))
        use = Configuration(self.store.database, self.client, self.settings)
        claimed = use.run_batch()
        self.changed = use.changed
        return claimed

    def holds(self, number=None):
        with self.store.database.reading() as session:
            return configs.in_force(session, number or self.number)

    @property
    def row(self):
        return self.store.one(RepositoryConfig, RepositoryConfig.id == self.number)

    def issue(self, title, by="rita"):
        """Somebody opens an issue, and its text waits."""
        opened = self.github.open_issue(title, by=by, repository=self.repository)
        snapshot = self.store.issue(opened["number"], title, repository_id=self.number)
        self.store.change(IssueSnapshot, snapshot, author=by)
        return opened["number"]

    def triage(self, scorer=None):
        return Triage(
            self.store.database, scorer or WordScorer(), DEFAULT_TAXONOMY, self.settings
        ).run_batch()

    def label(self):
        return Labelling(
            self.store.database, self.client, DEFAULT_TAXONOMY, self.settings
        ).run_batch()

    def work(self):
        """Score and label until nothing is due."""
        while self.triage().claimed or self.label():
            pass

    def labels(self, issue):
        return sorted(self.github.labels(issue, self.repository))

    def decisions(self):
        """dimension -> (action, reason) of the newest text."""
        with self.store.database.reading() as session:
            rows = session.execute(
                select(Prediction.dimension, Decision.action, Decision.reason)
                .join(Decision, Decision.prediction_id == Prediction.id)
                .order_by(Prediction.id)
            ).all()
        return {dimension: (action, reason) for dimension, action, reason in rows}

    def application(self):
        return self.store.rows(Application)[-1]

    def comments(self, issue):
        path = f"/repos/{self.repository}/issues/{issue}/comments"
        return [comment["body"] for comment in self.github.rest("GET", path)]

    def suggestions(self, issue):
        path = f"/repos/{self.repository}/issues/{issue}/suggestions"
        return self.github.rest("GET", path, params={"state": "all"})

    def notices(self):
        """The issues that the bot opened."""
        path = f"/repos/{self.repository}/issues"
        params = {"state": "all", "creator": "triora[bot]"}
        return self.github.rest("GET", path, params=params)


@pytest.fixture
def house(sqlite_database, github, repository, app_client, settings):
    store = make_store(sqlite_database, github, repository)
    with sqlite_database.transaction() as session:
        session.execute(
            update(RepositoryConfig).values(read_at=None, in_force=None, due_at=from_now(-1))
        )
    return House(github, store, repository, app_client, settings)


@pytest.fixture
def owners(house):
    """The owner's `.github` repository, where defaults for all repositories stand."""
    house.github.control("POST", "/repositories", json={"full_name": OWNERS})
    return OWNERS
