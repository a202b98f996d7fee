"""Finds reports that say the same: exact copies by hash, near copies by MinHash."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from app.core.text import visible
from training.example import Answer, Example

# Share of common word triples from which two reports are one report told twice.
SIMILARITY = 0.7
PERMUTATIONS = 128

_WORD = re.compile(r"\w+")
_ADDRESS = re.compile(r"https?://[^\s\"'<>)\]]+")


@dataclass(frozen=True)
class Merged:
    """A row left out because another has the same text.

    `disputed` are the dimensions in which two equally trusted labels contradicted each other:
    nobody knows the answer, so the kept row has none.
    """

    id: str
    kept: str
    disputed: tuple[str, ...]


def deduplicate(examples: Sequence[Example]) -> tuple[list[Example], list[Merged]]:
    """One row a text (as a reader sees it, without case); the most trusted label wins."""
    groups: dict[str, list[Example]] = {}
    for example in examples:
        groups.setdefault(text_hash(example), []).append(example)
    kept: list[Example] = []
    merged: list[Merged] = []
    for group in groups.values():
        labels, disputed = _agree(group)
        first = group[0]
        kept.append(first if len(group) == 1 else first.model_copy(update={"labels": labels}))
        merged.extend(Merged(other.id, first.id, disputed) for other in group[1:])
    return kept, merged


def text_hash(example: Example) -> str:
    """SHA-256 (hex) of the visible text without case; equal ones are the same report."""
    seen = f"{visible(example.title)}\n{visible(example.body)}".casefold()
    return hashlib.sha256(seen.encode("utf-8", "replace")).hexdigest()


def _agree(group: Sequence[Example]) -> tuple[dict[str, Answer], tuple[str, ...]]:
    labels: dict[str, Answer] = {}
    disputed: list[str] = []
    for dimension in dict.fromkeys(name for example in group for name in example.labels):
        answers = [e.labels[dimension] for e in group if dimension in e.labels]
        best = min(answer.provenance.rank for answer in answers)
        trusted = [answer for answer in answers if answer.provenance.rank == best]
        if len({answer.label for answer in trusted}) == 1:
            labels[dimension] = trusted[0]
        else:
            disputed.append(dimension)
    return labels, tuple(disputed)


def shingles(example: Example) -> frozenset[str]:
    """Word triples of a report. Addresses go and digits count as equal: ids and times differ."""
    text = _ADDRESS.sub(" ", f"{visible(example.title)} {visible(example.body)}".casefold())
    words = [_plain(word) for word in _WORD.findall(text)]
    if len(words) < 3:
        return frozenset([" ".join(words)])
    return frozenset(" ".join(words[i : i + 3]) for i in range(len(words) - 2))


def _plain(word: str) -> str:
    return re.sub(r"\d+", "0", word) if any(c.isdigit() for c in word) else word


def similarity(one: frozenset[str], other: frozenset[str]) -> float:
    """Jaccard index of two sets of shingles, 0 to 1."""
    union = len(one | other)
    return len(one & other) / union if union else 1.0


def near_pairs(
    examples: Sequence[Example], threshold: float = SIMILARITY
) -> Iterator[tuple[int, int, float]]:
    """Pairs of positions (lower first) whose similarity reaches `threshold`.

    Candidates come from MinHash LSH (Broder 1997; datasketch), built to over-propose; each is
    then checked with the exact similarity, so no pair is a false one.
    """
    from datasketch import MinHash, MinHashLSH  # noqa: PLC0415 - slow to import

    # Bands tuned a little under the threshold: a missed pair is worse than one checked in vain.
    index = MinHashLSH(threshold=threshold * 0.85, num_perm=PERMUTATIONS, weights=(0.2, 0.8))
    grams = [shingles(example) for example in examples]
    for position, gram in enumerate(grams):
        sketch = MinHash(num_perm=PERMUTATIONS, seed=1)
        sketch.update_batch([word.encode("utf-8", "replace") for word in gram])
        for other in sorted(index.query(sketch)):
            alike = similarity(grams[other], gram)
            if alike >= threshold:
                yield other, position, alike
        index.insert(position, sketch)


def clusters(examples: Sequence[Example], threshold: float = SIMILARITY) -> list[int]:
    """A cluster number for each example; near-duplicates, and theirs in turn, share one."""
    parent = list(range(len(examples)))

    def root(node: int) -> int:
        while parent[node] != node:
            parent[node] = parent[parent[node]]
            node = parent[node]
        return node

    for one, other, _ in near_pairs(examples, threshold):
        a, b = sorted((root(one), root(other)))
        parent[b] = a
    return [root(node) for node in range(len(examples))]
