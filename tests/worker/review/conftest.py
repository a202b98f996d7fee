"""A repository of the stand-in whose webhooks we take in as we like, and what is learnt of it."""

from __future__ import annotations

import json
from dataclasses import dataclass, field

import pytest
from sqlalchemy import select

from app.core.taxonomy import DEFAULT_TAXONOMY
from app.db.clock import from_now
from app.db.learning import Correction, Review
from app.db.tables import Application, Delivery, IssueSnapshot, State
from app.intake.delivery import accept
from deploy.sandbox.sandbox import Sandbox
from tests.worker.conftest import Store
from tests.worker.labelling.conftest import make_store
from tests.worker.labelling.journal import HIGH, LOW, UI
from worker.labelling import Labelling
from worker.review import Reviewing

AUDIO, MEDIUM = "component: audio", "severity: medium"


@dataclass
class Scene:
    """The stand-in, our database, and the webhooks between them, which wait until `hear`."""

    github: Sandbox
    repository: str
    store: Store
    labelling: Labelling
    reviewing: Reviewing
    under_way: list = field(default_factory=list)

    def open(self, *, title="Crash on start", by="rita", **more) -> int:
        return self.github.open_issue(title, by=by, repository=self.repository, **more)["number"]

    def hear(self) -> None:
        """Take in every webhook that waits, in the order it was sent."""
        for delivery in self.under_way:
            self.take(delivery)
        self.under_way.clear()

    def take(self, delivery) -> None:
        payload = json.loads(delivery.payload)
        accept(self.store.database, delivery.event, delivery.guid, payload)

    def bot_says(self, number: int, version="words-1", **wanted: str) -> None:
        """Our App puts labels on the issue: `severity=HIGH`."""
        self.hear()
        with self.store.database.transaction() as session:
            snapshot = session.query(IssueSnapshot).filter_by(issue_number=number).one()
            snapshot.state = State.DONE
            session.add(
                Application(
                    snapshot_id=snapshot.id,
                    model_version=version,
                    run_id="0" * 32,
                    wanted={dimension: [label] for dimension, label in wanted.items()},
                    created_at=from_now(),
                    due_at=from_now(),
                )
            )
        assert self.labelling.run_batch() == 1

    def label(self, number: int, *names: str, by="tom") -> None:
        self.github.label(number, *names, by=by, repository=self.repository)

    def unlabel(self, number: int, name: str, by="tom") -> None:
        self.github.unlabel(number, name, by=by, repository=self.repository)

    def review(self) -> None:
        """Take in what waits, and derive the corrections of whatever is to be looked at again."""
        self.hear()
        self.store.make_due(Review)
        while self.reviewing.run_batch():
            pass

    def deliveries(self) -> list[Delivery]:
        with self.store.database.reading() as session:
            return list(session.scalars(select(Delivery)))

    def corrections(self, number: int) -> dict[str, Correction]:
        rows = self.store.rows(Correction, Correction.issue_number == number)
        return {row.dimension: row for row in rows}

    def learnt(self, number: int) -> dict[str, tuple[str, list[str]]]:
        """dimension -> (change, labels) of what was learnt of an issue."""
        return {d: (str(row.change), row.labels) for d, row in self.corrections(number).items()}


@pytest.fixture
def store(sqlite_database, github, repository):
    """SQLite; what is learnt does not depend on the database."""
    return make_store(sqlite_database, github, repository)


@pytest.fixture
def scene(store, github, repository, app_client, settings) -> Scene:
    """A repository with labels, nothing learnt yet, and webhooks that are kept back."""
    for name in (HIGH, MEDIUM, LOW, UI, AUDIO):
        body = {"name": name, "color": "ffffff"}
        github.rest("POST", f"/repos/{repository}/labels", json=body)
    labelling = Labelling(store.database, app_client, DEFAULT_TAXONOMY, settings)
    reviewing = Reviewing(store.database, app_client, DEFAULT_TAXONOMY, settings)
    made = Scene(github, repository, store, labelling, reviewing)
    # Nobody listens there: what was sent is taken in when the test wants it.
    github.hook(url="http://127.0.0.1:1/")
    github.standin.hooks.observers.append(made.under_way.append)
    return made
