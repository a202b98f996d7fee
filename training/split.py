"""Splits examples into parts by chance, by group or by time; near-duplicates stay together."""

from __future__ import annotations

import random
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from enum import StrEnum

from app.core.errors import BadRequest, ConfigProblem
from training.duplicates import SIMILARITY, clusters
from training.example import Example

Parts = dict[str, list[Example]]


class By(StrEnum):
    """What decides the side of a report."""

    RANDOM = "random"  # chance, with the label shares kept alike
    GROUP = "group"  # chance, but the reports of a group (or repository) stay together
    TIME = "time"  # nothing in an earlier part is newer than what a later part brings


def split(
    examples: Sequence[Example],
    shares: Mapping[str, float],
    *,
    by: By = By.RANDOM,
    seed: int = 0,
    threshold: float = SIMILARITY,
) -> Parts:
    """Parts named as in `shares` (positive, summing to 1), each in the order of `examples`.

    The unit that moves is a cluster of near-duplicates (by group: all groups it touches), so none
    is ever on both sides. Random and group splits are stratified over every label of every
    dimension (Sechidis et al. 2011). By time, `shares` runs from the oldest to the newest part and
    a cluster goes where its newest report belongs. Equal seeds give equal parts.

    ConfigProblem for shares that make no split; BadRequest by time if a report has no `filed_at`.
    """
    _check(shares)
    units = _units(examples, by, threshold)
    if by is By.TIME:
        sides = _by_time(examples, units, shares)
    else:
        sides = _stratified(examples, units, shares, random.Random(seed))  # noqa: S311 - no secret
    parts: Parts = {name: [] for name in shares}
    for example, side in zip(examples, sides, strict=True):
        parts[side].append(example)
    return parts


def folds(
    examples: Sequence[Example],
    count: int,
    *,
    by: By = By.RANDOM,
    seed: int = 0,
    threshold: float = SIMILARITY,
) -> list[tuple[list[Example], list[Example]]]:
    """`count` pairs (training, held out) for cross-validation; each example is held out once."""
    if count < 2:
        raise ConfigProblem(f"cross-validation needs 2 folds or more, not {count}")
    shares = {str(fold): 1 / count for fold in range(count)}
    parts = split(examples, shares, by=by, seed=seed, threshold=threshold)
    held = {name: {e.id for e in part} for name, part in parts.items()}
    return [([e for e in examples if e.id not in held[name]], parts[name]) for name in shares]


def _check(shares: Mapping[str, float]) -> None:
    if len(shares) < 2 or any(share <= 0 for share in shares.values()):
        raise ConfigProblem("a split needs two or more parts with a positive share each")
    if abs(sum(shares.values()) - 1) > 1e-6:
        raise ConfigProblem(f"the shares sum to {sum(shares.values()):g}, not to 1")


def _units(examples: Sequence[Example], by: By, threshold: float) -> list[list[int]]:
    """Positions that have to stay together, in the order of their first report."""
    alike = clusters(examples, threshold)
    if by is By.GROUP:
        alike = _joined(alike, [e.group or e.repository for e in examples])
    units: dict[int, list[int]] = defaultdict(list)
    for position, unit in enumerate(alike):
        units[unit].append(position)
    return list(units.values())


def _joined(alike: Sequence[int], groups: Sequence[str]) -> list[int]:
    """Clusters that share a group become one, and so on until nothing is shared."""
    unit_of = list(alike)
    changed = True
    while changed:
        lowest: dict[str | int, int] = {}
        for group, cluster, unit in zip(groups, alike, unit_of, strict=True):
            lowest[group] = min(unit, lowest.get(group, unit))
            lowest[cluster] = min(unit, lowest.get(cluster, unit))
        joined = [
            min(lowest[group], lowest[cluster])
            for group, cluster in zip(groups, alike, strict=True)
        ]
        changed, unit_of = joined != unit_of, joined
    return unit_of


def _by_time(
    examples: Sequence[Example], units: list[list[int]], shares: Mapping[str, float]
) -> list[str]:
    without = [e.id for e in examples if e.filed_at is None]
    if without:
        raise BadRequest(
            f"a split by time needs filed_at; {len(without)} rows have none, the first is "
            f"{without[0]!r}"
        )
    newest = {
        id(unit): max(t for i in unit if (t := examples[i].filed_at) is not None) for unit in units
    }
    sides = [""] * len(examples)
    names = list(shares)
    placed, side, room = 0, 0, shares[names[0]] * len(examples)
    previous = None
    for unit in sorted(units, key=lambda u: (newest[id(u)], u[0])):
        # Reports of one moment stay together: "newer" has to mean something at the border.
        if placed >= room - 1e-9 and side + 1 < len(names) and newest[id(unit)] != previous:
            side += 1
            room += shares[names[side]] * len(examples)
        for position in unit:
            sides[position] = names[side]
        placed += len(unit)
        previous = newest[id(unit)]
    return sides


def _stratified(
    examples: Sequence[Example],
    units: list[list[int]],
    shares: Mapping[str, float],
    chance: random.Random,
) -> list[str]:
    """Greedy: the largest and rarest units first, each to the part that lacks its labels most."""
    marks = [_marks(examples, unit) for unit in units]
    total = sum(marks, Counter())
    want = {name: {m: share * n for m, n in total.items()} for name, share in shares.items()}
    order = list(range(len(units)))
    chance.shuffle(order)
    rarity = [min(total[mark] for mark in unit) for unit in marks]
    order.sort(key=lambda u: (len(units[u]) == 1, -len(units[u]), rarity[u]))
    sides = [""] * len(examples)
    for unit in order:
        rarest = sorted(marks[unit], key=lambda mark: (total[mark], mark))
        best = max(
            shares,
            key=lambda name: ([round(want[name][m], 6) for m in rarest], chance.random()),
        )
        for mark, count in marks[unit].items():
            want[best][mark] -= count
        for position in units[unit]:
            sides[position] = best
    return sides


def _marks(examples: Sequence[Example], unit: Sequence[int]) -> Counter[tuple[str, str]]:
    """What has to be spread evenly: labels, and rows as such (every unit has that mark)."""
    marks: Counter[tuple[str, str]] = Counter()
    for position in unit:
        marks[("", "")] += 1
        for dimension, answer in examples[position].labels.items():
            marks[dimension, answer.label] += 1
    return marks
