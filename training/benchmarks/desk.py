"""A repository whose reports and corrections go through the use cases, without HTTP in between.

Triage, decisions, what corrections are derived from label events, memory and retraining are the
real ones, on a database of their own. Only GitHub, the receiver and the label writer are left out.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

from sqlalchemy import select

from app.core.corrections import Act, Hand, Kind, Place, derive
from app.core.repository_config import Config
from app.core.settings import Settings
from app.core.text import IssueText
from app.db import configs, corrections, models, retrainings, snapshots
from app.db.clock import from_now
from app.db.insertion import insert_new
from app.db.learning import RepositoryConfig
from app.db.migrate import upgrade
from app.db.session import Database
from app.db.tables import Application, Installation, IssueSnapshot, Repository, State
from worker.model.query import Answer, Artifact, Query
from worker.triage import Models, Triage

REPOSITORY = 1
MAINTAINER = (7, "mara")
BOT = 1
# Between two reports; maintainers are not in a hurry, so nobody's corrections are a flood.
APART = timedelta(minutes=30)


@dataclass
class Once:
    """Asks `models` each thing once: a model's answer to the same text is the same."""

    models: Models
    _known: dict[tuple[str, str, tuple[str, ...]], Answer] = field(default_factory=dict)

    def answer(self, queries: Sequence[Query]) -> list[Answer]:
        """An answer to each query, in order."""
        new = {_key(query): query for query in queries if _key(query) not in self._known}
        answers = self.models.answer(list(new.values())) if new else []
        self._known |= dict(zip(new, answers, strict=True))
        return [self._known[_key(query)] for query in queries]


def _key(query: Query) -> tuple[str, str, tuple[str, ...]]:
    versions = tuple(choice.version for choice in query.choices)
    return query.text.content_hash, query.taxonomy.digest, versions


class Desk:
    """One repository in a fresh database under `folder`."""

    def __init__(self, folder: Path, asked: Models, settings: Settings, config: Config) -> None:
        url = f"sqlite:///{folder / 'desk.db'}"
        upgrade(url)
        self.database = Database(url)
        self.repository_id = REPOSITORY
        self.config = config
        self.asked = asked
        self._settings = settings
        self._triage = Triage(self.database, asked, config.taxonomy, settings)
        self._now = datetime.now(UTC) - timedelta(days=365)
        self._number = 0
        with self.database.transaction() as session:
            insert_new(session, Installation, id=1, account="octo", created_at=from_now())
            insert_new(
                session,
                Repository,
                id=REPOSITORY,
                installation_id=1,
                full_name="octo/game",
                private=False,
            )
            configs.learn(session, REPOSITORY)
            session.flush()
            row = session.get_one(RepositoryConfig, REPOSITORY)
            row.in_force, row.read_at = config.model_dump(mode="json"), from_now()

    def file(self, text: IssueText) -> tuple[int, dict[str, str]]:
        """A report comes in and is triaged: its number, and dimension -> label written."""
        self._number += 1
        self._now += APART
        with self.database.transaction() as session:
            snapshots.add(
                session,
                REPOSITORY,
                self._number,
                "rita",
                text,
                self._now,
                0.0,
                opened_at=self._now,
            )
        self._triage.run_batch()
        return self._number, self._write(self._number)

    def _write(self, number: int) -> dict[str, str]:
        """What the label writer does with the decided labels, where nobody stands in its way."""
        with self.database.transaction() as session:
            row = session.scalars(
                select(Application)
                .join(IssueSnapshot, IssueSnapshot.id == Application.snapshot_id)
                .where(IssueSnapshot.issue_number == number)
            ).one()
            row.written = [name for names in row.wanted.values() for name in names]
            row.applied_at = from_now() if row.written else None
            row.state = State.DONE
            owners = (self.config.taxonomy.owner_of(name) for name in row.written)
            return {owner[0].name: owner[1].name for owner in owners if owner is not None}

    def deal(
        self, number: int, said: Mapping[str, str], right: Mapping[str, str], *, close: bool
    ) -> None:
        """A maintainer takes wrong labels off, puts the right ones on and perhaps closes it."""
        taxonomy = self.config.taxonomy
        acts = [self._act(Kind.LABELED, Hand.OURS, d, name, 1) for d, name in said.items()]
        for dimension, name in right.items():
            if dimension in said:
                acts.append(self._act(Kind.UNLABELED, Hand.PERSON, dimension, said[dimension], 2))
            acts.append(self._act(Kind.LABELED, Hand.PERSON, dimension, name, 3))
        if close:
            place = Place(self._now + timedelta(minutes=4))
            actor_id, actor = MAINTAINER
            acts.append(
                Act(place, Kind.CLOSED, Hand.PERSON, judged=True, actor_id=actor_id, actor=actor)
            )
        with self.database.transaction() as session:
            snapshot, version = session.execute(
                select(IssueSnapshot.id, Application.model_version)
                .join(Application, Application.snapshot_id == IssueSnapshot.id)
                .where(IssueSnapshot.issue_number == number)
            ).one()
            corrections.store(
                session,
                REPOSITORY,
                number,
                derive(taxonomy, acts),
                snapshot_id=snapshot,
                versions=dict.fromkeys(said, version),
                per_hour=self._settings.corrections_per_hour,
                per_day=self._settings.corrections_per_day,
            )

    def _act(self, kind: Kind, hand: Hand, dimension: str, label: str, minutes: int) -> Act:
        actor_id, actor = MAINTAINER if hand is Hand.PERSON else (BOT, "triora[bot]")
        return Act(
            Place(self._now + timedelta(minutes=minutes)),
            kind,
            hand,
            self.config.taxonomy[dimension].label(label).github,
            actor_id=actor_id,
            actor=actor,
        )

    def choices(self) -> tuple[Artifact, ...]:
        """The versions that answer now, best first."""
        with self.database.reading() as session:
            serving = models.serving(session, [REPOSITORY])[REPOSITORY]
        return tuple(Artifact(row.version, row.uri, row.digest) for row in serving)

    def retrain(self) -> str:
        """Learn anew from all corrections so far; what came of it, in words."""
        from training.retrain import Retrainer  # noqa: PLC0415 - imports torch

        with self.database.transaction() as session:
            retrainings.ask(session, REPOSITORY, "feedback loop")
        outcome = Retrainer(self.database, self._settings).run_one(REPOSITORY)
        return outcome or "another retraining runs on this machine"

    def close(self) -> None:
        """Let the database go."""
        self.database.engine.dispose()
