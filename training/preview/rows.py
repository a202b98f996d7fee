"""A repository's issues with the answers its labels give under a mapping, split by time."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from app.core.errors import BadRequest
from app.core.taxonomy import Taxonomy
from training.duplicates import clusters
from training.example import Example
from training.mapping import LabelMapping

# The newest share of issues is held out; figures come from it alone.
HELD_OUT = 0.25


@dataclass(frozen=True)
class Row:
    """An issue. `carries`: its labels put on by people (folded); `truth`: dimension -> answers.

    A dimension without an answer has the empty set: people labelled the issue and left it out.
    `disputed` dimensions have labels that exclude one another: nobody knows.
    """

    example: Example
    carries: frozenset[str]
    truth: Mapping[str, frozenset[str]]
    disputed: frozenset[str] = frozenset()

    @property
    def triaged(self) -> bool:
        """True if people put any label that means something; else nobody has looked yet."""
        return any(self.truth.values())

    @property
    def filed_at(self) -> datetime:
        """When it was opened."""
        assert self.example.filed_at is not None  # noqa: S101 - `rows_of` refuses others
        return self.example.filed_at


@dataclass
class History:
    """Rows oldest first. `older` and `newest` are triaged; every row after the cut is `recent`.

    `repeats` counts the newer triaged issues that resemble an older one, and so are not `newest`.
    """

    rows: list[Row]
    older: list[Row] = field(default_factory=list)
    newest: list[Row] = field(default_factory=list)
    recent: list[Row] = field(default_factory=list)
    repeats: int = 0
    by_bots: int = 0


def rows_of(
    examples: Sequence[Example], mapping: LabelMapping | None, taxonomy: Taxonomy
) -> History:
    """Rows under `mapping`, split by time; what resembles an older issue judges nothing.

    BadRequest if an issue does not say when it was filed.
    """
    without = [e.id for e in examples if e.filed_at is None]
    if without:
        raise BadRequest(
            f"{len(without)} issues have no filed_at, the first is {without[0]!r}: collect them "
            "with `triora collect`"
        )
    meanings = {k.casefold(): v for k, v in mapping.labels.items()} if mapping else {}
    asked = sorted({d for said in meanings.values() for d in said})
    exclusive = {
        d: (taxonomy[d].exclusive if d in taxonomy else mapping.dimensions[d].exclusive)
        for d in asked
        if mapping is not None
    }
    prefer = mapping.prefer if mapping else {}
    history = History([])
    for example in examples:
        history.by_bots += sum(label.by_type == "Bot" for label in example.github_labels)
        history.rows.append(_row(example, meanings, asked, exclusive, prefer))
    history.rows.sort(key=lambda row: (row.filed_at, row.example.number or 0))
    _divide(history)
    return history


def _row(
    example: Example,
    meanings: Mapping[str, Mapping[str, str]],
    asked: Sequence[str],
    exclusive: Mapping[str, bool],
    prefer: Mapping[str, Sequence[str]],
) -> Row:
    carries = frozenset(x.name.casefold() for x in example.github_labels if x.by_type != "Bot")
    truth: dict[str, frozenset[str]] = {}
    disputed = set()
    for dimension in asked:
        said = {a for name in carries if (a := meanings.get(name, {}).get(dimension)) is not None}
        if exclusive[dimension] and len(said) > 1:
            first = next((a for a in prefer.get(dimension, ()) if a in said), None)
            if first is None:
                disputed.add(dimension)
            said = {first} if first is not None else set()
        truth[dimension] = frozenset(said)
    return Row(example, carries, truth, frozenset(disputed))


def _divide(history: History) -> None:
    triaged = [row for row in history.rows if row.triaged]
    cut = round((1 - HELD_OUT) * len(triaged))
    # Issues of one moment stay together: "newer" has to mean something at the border.
    while 0 < cut < len(triaged) and triaged[cut].filed_at == triaged[cut - 1].filed_at:
        cut += 1
    alike = clusters([row.example for row in triaged])
    known = set(alike[:cut])
    history.older = triaged[:cut]
    history.newest = [r for r, c in zip(triaged[cut:], alike[cut:], strict=True) if c not in known]
    history.repeats = len(triaged) - cut - len(history.newest)
    older = {row.example.id for row in history.older}
    last = history.older[-1].filed_at if history.older else None
    history.recent = [
        row
        for row in history.rows
        if row.example.id not in older and (last is None or row.filed_at > last)
    ]


def counts(rows: Sequence[Row], dimension: str) -> Counter[str]:
    """How many rows carry each answer of a dimension."""
    return Counter(answer for row in rows for answer in row.truth.get(dimension, ()))
