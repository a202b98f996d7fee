"""What people taught a repository's model, as rows to train on, to calibrate on and to judge by.

Only what a person corrected or confirmed is ever a row, with the text as it was filed; a label of
the bot's that nobody looked at is none. Newer reports judge what older ones taught.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from math import ceil
from pathlib import Path
from typing import TypeVar

from app.core.taxonomy import Taxonomy
from app.db.corrections import Lesson
from training import dataset
from training.duplicates import clusters
from training.example import Answer, Example, Provenance
from training.guard import without_leaks

T = TypeVar("T")

UNKNOWN_LABEL = "label that the taxonomy no longer has"
NO_TITLE = "report without a title"


@dataclass(frozen=True)
class Shares:
    """How lessons are divided, by the age of their reports.

    `holdout` is the newest share, at least `least` reports and, where there are so many, with
    `highest` reports of the highest severity, but never more than half; `calibration` comes before.
    """

    holdout: float = 0.2
    calibration: float = 0.15
    least: int = 40
    highest: int = 3


@dataclass(frozen=True)
class Parts:
    """Rows to train on, to calibrate on, and to judge by; oldest first in each."""

    fit: list[Example]
    calibration: list[Example]
    holdout: list[Example]

    @property
    def learned(self) -> list[int]:
        """Numbers of the issues that the new model knows the answers of."""
        return sorted(e.number for e in [*self.fit, *self.calibration] if e.number is not None)


def examples(
    lessons: Sequence[Lesson], repository: str, taxonomy: Taxonomy
) -> tuple[list[Example], Counter[str]]:
    """One row an issue, oldest report first; and why lessons were left out, counted.

    Dimensions of one issue that were learned of different texts are all of the oldest of them.
    """
    rows: dict[int, list[Lesson]] = {}
    left_out: Counter[str] = Counter()
    for lesson in lessons:
        if lesson.dimension not in taxonomy or (
            lesson.label not in taxonomy[lesson.dimension].names
        ):
            left_out[UNKNOWN_LABEL] += 1
        elif not lesson.text.title.strip():
            left_out[NO_TITLE] += 1
        else:
            rows.setdefault(lesson.issue_number, []).append(lesson)
    found = [_example(row, repository) for row in rows.values()]
    return sorted(found, key=_age), left_out


def _example(lessons: Sequence[Lesson], repository: str) -> Example:
    first = min(lessons, key=lambda lesson: lesson.snapshot_id)
    return Example(
        id=f"{repository}#{first.issue_number}",
        repository=repository,
        number=first.issue_number,
        filed_at=first.opened_at,
        text_as_of="filing",
        title=first.text.title,
        body=first.text.body,
        labels={
            lesson.dimension: Answer(
                label=lesson.label,
                provenance=Provenance(lesson.provenance),
                by=str(lesson.actor_id),
                at=lesson.happened_at,
            )
            for lesson in lessons
        },
    )


def divide(
    rows: Sequence[Example],
    *,
    highest: tuple[str, str] | None,
    learned: Collection[int] = (),
    shares: Shares | None = None,
) -> Parts:
    """The rows by age. `learned` are issues that the active model learned from: they never judge.

    Near-duplicates stay together, on the side of the oldest of them, so that a flood of equal
    reports is learned from and judges nothing.
    """
    shares = shares or Shares()
    units = _units(rows)
    fresh = [unit for unit in units if not any(rows[i].number in learned for i in unit)]
    judging = _newest(rows, fresh, _holdout_size(len(rows), shares), highest, shares)
    rest = [unit for unit in units if unit not in judging]
    calibrating = _newest(rows, rest, round(len(rows) * shares.calibration), None, shares)
    held = {i for unit in judging for i in unit}
    measured = {i for unit in calibrating for i in unit}
    return Parts(
        fit=[e for i, e in enumerate(rows) if i not in held | measured],
        calibration=[e for i, e in enumerate(rows) if i in measured],
        holdout=[e for i, e in enumerate(rows) if i in held],
    )


def _holdout_size(count: int, shares: Shares) -> int:
    return min(count // 2, max(shares.least, round(count * shares.holdout)))


def _units(rows: Sequence[Example]) -> list[tuple[int, ...]]:
    """Positions that stay together, oldest unit first; a unit is as old as its oldest report."""
    groups: dict[int, list[int]] = {}
    for position, cluster in enumerate(clusters(rows)):
        groups.setdefault(cluster, []).append(position)
    return sorted(map(tuple, groups.values()), key=lambda unit: min(_age(rows[i]) for i in unit))


def _newest(
    rows: Sequence[Example],
    units: Sequence[tuple[int, ...]],
    wanted: int,
    highest: tuple[str, str] | None,
    shares: Shares,
) -> list[tuple[int, ...]]:
    """The newest units with about `wanted` rows, more of them while the worst cases are too few."""
    chosen: list[tuple[int, ...]] = []
    count = worst = 0
    for unit in reversed(units):
        enough = highest is None or worst >= shares.highest or count >= len(rows) // 2
        if count >= wanted and enough:
            break
        if count + len(unit) > max(wanted, len(rows) // 2):
            continue
        chosen.append(unit)
        count += len(unit)
        if highest is not None:
            worst += sum(rows[i].label(highest[0]) == highest[1] for i in unit)
    return chosen


def witnessed(rows: Sequence[Example], taxonomy: Taxonomy) -> list[Example]:
    """The rows with what their labels imply: a report with a gated label is what the gate asks for.

    For judging only. Training on it would teach that everything is a bug, since nobody says of a
    question that it is none.
    """
    if taxonomy.gate is None:
        return list(rows)
    dimension, label = taxonomy.gate
    gated = {d.name for d in taxonomy.dimensions if d.gated}
    found = []
    for row in rows:
        proof = next((a for name, a in row.labels.items() if name in gated), None)
        if proof is not None and dimension not in row.labels:
            implied = proof.model_copy(update={"label": label})
            row = row.model_copy(update={"labels": {**row.labels, dimension: implied}})
        found.append(row)
    return found


def replayed(
    paths: Sequence[Path], taxonomy: Taxonomy, parts: Parts, limit: int, seed: int
) -> list[Example]:
    """At most `limit` rows of the operator's own files, none that resembles a row of `parts`.

    BadRequest for malformed rows, ConfigProblem for a file that cannot be read. Labels the taxonomy
    lacks are left out.
    """
    rows = [e for path in paths for e in dataset.read(path, taxonomy=taxonomy).refuse_problems()]
    rows = [kept for row in rows if (kept := _fitting(row, taxonomy)).labels]
    rows = without_leaks(rows, [*parts.fit, *parts.calibration, *parts.holdout])
    if len(rows) > limit:
        chosen = sorted(random.Random(seed).sample(range(len(rows)), limit))  # noqa: S311 - no secret
        rows = [rows[i] for i in chosen]
    return rows


def most_issues(limit: int, shares: Shares) -> int:
    """How many issues it takes for `limit` to teach, beside those that calibrate and judge."""
    return max(4 * shares.least, ceil(limit / (1 - shares.holdout - shares.calibration)))


def thinned(rows: Sequence[T], limit: int, seed: int) -> list[T]:
    """At most `limit` rows: the newer half of them whole, the rest drawn from all older ones."""
    if len(rows) <= limit:
        return list(rows)
    newer = limit // 2
    older = rows[: len(rows) - newer]
    chosen = sorted(random.Random(seed).sample(range(len(older)), limit - newer))  # noqa: S311
    return [older[i] for i in chosen] + list(rows[len(rows) - newer :])


def _fitting(row: Example, taxonomy: Taxonomy) -> Example:
    kept = {
        name: answer
        for name, answer in row.labels.items()
        if name in taxonomy and answer.label in taxonomy[name].names
    }
    return row if len(kept) == len(row.labels) else row.model_copy(update={"labels": kept})


def _age(row: Example) -> tuple[float, int]:
    return (row.filed_at.timestamp() if row.filed_at else 0.0, row.number or 0)
