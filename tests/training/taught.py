"""A repository whose maintainers corrected and confirmed issues, in a database."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

from app.core.corrections import Change
from app.core.text import IssueText
from app.db.clock import from_now
from app.db.learning import Correction
from app.db.session import Database
from app.db.tables import Installation, IssueSnapshot, Repository, State
from tests.training.rows import distinct, example
from training.example import Example

T0 = datetime(2026, 1, 1, tzinfo=UTC)
REPOSITORY = 1
NAME = "octo/game"


SEVERITY_WORDS = {"critical": "crash", "high": "broken", "medium": "glitch", "low": "typo"}
PLACE_WORDS = {
    "ui": "menu",
    "graphics": "shader",
    "audio": "music",
    "network": "server",
    "save": "savegame",
    "performance": "slow",
    "other": "script",
}


def reports(count: int) -> list[Example]:
    """Reports whose words give severity and component away, no two of them alike."""
    found = []
    for n, row in enumerate(distinct(count)):
        severity, place = list(SEVERITY_WORDS)[n % 4], list(PLACE_WORDS)[n % 7]
        title = f"{PLACE_WORDS[place]} {SEVERITY_WORDS[severity]}"
        found.append(
            example(
                f"{NAME}#{n + 1}",
                title=title,
                body=f"{title} {title} {row.body}",
                labels={"severity": severity, "component": place},
            )
        )
    return found


def repository(database: Database) -> None:
    """The repository, and nothing in it."""
    with database.transaction() as session:
        session.add(Installation(id=7, account="octo", created_at=from_now()))
        session.flush()
        session.add(Repository(id=REPOSITORY, installation_id=7, full_name=NAME, private=False))


def teach(
    database: Database,
    examples: Sequence[Example],
    repository_id: int = REPOSITORY,
    first: int = 1,
) -> None:
    """One issue an example, an hour apart, each with what people said of the written dimensions."""
    with database.transaction() as session:
        for number, example in enumerate(examples, start=first):
            text = IssueText.of(example.title, example.body)
            filed = T0 + timedelta(hours=number)
            snapshot = IssueSnapshot(
                repository_id=repository_id,
                issue_number=number,
                author="ann",
                title=text.title,
                body=text.body,
                content_hash=text.content_hash,
                observed_at=filed,
                opened_at=filed,
                state=State.DONE,
                due_at=from_now(),
                created_at=from_now(),
            )
            session.add(snapshot)
            session.flush()
            session.add_all(
                Correction(
                    repository_id=repository_id,
                    issue_number=number,
                    snapshot_id=snapshot.id,
                    dimension=dimension,
                    change=Change.CONFIRMED if number % 2 else Change.REPLACED,
                    labels=[answer.label],
                    predicted=[],
                    actor_id=5,
                    actor="maintainer",
                    happened_at=filed + timedelta(minutes=5),
                )
                for dimension, answer in example.labels.items()
                if dimension != "kind"
            )
