"""What came out, as a table and a summary of figures that were measured in this run."""

from __future__ import annotations

import math
import statistics
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from rich.markup import escape
from rich.table import Table

from deploy.sandbox.demo.watch import Opened

TITLE_WIDTH = 46
# Reasons of Triora to write nothing that say: the answer is not sure enough, or not asked for.
HELD_BACK = ("below threshold", "not a bug")
COLORS = {
    "critical": "bold red",
    "high": "red",
    "medium": "yellow",
    "low": "green",
}


@dataclass(frozen=True)
class Result:
    """One issue: what Triora stored about it, and the labels it has on the stand-in."""

    opened: Opened
    stored: Mapping[str, Any]
    labels: Sequence[str]

    @property
    def abstained(self) -> bool:
        """True when Triora decided every dimension and rightly wrote none."""
        answers = [a for a in self.stored["dimensions"].values() if a["action"] != "none"]
        held_back = answers and all(answer["reason"] in HELD_BACK for answer in answers)
        return self.stored["stage"] == "done" and bool(held_back) and not self.labels

    @property
    def failure(self) -> str | None:
        """Why the issue has not what it should have; None if all is well."""
        if self.stored["stage"] == "dead":
            return str(self.stored["error"])
        if self.labels or self.abstained:
            return None
        reasons = sorted({answer["reason"] for answer in self.stored["dimensions"].values()})
        return f"it has no label on GitHub ({', '.join(reasons) or 'never scored'})"

    @property
    def seconds(self) -> float | None:
        """From opening the issue to its labels on GitHub; None if none was written."""
        at = self.stored.get("labelled_at")
        return (datetime.fromisoformat(at) - self.opened.at).total_seconds() if at else None

    def best(self, dimension: str) -> tuple[str, float]:
        """The likeliest label and its probability."""
        probabilities = self.stored["dimensions"][dimension]["probabilities"]
        label = max(probabilities, key=probabilities.__getitem__)
        return label, probabilities[label]


def dimensions(results: Sequence[Result]) -> list[str]:
    """The dimensions that are written, in the order they were decided."""
    first: Mapping[str, Any] = next(
        (r.stored["dimensions"] for r in results if r.stored.get("dimensions")), {}
    )
    return [name for name, answer in first.items() if answer["action"] != "none"]


def issues(results: Sequence[Result]) -> Table:
    """A row an issue: what was written, or in brackets what was likeliest, and how probable."""
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("issue", justify="right", no_wrap=True, min_width=5)
    table.add_column("title", no_wrap=True, max_width=TITLE_WIDTH, ratio=1)
    names = dimensions(results)
    for name in names:
        table.add_column(name, no_wrap=True)
    for result in results:
        cells = [_cell(result, name) for name in names]
        table.add_row(f"#{result.opened.number}", escape(result.opened.report.title), *cells)
    return table


def _cell(result: Result, dimension: str) -> str:
    answer = result.stored.get("dimensions", {}).get(dimension)
    if answer is None:
        return "[dim]not scored[/dim]"
    if not _written(result, dimension):
        label, probability = result.best(dimension)
        return f"[dim]({label} {probability:.2f})[/dim]"
    return ", ".join(
        f"[{COLORS.get(label, 'default')}]{label}[/] {answer['probabilities'][label]:.2f}"
        for label in answer["labels"]
    )


def summary(results: Sequence[Result], loading_seconds: float) -> Table:
    """Counts and times of this run."""
    table = Table(box=None, pad_edge=False, show_header=False)
    table.add_column(style="bold")
    table.add_column()
    table.add_row("issues", str(len(results)))
    models = {r.stored["model"] for r in results if r.stored.get("model")}
    table.add_row("model", ", ".join(sorted(models)))
    for name in dimensions(results):
        counts = Counter(x for r in results for x in _written(r, name))
        without = len(results) - sum(1 for r in results if _written(r, name))
        said = [f"{label} {count}" for label, count in counts.most_common()]
        table.add_row(name, ", ".join(said + ([f"none {without}"] if without else [])))
    table.add_row("model ready after", f"{loading_seconds:.1f} s")
    times = [r.seconds for r in results if r.seconds is not None]
    if times:
        total = _total(results)
        count = "all" if len(times) == len(results) else f"{len(times)} of {len(results)}"
        table.add_row(
            f"{count} labelled after", f"{total:.1f} s, {total / len(times):.2f} s an issue"
        )
        table.add_row("time to label", f"median {statistics.median(times):.1f} s from opening")
    return table


def remarks(results: Sequence[Result]) -> list[str]:
    """What a reader of the table has to know to judge it."""
    said = []
    abstained = sum(result.abstained for result in results)
    if abstained:
        said.append(
            f"{abstained} of {len(results)} issues got no label: every answer was below its "
            "threshold, or none is asked for what is no bug. Brackets show what was likeliest."
        )
    else:
        said.append(
            "The demo's threshold is 0: every dimension gets its best guess, however unsure. In "
            "service a label below its threshold is not written."
        )
    return said


def agreement(results: Sequence[Result]) -> Table | None:
    """How often the likeliest label is the one the file names; None if it names none.

    Beside it the share of the commonest label, which always guessing that one would reach.
    """
    judged = {
        name: [(r.best(name)[0], r.opened.report.labels[name]) for r in results if _judged(r, name)]
        for name in dimensions(results)
    }
    if not any(judged.values()):
        return None
    table = Table(box=None, pad_edge=False, header_style="bold")
    for title in ("likeliest label against the file's", "agree", "95 % interval", "commonest"):
        table.add_column(title)
    for name, pairs in judged.items():
        if pairs:
            n, right = len(pairs), sum(ours == theirs for ours, theirs in pairs)
            low, high = _wilson(right, n)
            commonest, count = Counter(theirs for _, theirs in pairs).most_common(1)[0]
            table.add_row(
                name,
                f"{right}/{n} = {right / n:.0%}",
                f"{low:.0%} to {high:.0%}",
                f"{commonest} {count / n:.0%}",
            )
    return table


def _judged(result: Result, dimension: str) -> bool:
    return dimension in result.opened.report.labels and dimension in result.stored["dimensions"]


def _written(result: Result, dimension: str) -> list[str]:
    answer = result.stored.get("dimensions", {}).get(dimension)
    return list(answer["labels"]) if answer and result.labels else []


def _total(results: Sequence[Result]) -> float:
    ends = [datetime.fromisoformat(r.stored["labelled_at"]) for r in results if r.seconds]
    return (max(ends) - min(r.opened.at for r in results)).total_seconds()


def _wilson(right: int, n: int) -> tuple[float, float]:
    """Wilson's interval of a proportion (E. B. Wilson, 1927)."""
    z = 1.96
    middle = (right + z * z / 2) / (n + z * z)
    half = z / (n + z * z) * math.sqrt(right * (n - right) / n + z * z / 4)
    return max(middle - half, 0.0), min(middle + half, 1.0)
