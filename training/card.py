"""The dataset card: what is in the data, how its labels are spread, and where the parts overlap."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import datetime

from pydantic import BaseModel, ConfigDict

from app.core.taxonomy import Taxonomy
from training.dataset import digest
from training.duplicates import clusters, text_hash
from training.example import Example
from training.guard import find_leaks


class Part(BaseModel):
    """One part of a data set; counts are rows. Labels nobody gave are counted as `unlabelled`."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    rows: int
    digest: str
    repositories: dict[str, int]
    # dimension -> label -> rows
    labels: dict[str, dict[str, int]]
    unlabelled: dict[str, int]
    provenance: dict[str, int]
    filed_from: datetime | None
    filed_to: datetime | None
    as_filed: int
    exact_copies: int
    # Rows that resemble another of the part, and the size of the largest such group.
    near_duplicates: int
    largest_cluster: int


class Overlap(BaseModel):
    """Rows of a later part with the same id, text or a near-duplicate in an earlier one."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    earlier: str
    later: str
    rows: int
    of: int
    ids: tuple[str, ...]


class Card(BaseModel):
    """The card of a data set in one or several parts."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    taxonomy_digest: str
    parts: tuple[Part, ...]
    overlaps: tuple[Overlap, ...]

    def markdown(self) -> str:
        """The card as a page people can read."""
        names = [part.name for part in self.parts]
        lines = [
            "# Dataset card",
            "",
            _row(["", *names]),
            _row(["---", *["---:"] * len(names)]),
            _row(["reports", *[str(p.rows) for p in self.parts]]),
            _row(["text as filed", *[str(p.as_filed) for p in self.parts]]),
            _row(["filed", *[_span(p) for p in self.parts]]),
            _row(["exact copies", *[str(p.exact_copies) for p in self.parts]]),
            _row(["with a near-duplicate", *[str(p.near_duplicates) for p in self.parts]]),
            _row(["largest such group", *[str(p.largest_cluster) for p in self.parts]]),
            _row(["digest", *[f"`{p.digest[:16]}`" for p in self.parts]]),
        ]
        for title, of in (("Repositories", "repositories"), ("Provenance of labels", "provenance")):
            lines += ["", f"## {title}", "", *_counts(names, [getattr(p, of) for p in self.parts])]
        for dimension in self.parts[0].labels if self.parts else ():
            counted = [
                {**p.labels[dimension], "(no label)": p.unlabelled[dimension]} for p in self.parts
            ]
            lines += ["", f"## {dimension}", "", *_counts(names, counted)]
        lines += ["", "## Overlap", ""]
        lines += [
            f"- {o.rows} of {o.of} rows of {o.later} have a near-duplicate in {o.earlier}"
            + (f": {', '.join(o.ids[:10])}{', …' if o.rows > 10 else ''}" if o.rows else "")
            for o in self.overlaps
        ] or ["- one part only"]
        return "\n".join(lines) + "\n"


def describe(parts: Mapping[str, Sequence[Example]], taxonomy: Taxonomy) -> Card:
    """The card of the named parts; overlap is looked for between every two of them."""
    names = list(parts)
    return Card(
        taxonomy_digest=taxonomy.digest,
        parts=tuple(_part(name, parts[name], taxonomy) for name in names),
        overlaps=tuple(
            _overlap(earlier, parts[earlier], later, parts[later])
            for i, earlier in enumerate(names)
            for later in names[i + 1 :]
        ),
    )


def _part(name: str, examples: Sequence[Example], taxonomy: Taxonomy) -> Part:
    sizes = Counter(clusters(examples))
    times = [e.filed_at for e in examples if e.filed_at is not None]
    labels = {
        d: {label: sum(e.label(d) == label for e in examples) for label in names}
        for d, names in taxonomy.vocabulary.items()
    }
    return Part(
        name=name,
        rows=len(examples),
        digest=digest(examples),
        repositories=dict(Counter(e.repository for e in examples).most_common()),
        labels=labels,
        unlabelled={d: sum(d not in e.labels for e in examples) for d in labels},
        provenance=dict(
            Counter(str(a.provenance) for e in examples for a in e.labels.values()).most_common()
        ),
        filed_from=min(times, default=None),
        filed_to=max(times, default=None),
        as_filed=sum(e.text_as_of == "filing" for e in examples),
        exact_copies=len(examples) - len({text_hash(e) for e in examples}),
        near_duplicates=sum(size for size in sizes.values() if size > 1),
        largest_cluster=max(sizes.values(), default=0),
    )


def _overlap(
    earlier: str, train: Sequence[Example], later: str, held_out: Sequence[Example]
) -> Overlap:
    leaks = find_leaks(train, held_out)
    return Overlap(
        earlier=earlier,
        later=later,
        rows=len(leaks),
        of=len(held_out),
        ids=tuple(leak.held_out for leak in leaks),
    )


def _row(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _span(part: Part) -> str:
    if part.filed_from is None or part.filed_to is None:
        return "unknown"
    return f"{part.filed_from:%Y-%m-%d} to {part.filed_to:%Y-%m-%d}"


def _counts(names: Sequence[str], counted: Sequence[Mapping[str, int]]) -> list[str]:
    keys = dict.fromkeys(key for counts in counted for key in counts)
    totals = [sum(counts.values()) or 1 for counts in counted]
    return [
        _row(["", *names]),
        _row(["---", *["---:"] * len(names)]),
        *(
            _row(
                [
                    key,
                    *(
                        f"{counts.get(key, 0)} ({counts.get(key, 0) / total:.0%})"
                        for counts, total in zip(counted, totals, strict=True)
                    ),
                ]
            )
            for key in keys
        ),
    ]
