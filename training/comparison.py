"""Compares saved runs over the same reports: a table, paired tests, what is significant.

Runs of one name that differ by seed are one entrant: its figures are means over its seeds, taken
within each bootstrap resample. Resamples draw reports; the spread over seeds stands beside.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from pydantic import Field

from app.core.errors import ConfigProblem
from training import metrics
from training.evaluation import Arrays, dimensions_of, figure
from training.figures import Figure, Record, Scope
from training.metrics import Floats, Ints
from training.predictions import Prediction, Run
from training.significance import LEVEL, bootstrap_p, holm, mcnemar

Measure = Literal["accuracy", "macro_f1"]
MEASURES: dict[Measure, Callable[[Ints], Floats]] = {
    "accuracy": metrics.accuracy,
    "macro_f1": metrics.macro_f1,
}

Saved = tuple[Run, Sequence[Prediction]]


class Standing(Record):
    """One entrant in one scope: means over its seeds. `dimensions` maps to accuracy."""

    name: str
    model: str
    family: str
    scope: Scope
    seeds: int
    n: int
    accuracy: Figure
    macro_f1: Figure
    dimensions: dict[str, Figure]
    calibration_error: Figure
    precision_at_60: Figure
    coverage_at_95: Figure
    # Standard deviation of the average accuracy over seeds; None for one seed.
    seed_spread: float | None = None
    training_rows: int | None = None
    provenance: str | None = None
    settings: dict[str, str | int | float | bool | None] = Field(default_factory=dict)


class Contrast(Record):
    """`name` against `reference`: the difference (positive: `name` is better) and its test.

    `dimension` None is the mean over the judged dimensions. `p` is exact McNemar where two single
    runs are compared by accuracy in one dimension, paired bootstrap else; `p_corrected` is
    Holm's, over the entrants compared with the reference in that respect.
    """

    name: str
    reference: str
    scope: Scope
    measure: Measure
    dimension: str | None
    difference: Figure
    test: Literal["mcnemar", "bootstrap"]
    only_name: int | None = None
    only_reference: int | None = None
    p: float
    p_corrected: float
    significant: bool


class Comparison(Record):
    """Everything `triora compare` says."""

    version: Literal[1] = 1
    reference: str
    digest: str
    rows: int
    standings: tuple[Standing, ...]
    contrasts: tuple[Contrast, ...]
    # Every pair of a sweep's variants, by average accuracy; empty elsewhere.
    between: tuple[Contrast, ...] = ()

    def of(self, scope: Scope) -> list[Standing]:
        """The entrants in a scope, the best average accuracy first."""
        found = [s for s in self.standings if s.scope == scope]
        return sorted(found, key=lambda s: -(s.accuracy.value or 0.0))

    def contrast(
        self, name: str, scope: Scope, measure: Measure = "accuracy", dimension: str | None = None
    ) -> Contrast | None:
        """One test; None for the reference itself."""
        wanted = (name, scope, measure, dimension)
        return next(
            (c for c in self.contrasts if (c.name, c.scope, c.measure, c.dimension) == wanted), None
        )


# The plain figure, or one a resample.
PLAIN, DRAWN = 0, 1


@dataclass
class _Entrant:
    """The seeds of one name over the reports of one scope.

    `seeds` and `counts` have an entry a seed: dimension -> arrays, and dimension -> confusions,
    plain and drawn.
    """

    runs: list[Run]
    seeds: list[dict[str, Arrays]]
    n: int
    weights: Ints
    counts: list[dict[str, tuple[Ints, Ints]]]

    @property
    def judged(self) -> list[str]:
        """The dimensions an average is taken over."""
        return [d for d in self.runs[0].judged if d in self.seeds[0]]

    def values(self, measure: Measure, dimension: str | None, which: int) -> list[Floats]:
        """The measure of each seed, a mean over the judged dimensions without `dimension`."""
        names = [dimension] if dimension else self.judged
        return [
            np.asarray(np.mean([MEASURES[measure](counts[d][which]) for d in names], axis=0))
            for counts in self.counts
        ]

    def mean(self, measure: Measure, dimension: str | None, which: int) -> Floats:
        """The mean of `values` over seeds."""
        return np.asarray(np.mean(self.values(measure, dimension, which), axis=0))

    def figure(self, measure: Measure, dimension: str | None = None) -> Figure:
        """Plain value and interval."""
        return figure(
            self.mean(measure, dimension, PLAIN),
            self.mean(measure, dimension, DRAWN),
            len(self.seeds[0][dimension].rows) if dimension else self.n,
        )

    def pooled(self, measure: Callable[[Floats, metrics.Bools, Ints], Floats]) -> Figure:
        """A measure of confidence over all judged answers, averaged over seeds."""
        judged = self.judged
        rows = np.concatenate([self.seeds[0][d].rows for d in judged])
        both = []
        for weights in (metrics.ones(self.n), self.weights):
            values = [
                measure(
                    np.concatenate([seed[d].confidence for d in judged]),
                    np.concatenate([seed[d].correct for d in judged]),
                    weights[:, rows],
                )
                for seed in self.seeds
            ]
            both.append(np.asarray(np.mean(values, axis=0)))
        return figure(both[0], both[1], len(rows))


def compare(
    saved: Sequence[Saved], reference: str | None = None, resamples: int = metrics.RESAMPLES
) -> Comparison:
    """Compare runs over the same data; `reference` names the one the others are tested against.

    Without it the first run's name is the reference. ConfigProblem if the runs do not fit.
    """
    groups = _groups(saved)
    reference = reference or next(iter(groups))
    if reference not in groups:
        raise ConfigProblem(f"no run is called {reference!r}: there are {', '.join(groups)}")
    first = saved[0][0]
    standings: list[Standing] = []
    contrasts: list[Contrast] = []
    scopes: tuple[Scope, ...] = ("bugs", "all")
    for scope in scopes:
        entrants = {
            name: entrant
            for name, runs in groups.items()
            if (entrant := _entrant(runs, scope, resamples)) is not None
        }
        standings += [_standing(name, e, scope) for name, e in entrants.items()]
        if reference in entrants:
            contrasts += _contrasts(entrants, reference, scope)
    return Comparison(
        reference=reference,
        digest=first.digest,
        rows=first.rows,
        standings=tuple(standings),
        contrasts=tuple(contrasts),
    )


def between(saved: Sequence[Saved], resamples: int = metrics.RESAMPLES) -> tuple[Contrast, ...]:
    """Every pair of entrants by average accuracy, corrected for the number of pairs in a scope.

    At least as many resamples as a corrected p of 0.01 needs, whatever `resamples` says.
    """
    groups = _groups(saved)
    resamples = max(resamples, 200 * math.comb(len(groups), 2))
    scopes: tuple[Scope, ...] = ("bugs", "all")
    found: list[Contrast] = []
    for scope in scopes:
        entrants = {
            name: entrant
            for name, runs in groups.items()
            if (entrant := _entrant(runs, scope, resamples)) is not None
        }
        tested = [
            _contrast(name, entrant, other, base, scope, "accuracy", None)
            for (other, base), (name, entrant) in itertools.combinations(entrants.items(), 2)
        ]
        for one, p in zip(tested, holm([c.p for c in tested]), strict=True):
            found.append(one.model_copy(update={"p_corrected": p, "significant": p < LEVEL}))
    return tuple(found)


def _groups(saved: Sequence[Saved]) -> dict[str, list[Saved]]:
    if not saved:
        raise ConfigProblem("there is no run to compare")
    first = saved[0][0]
    groups: dict[str, list[Saved]] = {}
    for run, predictions in saved:
        if run.digest != first.digest or run.vocabulary != first.vocabulary:
            raise ConfigProblem(
                f"{run.name} was evaluated on other data or labels than {first.name}: "
                "only runs over the same reports can be compared"
            )
        groups.setdefault(run.name, []).append((run, predictions))
    return groups


def _entrant(runs: Sequence[Saved], scope: Scope, resamples: int) -> _Entrant | None:
    seeds = []
    n = 0
    for run, predictions in runs:
        # The order of a file is no part of a run; the reports have to line up.
        rows = sorted((p for p in predictions if scope == "all" or p.bug), key=lambda p: p.id)
        n = len(rows)
        arrays = {d: Arrays(rows, d, run.vocabulary[d]) for d in dimensions_of(run, scope)}
        seeds.append({d: a for d, a in arrays.items() if len(a.rows)})
    if not any(d in seeds[0] for d in runs[0][0].judged):
        return None
    weights = metrics.resample(n, resamples)
    counts = [
        {d: _confusions(a, len(runs[0][0].vocabulary[d]), weights) for d, a in seed.items()}
        for seed in seeds
    ]
    return _Entrant([run for run, _ in runs], seeds, n, weights, counts)


def _confusions(arrays: Arrays, k: int, weights: Ints) -> tuple[Ints, Ints]:
    return (
        metrics.confusion(arrays.truth, arrays.predicted, k),
        metrics.confusion(arrays.truth, arrays.predicted, k, weights[:, arrays.rows]),
    )


def _standing(name: str, entrant: _Entrant, scope: Scope) -> Standing:
    run = entrant.runs[0]
    each = [float(value[0]) for value in entrant.values("accuracy", None, PLAIN)]
    return Standing(
        name=name,
        model=run.model,
        family=run.family,
        scope=scope,
        seeds=len(entrant.seeds),
        n=entrant.n,
        accuracy=entrant.figure("accuracy"),
        macro_f1=entrant.figure("macro_f1"),
        dimensions={d: entrant.figure("accuracy", d) for d in entrant.seeds[0]},
        calibration_error=entrant.pooled(metrics.calibration_error),
        precision_at_60=entrant.pooled(
            lambda c, right, w: metrics.coverage_curve(c, right, w).precision_at(0.60)
        ),
        coverage_at_95=entrant.pooled(
            lambda c, right, w: metrics.coverage_curve(c, right, w).coverage_at(0.95)
        ),
        seed_spread=float(np.std(each, ddof=1)) if len(each) > 1 else None,
        training_rows=run.training.rows if run.training else None,
        provenance=run.training.provenance if run.training else None,
        settings=run.settings,
    )


def _contrasts(entrants: dict[str, _Entrant], reference: str, scope: Scope) -> list[Contrast]:
    base = entrants[reference]
    others = [name for name in entrants if name != reference]
    questions: list[tuple[Measure, str | None]] = [("accuracy", None), ("macro_f1", None)]
    questions += [("accuracy", dimension) for dimension in base.judged]
    found: list[Contrast] = []
    for measure, dimension in questions:
        tested = [
            _contrast(name, entrants[name], reference, base, scope, measure, dimension)
            for name in others
        ]
        for one, p in zip(tested, holm([c.p for c in tested]), strict=True):
            found.append(one.model_copy(update={"p_corrected": p, "significant": p < LEVEL}))
    return found


def _contrast(
    name: str,
    entrant: _Entrant,
    reference: str,
    base: _Entrant,
    scope: Scope,
    measure: Measure,
    dimension: str | None,
) -> Contrast:
    plain, drawn = (
        entrant.mean(measure, dimension, which) - base.mean(measure, dimension, which)
        for which in (PLAIN, DRAWN)
    )
    n = len(entrant.seeds[0][dimension].rows) if dimension else entrant.n
    found = Contrast(
        name=name,
        reference=reference,
        scope=scope,
        measure=measure,
        dimension=dimension,
        difference=figure(plain, drawn, n),
        test="bootstrap",
        p=bootstrap_p(drawn),
        p_corrected=1.0,
        significant=False,
    )
    if dimension and measure == "accuracy" and len(entrant.seeds) == len(base.seeds) == 1:
        only_name, only_reference, p = mcnemar(
            entrant.seeds[0][dimension].correct, base.seeds[0][dimension].correct
        )
        update = {
            "test": "mcnemar",
            "only_name": only_name,
            "only_reference": only_reference,
            "p": p,
        }
        return found.model_copy(update=update)
    return found
