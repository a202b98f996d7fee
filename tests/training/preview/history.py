"""A repository of made-up reports whose words tell their labels."""

from __future__ import annotations

import random
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

from app.core.taxonomy import DEFAULT_TAXONOMY
from app.github.models import RepositoryLabel
from training.example import Example, GitHubLabel
from training.preview.measure import Subject
from training.preview.proposal import propose

START = datetime(2025, 1, 1, tzinfo=UTC)
TELLING = {
    "crash": "segfault abort core dumped stack trace signal",
    "low priority": "typo wording misaligned pixel caption spelling",
    "topic:gui": "button dialog window menu click tooltip",
    "topic:audio": "speaker volume sound music mute playback",
}
NOISE = [f"word{chr(97 + i // 26)}{chr(97 + i % 26)}" for i in range(400)]


def report(number: int, *labels: str, day: float | None = None, roll: int = 0) -> Example:
    """An issue whose text holds words of each label and much else."""
    chance = random.Random(1000 * roll + number)
    words = chance.sample(NOISE, 16)
    for label in labels:
        words += chance.sample(TELLING[label].split(), 5) if label in TELLING else []
    chance.shuffle(words)
    filed = START + timedelta(days=number if day is None else day)
    return Example(
        id=f"a/b#{number}",
        repository="a/b",
        number=number,
        filed_at=filed,
        text_as_of="filing",
        title=" ".join(words[:5]),
        body=" ".join(words[5:]),
        github_labels=tuple(
            GitHubLabel(name=n, by="mara", by_type="User", at=filed + timedelta(hours=3))
            for n in labels
        ),
    )


def reports(count: int) -> list[Example]:
    """Issues in time with a severity and a topic each; `confirmed` stands in no text."""
    chance = random.Random(7)
    return [
        report(
            number,
            chance.choice(["crash", "low priority"]),
            chance.choice(["topic:gui", "topic:audio"]),
            *(["confirmed"] if chance.random() < 0.4 else []),
        )
        for number in range(1, count + 1)
    ]


def subject(examples: Sequence[Example]) -> Subject:
    """What `triora preview` makes of them."""
    names = dict.fromkeys(x.name for e in examples for x in e.github_labels)
    used = {
        n.casefold(): sum(n in [x.name for x in e.github_labels] for e in examples) for n in names
    }
    proposal = propose([RepositoryLabel(name=n) for n in names], used, DEFAULT_TAXONOMY)
    return Subject(
        repository="a/b",
        examples=examples,
        proposal=proposal,
        mapping=proposal.mapping("a/b"),
        taxonomy=DEFAULT_TAXONOMY,
        web="https://github.com/a/b",
    )
