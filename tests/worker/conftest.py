"""Issues in a database, and a small scorer for tests that are not about the model."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import select, update

from app.core.decision import Thresholds
from app.core.settings import Settings
from app.core.text import IssueText
from app.db import snapshots
from app.db.clock import from_now
from app.db.insertion import insert_new
from app.db.learning import RepositoryConfig
from app.db.session import Database
from app.db.tables import Application, Installation, IssueSnapshot, Repository, State
from app.github.client import InstallationClient
from worker.model.query import Answer, Query

T0 = datetime(2026, 11, 1, 12, tzinfo=UTC)


@dataclass
class WordScorer:
    """Sure of the first label of each dimension whose name stands in the title, else unsure.

    `before` is called with each batch's titles: a test may raise or act from there.
    """

    version: str = "words-1"
    thresholds: Thresholds = field(default_factory=lambda: Thresholds(default=0.5))
    before: Callable[[list[str]], object] = lambda titles: None
    batches: list[list[str]] = field(default_factory=list)
    unusable: dict[str, str] = field(default_factory=dict)

    def answer(self, queries: Sequence[Query]) -> list[Answer]:
        titles = [query.text.title for query in queries]
        self.batches.append(titles)
        self.before(titles)
        return [self._answer(query) for query in queries]

    def _answer(self, query: Query) -> Answer:
        usable = [c.version for c in query.choices if c.version not in self.unusable]
        version = usable[0] if usable else self.version
        scores = {d.name: _scores(d.names, query.text.title) for d in query.taxonomy.dimensions}
        return Answer(version, scores, self.thresholds, unusable=self.unusable)


def _scores(names, title):
    sure = next((name for name in names if name in title), None)
    if sure is None:
        return dict.fromkeys(names, 1 / len(names))
    rest = 0.1 / (len(names) - 1)
    return {name: 0.9 if name == sure else rest for name in names}


@dataclass
class Store:
    """A database with repositories and issues in it."""

    database: Database

    def repository(self, repository_id=1, installation_id=1, full_name="octo/game"):
        with self.database.transaction() as session:
            insert_new(
                session, Installation, id=installation_id, account="octo", created_at=from_now()
            )
            insert_new(
                session,
                Repository,
                id=repository_id,
                installation_id=installation_id,
                full_name=full_name,
                private=False,
            )
            # As if its configuration had been read a moment ago, and there was none.
            insert_new(
                session,
                RepositoryConfig,
                id=repository_id,
                sources={},
                in_force={},
                read_at=from_now(),
                created_at=from_now(),
                due_at=from_now(3600),
                state=State.PENDING,
                attempts=0,
            )

    def issue(self, number, title="crash", body="", repository_id=1, observed_at=T0):
        """One more text of an issue, waiting to be scored; its snapshot's id."""
        text = IssueText.of(title, body)
        with self.database.transaction() as session:
            snapshots.add(session, repository_id, number, "ann", text, observed_at, 0.0)
            session.flush()
            return session.scalar(
                select(IssueSnapshot.id).where(
                    IssueSnapshot.repository_id == repository_id,
                    IssueSnapshot.issue_number == number,
                    IssueSnapshot.content_hash == text.content_hash,
                )
            )

    def to_write(self, number, wanted, *, repository_id=1, version="words-1", **of_issue):
        """An issue that was scored and waits to be labelled; its Application's id."""
        snapshot = self.issue(number, repository_id=repository_id, **of_issue)
        with self.database.transaction() as session:
            session.get_one(IssueSnapshot, snapshot).state = State.DONE
            application = Application(
                snapshot_id=snapshot,
                model_version=version,
                run_id="0" * 32,
                wanted=wanted,
                created_at=from_now(),
                due_at=from_now(),
            )
            session.add(application)
            session.flush()
            return application.id

    def rows(self, table, *conditions):
        with self.database.reading() as session:
            return list(session.scalars(select(table).where(*conditions).order_by(table.id)))

    def one(self, table, *conditions):
        (row,) = self.rows(table, *conditions)
        return row

    def make_due(self, table, *conditions):
        """Let the waiting time of pending rows pass, leases included."""
        long_ago = datetime.now(UTC) - timedelta(days=1)
        with self.database.transaction() as session:
            session.execute(
                update(table)
                .where(table.state == "pending", *conditions)
                .values(due_at=long_ago, lease_until=long_ago)
            )

    def change(self, table, row_id, **values):
        with self.database.transaction() as session:
            session.execute(update(table).where(table.id == row_id).values(**values))


def meanwhile(monkeypatch, write, act):
    """Let somebody `act` once, right after the bot's next `write` (a method of the client)."""
    carried_out, acts = getattr(InstallationClient, write), [act]

    def write_and_act(*args, **more):
        answer = carried_out(*args, **more)
        if acts:
            acts.pop()()
        return answer

    monkeypatch.setattr(InstallationClient, write, write_and_act)


@pytest.fixture
def store(database) -> Store:
    """A database (SQLite, then PostgreSQL) with one repository."""
    made = Store(database)
    made.repository()
    return made


@pytest.fixture
def settings(tmp_path) -> Settings:
    """Settings of a worker in a test: nothing waits without need."""
    return Settings(
        _env_file=None,
        data_dir=tmp_path,
        write_spacing_seconds=0,
        max_attempts=3,
        batch_size=8,
    )
