"""Refuses data that cannot train or measure a model, and names the rows that make it so."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from app.core.errors import ArtifactMismatch
from app.core.taxonomy import Taxonomy
from training.duplicates import SIMILARITY, near_pairs
from training.example import Example

Vocabulary = Mapping[str, Sequence[str]]


@dataclass(frozen=True)
class Leak:
    """A held-out report that a training report gives away."""

    training: str
    held_out: str
    similarity: float


def check(
    train: Sequence[Example],
    taxonomy: Taxonomy,
    *,
    held_out: Sequence[Example] = (),
    manifest: Vocabulary | None = None,
    lines: Mapping[str, int] | None = None,
    dimensions: Iterable[str] | None = None,
    leaks: bool = True,
) -> None:
    """ArtifactMismatch that lists everything wrong; nothing if the data may be used.

    Wrong is: a label or dimension the taxonomy lacks, a class of the taxonomy (restricted to
    `dimensions` if given) without a training row, a held-out report that is in training too, a
    manifest made for another vocabulary. `lines` maps example ids to lines of their file.
    """
    found = [
        *_manifest_differs(taxonomy, manifest),
        *unknown_labels([*train, *held_out], taxonomy, lines or {}),
        *_empty_classes(train, taxonomy, dimensions),
    ]
    if leaks:
        found += _leaks_named(find_leaks(train, held_out), lines or {})
    if found:
        raise ArtifactMismatch("; ".join(found))


def unknown_labels(
    examples: Sequence[Example], taxonomy: Taxonomy, lines: Mapping[str, int]
) -> list[str]:
    """One sentence for each (dimension, label) the taxonomy lacks, with the rows that use it."""
    rows: dict[tuple[str, str], list[str]] = defaultdict(list)
    for example in examples:
        for dimension, answer in example.labels.items():
            if dimension not in taxonomy or answer.label not in taxonomy[dimension].names:
                rows[dimension, answer.label].append(_row(example.id, lines))
    return [
        f"{dimension}/{label} is not in the taxonomy ({_allowed(taxonomy, dimension)}) "
        f"but in {_first(names)}"
        for (dimension, label), names in rows.items()
    ]


def find_leaks(
    train: Sequence[Example], held_out: Sequence[Example], threshold: float = SIMILARITY
) -> list[Leak]:
    """Held-out reports with a near-duplicate in training: the closest one for each.

    The same id on both sides is a leak whatever the texts say.
    """
    everything = [*train, *held_out]
    ids = {example.id: position for position, example in enumerate(train)}
    closest: dict[int, tuple[float, int]] = {
        position: (1.0, ids[example.id])
        for position, example in enumerate(held_out, start=len(train))
        if example.id in ids
    }
    for one, other, alike in near_pairs(everything, threshold):
        if one < len(train) <= other:
            closest[other] = max(closest.get(other, (0.0, 0)), (alike, one))
    return [
        Leak(everything[one].id, everything[other].id, alike)
        for other, (alike, one) in sorted(closest.items())
    ]


def without_leaks(
    train: Sequence[Example], held_out: Sequence[Example], threshold: float = SIMILARITY
) -> list[Example]:
    """The training rows that are no near-duplicate of any held-out report."""
    names = {example.id for example in held_out}
    giving: set[int] = {i for i, example in enumerate(train) if example.id in names}
    for one, other, _ in near_pairs([*train, *held_out], threshold):
        if one < len(train) <= other:
            giving.add(one)
    return [example for position, example in enumerate(train) if position not in giving]


def _manifest_differs(taxonomy: Taxonomy, manifest: Vocabulary | None) -> list[str]:
    if manifest is None:
        return []
    theirs = {name: tuple(labels) for name, labels in manifest.items()}
    return [
        f"the model was made for {name} {list(theirs.get(name, ()))}, "
        f"the taxonomy has {list(taxonomy.vocabulary.get(name, ()))}"
        for name in dict.fromkeys([*theirs, *taxonomy.vocabulary])
        if theirs.get(name) != taxonomy.vocabulary.get(name)
    ]


def _empty_classes(
    train: Sequence[Example], taxonomy: Taxonomy, dimensions: Iterable[str] | None
) -> list[str]:
    asked = set(taxonomy.vocabulary if dimensions is None else dimensions)
    seen = {(name, a.label) for example in train for name, a in example.labels.items()}
    return [
        f"no training row has {name}/{label}: collect some, or drop the label from the taxonomy"
        for name, labels in taxonomy.vocabulary.items()
        if name in asked
        for label in labels
        if (name, label) not in seen
    ]


def _leaks_named(leaks: Sequence[Leak], lines: Mapping[str, int]) -> list[str]:
    if not leaks:
        return []
    named = [
        f"{_row(leak.held_out, lines)} ~ {_row(leak.training, lines)} ({leak.similarity:.0%})"
        for leak in leaks
    ]
    return [f"{len(leaks)} held-out rows have a near-duplicate in training: {_first(named)}"]


def _row(name: str, lines: Mapping[str, int]) -> str:
    return f"{name} (line {lines[name]})" if name in lines else name


def _first(names: Sequence[str], shown: int = 5) -> str:
    more = f" and {len(names) - shown} more" if len(names) > shown else ""
    return ", ".join(names[:shown]) + more


def _allowed(taxonomy: Taxonomy, dimension: str) -> str:
    if dimension not in taxonomy:
        return f"dimensions: {', '.join(taxonomy.vocabulary)}"
    return ", ".join(taxonomy[dimension].names)
