"""Which phrases moved a decision: each is left out once, and the chance of the answer is looked at.

Leave-one-out (occlusion; Zeiler and Fergus, 2014) says something a person can check: without this
phrase the answer would have been that much less likely. All versions are one batch, so it costs
one extra pass however many dimensions there are.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

from app.core.taxonomy import Taxonomy
from app.core.text import IssueText, visible, visible_lines
from worker.model.scorer import Scorer

# More pieces make a longer pass; neighbours are joined until there are no more than this.
MOST_PIECES = 16
# Clauses that are told apart at all; a long log behind them is one piece.
LOOKED_AT = 200
SHOWN = 3
# Smaller drops are noise: other words in the same place do as much.
LEAST_DROP = 0.02

# Ends of sentences and clauses; a dot inside a version number or a file name is none.
_ENDS = re.compile(r"(?<=[.!?;])\s+|(?<=,)\s+(?=\w+\s+\w+\s+\w+)")


@dataclass(frozen=True, slots=True)
class Evidence:
    """`drop`: by how much the answer's probability falls when `phrase` is left out."""

    phrase: str
    drop: float


def explain(
    scorer: Scorer, text: IssueText, taxonomy: Taxonomy
) -> tuple[dict[str, dict[str, float]], dict[str, list[Evidence]]]:
    """Scores of `text`, and a dimension's phrases that spoke for its likeliest label, best first.

    At most SHOWN phrases a dimension; none where no single phrase mattered.
    """
    parts = pieces(text)
    versions = [text, *(_without(parts, at) for at in range(len(parts)))]
    whole, *partial = scorer.score(versions, taxonomy)
    found = {
        dimension: _strongest(parts, chances, [one[dimension] for one in partial])
        for dimension, chances in whole.items()
    }
    return whole, found


def pieces(text: IssueText, most: int = MOST_PIECES) -> list[str]:
    """The title and then the body's clauses, on one line each, at most `most` of them."""
    found = [clause for line in visible_lines(text.body) for clause in _ENDS.split(line) if clause]
    found = [*found[:LOOKED_AT], " ".join(found[LOOKED_AT:])] if found[LOOKED_AT:] else found
    while len(found) > max(1, most - 1):
        lengths = [len(a) + len(b) for a, b in pairwise(found)]
        at = lengths.index(min(lengths))
        found[at : at + 2] = [f"{found[at]} {found[at + 1]}"]
    return [visible(text.title), *found]


def _without(parts: Sequence[str], at: int) -> IssueText:
    title = "" if at == 0 else parts[0]
    body = " ".join(part for i, part in enumerate(parts) if i not in (0, at))
    return IssueText(title=title, body=body)


def _strongest(
    parts: Sequence[str], whole: Mapping[str, float], partial: Sequence[Mapping[str, float]]
) -> list[Evidence]:
    answer = max(whole, key=whole.__getitem__)
    drops = [
        Evidence(part, whole[answer] - chances[answer])
        for part, chances in zip(parts, partial, strict=True)
        if part
    ]
    telling = sorted((e for e in drops if e.drop >= LEAST_DROP), key=lambda e: -e.drop)
    return telling[:SHOWN]
