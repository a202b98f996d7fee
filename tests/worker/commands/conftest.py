"""Commands that wait, and the stand-in GitHub they are carried out on."""

from dataclasses import dataclass

import pytest
from sqlalchemy import select, update

from app.core.settings import Settings
from app.core.taxonomy import DEFAULT_TAXONOMY
from app.db import configs
from app.db.clock import from_now
from app.db.learning import Command, RepositoryConfig
from app.db.tables import Application
from deploy.sandbox.sandbox import Sandbox
from tests.worker.conftest import T0, Store, WordScorer
from tests.worker.labelling.conftest import labelling, make_store  # noqa: F401 - a fixture
from worker.commands import Commanding
from worker.labelling import Labelling
from worker.triage import Triage

COMMENTS = "/repos/{owner}/{repo}/issues/{issue_number}/comments"


@pytest.fixture
def store(sqlite_database, github, repository):
    """The stand-in's repository, whose configuration was read and says nothing."""
    made = make_store(sqlite_database, github, repository)
    with sqlite_database.transaction() as session:
        configs.learn(session, made.repository_id)
        session.execute(update(RepositoryConfig).values(read_at=from_now(), in_force={}))
    return made


@dataclass
class Desk:
    """People comment, the bot works; all on one issue."""

    github: Sandbox
    store: Store
    repository: str
    number: int
    settings: Settings
    commanding: Commanding
    labelling: Labelling

    def comment(self, body, by="tom", lines=None):
        """Somebody comments, and its commands wait; the comment."""
        said = self.github.comment(self.number, body, by=by, repository=self.repository)
        with self.store.database.transaction() as session:
            row = Command(
                comment_id=said["id"],
                repository_id=self.store.repository_id,
                issue_number=self.number,
                lines=lines or body.splitlines(),
                words={},
                actor_id=said["user"]["id"],
                actor=by,
                happened_at=self.now(),
                created_at=from_now(),
                due_at=from_now(),
            )
            session.add(row)
        return said

    def now(self):
        """GitHub's clock, in whole seconds like its webhooks."""
        with self.store.database.reading() as session:
            return session.scalar(select(from_now())).replace(microsecond=0)

    def tell(self, body, by="tom"):
        """Somebody comments and the bot obeys; the row afterwards."""
        said = self.comment(body, by)
        self.commanding.run_batch()
        return self.row(said)

    def row(self, said):
        return self.store.one(Command, Command.comment_id == said["id"])

    def reactions(self, said):
        path = f"/repos/{self.repository}/issues/comments/{said['id']}/reactions"
        return [reaction["content"] for reaction in self.github.rest("GET", path)]

    def replies(self):
        """What the bot said on the issue."""
        path = f"/repos/{self.repository}/issues/{self.number}/comments"
        return [c["body"] for c in self.github.rest("GET", path) if c["user"]["type"] == "Bot"]

    @property
    def labels(self):
        return set(self.github.labels(self.number, self.repository))

    def triage(self):
        """The bot scores what waits, and labels it."""
        Triage(self.store.database, WordScorer(), DEFAULT_TAXONOMY, self.settings).run_batch()
        self.labelling.run_batch()

    def decide_again(self, application, **wanted):
        """A later run decides otherwise and tries to write it."""
        self.store.change(Application, application, state="pending", wanted=wanted, due_at=T0)
        assert self.labelling.run_batch() == 1

    def bot_labels(self, **wanted):
        """The bot triaged the issue's present text and labels it; its Application's id."""
        shown = self.github.rest("GET", f"/repos/{self.repository}/issues/{self.number}")
        text = {"title": shown["title"], "body": shown["body"]}
        names = {d: [DEFAULT_TAXONOMY[d].label(n).github for n in ns] for d, ns in wanted.items()}
        repository_id = self.store.repository_id
        row = self.store.to_write(self.number, names, repository_id=repository_id, **text)
        self.labelling.run_batch()
        return row


@pytest.fixture
def desk(github, store, repository, settings, app_client, labelling):  # noqa: F811
    number = github.open_issue(by="rita", repository=repository)["number"]
    commanding = Commanding(store.database, app_client, settings)
    return Desk(github, store, repository, number, settings, commanding, labelling)
