"""How much a memory of corrections gains with no retraining: accuracy after 0, 10, … corrections.

    TRIORA_ADAPTER=FOLDER python -m training.benchmarks.memory --data triage_val.jsonl

Bug reports of one file are split in halves, anew for each split: one half arrives one by one, is
answered with what the memory knows by then and corrected; the other half measures. Nothing of the
model changes; states and scores come from one pass a report.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer
from rich.console import Console
from rich.table import Table

from app import logs
from app.core.errors import BadRequest
from app.core.settings import load
from app.core.taxonomy import DEFAULT_TAXONOMY, Taxonomy
from training import dataset, metrics
from training.benchmarks.maintainer import Maintainer
from training.example import Example
from worker.memory import BACKGROUND, CONFIRMED
from worker.shift import Floats, Lessons, Shift
from worker.threads import wait_without_spinning

MARKS = (0, 10, 20, 50, 100)


@dataclass(frozen=True)
class Reports:
    """Reports as the model sees them. own: dimension -> [n, k]; truth: dimension -> [n] indices."""

    vectors: Floats
    own: dict[str, Floats]
    truth: dict[str, metrics.Ints]
    taxonomy: Taxonomy
    judged: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.vectors)


class Pupil:
    """The memory of one run, one list of lessons a dimension."""

    def __init__(self, reports: Reports, taught: bool) -> None:
        self._reports = reports
        self._taught = taught
        self._seen: list[int] = []
        self._lessons: dict[str, list[tuple[int, int, float]]] = {d: [] for d in reports.judged}
        self._corrected: set[str] = set()
        self._shifts: dict[str, Shift] = {}

    def says(self, rows: Sequence[int]) -> dict[str, Floats]:
        """Dimension -> probabilities of those reports."""
        return {d: self._says(d, list(rows)) for d in self._reports.judged}

    def _says(self, dimension: str, rows: list[int]) -> Floats:
        own = self._reports.own[dimension][rows]
        shift = self._shifts.get(dimension)
        return own if shift is None else shift(self._reports.vectors[rows], own)

    def sees(self, row: int) -> None:
        """A report came in: it tells what reports of this repository look like."""
        self._seen.append(row)

    def learns(self, row: int, said: dict[str, str | None], corrected: dict[str, str]) -> None:
        """What people changed, and what they let stand beside it."""
        if not (corrected and self._taught):
            return
        for dimension in self._reports.judged:
            names = self._reports.taxonomy[dimension].names
            label = corrected.get(dimension) or said[dimension]
            if label is not None:
                weight = 1.0 if dimension in corrected else CONFIRMED
                self._lessons[dimension].append((row, names.index(label), weight))
        self._corrected |= set(corrected)
        centre = self._reports.vectors[self._seen[-BACKGROUND:]].mean(axis=0)
        for dimension in self._corrected:
            rows, labels, weights = (
                np.array(column) for column in zip(*self._lessons[dimension], strict=True)
            )
            lessons = Lessons(
                self._reports.vectors[rows], self._reports.own[dimension][rows], labels, weights
            )
            self._shifts[dimension] = Shift(lessons, centre)


@dataclass(frozen=True)
class Point:
    """After so many corrections: average accuracy with its interval, over so many splits."""

    corrections: int
    accuracy: float
    low: float
    high: float
    gain: float
    gain_low: float
    gain_high: float
    calibration_error: float
    reports_seen: float
    splits: int


def run(reports: Reports, maintainer: Maintainer, marks: Sequence[int]) -> dict[int, Any]:
    """One split: mark -> (rows that measured, right or not [rows, dimensions], confidence, seen).

    Marks that the corrections of one half do not reach are left out.
    """
    order = np.random.default_rng(maintainer.seed).permutation(len(reports))
    measured, arriving = order[: len(order) // 2], order[len(order) // 2 :]
    pupil = Pupil(reports, taught=True)
    names = {d: reports.taxonomy[d].names for d in reports.judged}
    found: dict[int, Any] = {0: _measure(reports, pupil, measured, 0)}
    for seen, row in enumerate(arriving.tolist(), start=1):
        said: dict[str, str | None] = {
            d: names[d][int(p[0].argmax())] for d, p in pupil.says([row]).items()
        }
        pupil.sees(row)
        if maintainer.looks():
            truth = {d: names[d][reports.truth[d][row]] for d in reports.judged}
            pupil.learns(row, said, maintainer.corrects(said, truth, reports.taxonomy))
        for mark in marks:
            if mark not in found and maintainer.corrections >= mark:
                found[mark] = _measure(reports, pupil, measured, seen)
    return found


def _measure(reports: Reports, pupil: Pupil, rows: Any, seen: int) -> tuple[Any, Any, Any, int]:
    says = pupil.says(rows.tolist())
    right = np.stack([p.argmax(axis=1) == reports.truth[d][rows] for d, p in says.items()], axis=1)
    sure = np.stack([p.max(axis=1) for p in says.values()], axis=1)
    return rows, right, sure, seen


def curve(
    reports: Reports, splits: int, errors: float, reviewed: float, marks: Sequence[int] = MARKS
) -> list[Point]:
    """A point a mark that every split reached.

    Intervals: 95 % bootstrap over reports, each report's result averaged over the splits in which
    it measured. `gain`: against no correction, on the same reports of the same splits.
    """
    runs = [run(reports, Maintainer(reviewed, errors, seed=seed), marks) for seed in range(splits)]
    weights = metrics.resample(len(reports), seed=1)
    points = []
    for mark in marks:
        if not all(mark in one for one in runs):
            break
        total, before, times = (np.zeros(len(reports)) for _ in range(3))
        for one in runs:
            rows, right, _, _ = one[mark]
            total[rows] += right.mean(axis=1)
            before[rows] += one[0][1].mean(axis=1)
            times[rows] += 1
        drawn = weights @ total / (weights @ times)
        gained = weights @ (total - before) / (weights @ times)
        low, high = metrics.interval(drawn)
        gain_low, gain_high = metrics.interval(gained)
        right, sure = (np.concatenate([one[mark][i].ravel() for one in runs]) for i in (1, 2))
        points.append(
            Point(
                corrections=mark,
                accuracy=float(total.sum() / times.sum()),
                low=low,
                high=high,
                gain=float((total - before).sum() / times.sum()),
                gain_low=gain_low,
                gain_high=gain_high,
                calibration_error=float(metrics.calibration_error(sure, right)[0]),
                reports_seen=float(np.mean([one[mark][3] for one in runs])),
                splits=splits,
            )
        )
    return points


def flips(reports: Reports, splits: int, before: int, tries: int = 10) -> tuple[float, float]:
    """Share of held-out answers that one more, wrong correction changes: mean and worst case."""
    shares = []
    for seed in range(splits):
        chance = np.random.default_rng(seed)
        order = chance.permutation(len(reports))
        measured, arriving = order[: len(order) // 2], order[len(order) // 2 :]
        centre = reports.vectors[arriving].mean(axis=0)
        for d in reports.judged:
            k = len(reports.taxonomy[d].names)
            for row in arriving[before : before + tries].tolist():
                wrong = chance.choice([x for x in range(k) if x != reports.truth[d][row]])
                kept = arriving[:before]
                with_it = np.append(kept, row)
                labels = np.append(reports.truth[d][kept], wrong)
                answers = []
                for rows, said in ((kept, labels[:-1]), (with_it, labels)):
                    own = reports.own[d]
                    found = own[measured]
                    if len(rows):
                        taught = Lessons(reports.vectors[rows], own[rows], said, np.ones(len(rows)))
                        found = Shift(taught, centre)(reports.vectors[measured], own[measured])
                    answers.append(found.argmax(axis=1))
                shares.append(float((answers[0] != answers[1]).mean()))
    return float(np.mean(shares)), float(np.max(shares))


def read(examples: Sequence[Example], taxonomy: Taxonomy, states: Path | None) -> Reports:
    """The bug reports among `examples` that are labelled throughout, each read once by the model.

    `states`: a file to keep what the model saw in, and to take it from when it is there.
    """
    judged = tuple(d.name for d in taxonomy.written)
    bugs = [e for e in examples if e.holds(taxonomy.gate) and all(map(e.label, judged))]
    if len(bugs) < 20:
        raise BadRequest(f"{len(bugs)} bug reports with all labels: at least 20 are needed")
    if states is not None and states.is_file():
        with np.load(states) as kept:
            own = {d: kept[f"own_{d}"] for d in judged}
            vectors = kept["vectors"].astype(np.float64)
        if len(vectors) != len(bugs):
            raise BadRequest(f"{states} was made from other reports: remove it")
    else:
        vectors, own = _ask(bugs, taxonomy)
        if states is not None:
            arrays: dict[str, Any] = {f"own_{d}": own[d] for d in judged}
            np.savez(states, vectors=vectors, **arrays)
    truth = {d: np.array([taxonomy[d].names.index(e.label(d) or "") for e in bugs]) for d in judged}
    return Reports(vectors, {d: own[d] for d in judged}, truth, taxonomy, judged)


def _ask(bugs: Sequence[Example], taxonomy: Taxonomy) -> tuple[Floats, dict[str, Floats]]:
    from worker.model.serve import build_scorer  # noqa: PLC0415 - torch

    scorer = build_scorer(load(), taxonomy)
    seen = scorer.impressions([e.text for e in bugs], taxonomy)
    vectors = np.stack([one.vector for one in seen]).astype(np.float64)
    own = {
        d.name: np.array([[one.scores[d.name][name] for name in d.names] for one in seen])
        for d in taxonomy.dimensions
    }
    return vectors, own


def main(
    data: Annotated[Path, typer.Option(help="labelled reports, JSON Lines")],
    splits: Annotated[int, typer.Option(min=1, help="halvings of the reports")] = 20,
    errors: Annotated[float, typer.Option(min=0, max=1, help="of the arm with errors")] = 0.1,
    reviewed: Annotated[float, typer.Option(min=0, max=1, help="share looked at")] = 1.0,
    states: Annotated[Path | None, typer.Option(help="file to keep the model's states in")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Print accuracy against corrections, without and with errors among them."""
    wait_without_spinning(os.environ)
    logs.configure("WARNING")
    reports = read(dataset.read(data).refuse_problems(), DEFAULT_TAXONOMY, states)
    arms = {share: curve(reports, splits, share, reviewed) for share in (0.0, errors)}
    flipped = {before: flips(reports, splits, before) for before in (0, 10, 30)}
    if as_json:
        told = {str(share): [asdict(p) for p in points] for share, points in arms.items()}
        typer.echo(json.dumps({"reports": len(reports), "arms": told, "flips": flipped}, indent=2))
        return
    table = Table(title=f"{len(reports)} bug reports, {splits} splits, {reviewed:.0%} looked at")
    for name in ("wrong", "corrections", "accuracy", "gain in points", "ECE", "reports seen"):
        table.add_column(name, justify="right")
    for share, points in arms.items():
        for p in points:
            table.add_row(
                f"{share:.0%}",
                str(p.corrections),
                f"{p.accuracy:.1%} ({p.low:.1%} to {p.high:.1%})",
                f"{100 * p.gain:+.1f} ({100 * p.gain_low:+.1f} to {100 * p.gain_high:+.1f})",
                f"{p.calibration_error:.3f}",
                f"{p.reports_seen:.0f}",
            )
    console = Console(width=None if sys.stdout.isatty() else 116)
    console.print(table)
    for before, (mean, worst) in flipped.items():
        console.print(
            f"one wrong correction after {before} right ones changes {mean:.1%} of the answers"
            f" of its dimension (at worst {worst:.1%})"
        )


if __name__ == "__main__":
    typer.run(main)
