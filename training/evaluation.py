"""Turns a run's predictions into figures, each with its sample size and interval.

Intervals are 95 % percentile bootstrap over reports (all dimensions of a report drawn together),
of shares per class Wilson's. `evaluate` is pure: equal predictions give an equal Evaluation.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from app.core.errors import BadRequest
from training import metrics
from training.figures import (
    Answers,
    Bin,
    ClassFigures,
    DimensionFigures,
    Evaluation,
    Figure,
    Mistake,
    Point,
    Scope,
    Slice,
)
from training.metrics import Floats, Ints
from training.predictions import Prediction, Run

PRECISION_TARGETS = (0.90, 0.95)
COVERAGE_TARGET = 0.60
MISTAKES = 40
CURVE_POINTS = 120


def evaluate(
    run: Run, predictions: Sequence[Prediction], resamples: int = metrics.RESAMPLES
) -> Evaluation:
    """The figures of a run.

    BadRequest if there is nothing to judge, or a truth or answer is not in the run's vocabulary.
    """
    _check(run, predictions)
    parts: list[tuple[Scope, str | None, bool, list[Prediction]]] = []
    bugs = [p for p in predictions if p.bug]
    scopes: list[tuple[Scope, list[Prediction]]] = [("bugs", bugs), ("all", list(predictions))]
    for scope, rows in scopes:
        parts.append((scope, None, False, rows))
    for scope, rows in scopes:
        if any(p.seen for p in rows):
            parts.append((scope, None, True, [p for p in rows if not p.seen]))
    for scope, rows in scopes:
        for repository in sorted({p.repository for p in rows}):
            parts.append(
                (scope, repository, False, [p for p in rows if p.repository == repository])
            )
    slices = [
        found
        for scope, repository, unseen, rows in parts
        if (found := _slice(run, rows, scope, repository, unseen, resamples)) is not None
    ]
    if not slices:
        raise BadRequest("no report has a label in a judged dimension: there is nothing to measure")
    return Evaluation(
        run=run, rows=len(predictions), slices=tuple(slices), mistakes=_mistakes(run, predictions)
    )


def _check(run: Run, predictions: Sequence[Prediction]) -> None:
    for prediction in predictions:
        for dimension, label in prediction.truth.items():
            if label not in run.vocabulary.get(dimension, ()):
                raise BadRequest(f"{prediction.id}: {dimension}/{label} is not in the taxonomy")
            if set(prediction.scores.get(dimension, ())) != set(run.vocabulary[dimension]):
                raise BadRequest(f"{prediction.id}: not every label of {dimension} has a score")


class Arrays:
    """The reports of a slice with a truth in one dimension, as arrays; `rows` are positions."""

    def __init__(
        self, predictions: Sequence[Prediction], dimension: str, labels: Sequence[str]
    ) -> None:
        self.rows: Ints = np.array(
            [i for i, p in enumerate(predictions) if dimension in p.truth], dtype=np.int64
        )
        known = [predictions[i] for i in self.rows]
        self.truth: Ints = np.array(
            [labels.index(p.truth[dimension]) for p in known], dtype=np.int64
        )
        self.probabilities: Floats = np.array(
            [[p.scores[dimension][label] for label in labels] for p in known], dtype=np.float64
        ).reshape(len(known), len(labels))
        self.predicted: Ints = (
            self.probabilities.argmax(axis=1) if len(known) else np.zeros(0, dtype=np.int64)
        )
        self.confidence: Floats = self.probabilities.max(axis=1, initial=0.0)
        self.correct = self.predicted == self.truth


def dimensions_of(run: Run, scope: Scope) -> list[str]:
    """The dimensions a scope is asked about: among bugs alone, the gate's has one answer."""
    gate = run.gate[0] if run.gate else None
    return [name for name in run.vocabulary if scope == "all" or name != gate]


def _slice(
    run: Run,
    rows: Sequence[Prediction],
    scope: Scope,
    repository: str | None,
    unseen: bool,
    resamples: int,
) -> Slice | None:
    weights = metrics.resample(len(rows), resamples) if rows else metrics.ones(0)
    every = {d: Arrays(rows, d, run.vocabulary[d]) for d in dimensions_of(run, scope)}
    arrays = {d: a for d, a in every.items() if len(a.rows)}
    judged = [arrays[d] for d in run.judged if d in arrays]
    if not judged:
        return None
    with_curve = repository is None
    counts = {
        d: [
            metrics.confusion(a.truth, a.predicted, len(run.vocabulary[d]), w)
            for w in (metrics.ones(len(a.rows)), weights[:, a.rows])
        ]
        for d, a in arrays.items()
    }
    means = [
        [
            np.mean([measure(counts[d][i]) for d in run.judged if d in counts], axis=0)
            for i in (0, 1)
        ]
        for measure in (metrics.accuracy, metrics.macro_f1)
    ]
    return Slice(
        scope=scope,
        repository=repository,
        unseen=unseen,
        n=len(rows),
        accuracy=figure(means[0][0], means[0][1], len(rows)),
        macro_f1=figure(means[1][0], means[1][1], len(rows)),
        answers=_answers(judged, weights, with_curve),
        dimensions=tuple(
            _dimension(d, run.vocabulary[d], a, counts[d], weights, with_curve)
            for d, a in arrays.items()
        ),
    )


def _dimension(
    name: str,
    labels: tuple[str, ...],
    arrays: Arrays,
    counts: Sequence[Ints],
    weights: Ints,
    with_curve: bool,
) -> DimensionFigures:
    plain, drawn = counts
    n = len(arrays.rows)
    loss = metrics.log_loss(arrays.truth, arrays.probabilities)
    return DimensionFigures(
        dimension=name,
        labels=labels,
        n=n,
        accuracy=figure(metrics.accuracy(plain), metrics.accuracy(drawn), n),
        macro_f1=figure(metrics.macro_f1(plain), metrics.macro_f1(drawn), n),
        log_loss=_known(loss),
        classes=_classes(labels, plain[0], metrics.f1(plain), metrics.f1(drawn)),
        confusion=tuple(tuple(int(x) for x in row) for row in plain[0]),
        answers=_answers([arrays], weights, with_curve),
    )


def _classes(
    labels: Sequence[str], counts: Ints, plain: Floats, drawn: Floats
) -> tuple[ClassFigures, ...]:
    found = []
    for i, label in enumerate(labels):
        hits, true, said = int(counts[i, i]), int(counts[i].sum()), int(counts[:, i].sum())
        found.append(
            ClassFigures(
                label=label,
                true=true,
                predicted=said,
                precision=share(hits, said),
                recall=share(hits, true),
                f1=figure(plain[:, i], drawn[:, i], true),
            )
        )
    return tuple(found)


def _answers(parts: Sequence[Arrays], weights: Ints, with_curve: bool) -> Answers:
    """Pools the answers of several dimensions; one report's are drawn together."""
    rows = np.concatenate([a.rows for a in parts])
    confidence = np.concatenate([a.confidence for a in parts])
    correct = np.concatenate([a.correct for a in parts])
    n, drawn = len(rows), weights[:, rows]
    plain = metrics.coverage_curve(confidence, correct)
    many = metrics.coverage_curve(confidence, correct, drawn)
    low, high = PRECISION_TARGETS
    return Answers(
        n=n,
        calibration_error=figure(
            metrics.calibration_error(confidence, correct),
            metrics.calibration_error(confidence, correct, drawn),
            n,
        ),
        coverage_at_90=figure(plain.coverage_at(low), many.coverage_at(low), n),
        coverage_at_95=figure(plain.coverage_at(high), many.coverage_at(high), n),
        precision_at_60=figure(
            plain.precision_at(COVERAGE_TARGET), many.precision_at(COVERAGE_TARGET), n
        ),
        reliability=tuple(
            Bin(
                low=b.low,
                high=b.high,
                n=b.n,
                confidence=b.confidence,
                accuracy=share(round(b.accuracy * b.n), b.n),
            )
            for b in metrics.reliability(confidence, correct)
        )
        if with_curve
        else (),
        curve=_points(plain) if with_curve else (),
    )


def _points(curve: metrics.Curve) -> tuple[Point, ...]:
    m = len(curve.threshold)
    kept = sorted({round(i) for i in np.linspace(0, m - 1, min(m, CURVE_POINTS))})
    return tuple(
        Point(
            threshold=float(curve.threshold[i]),
            coverage=float(curve.coverage[0, i]),
            precision=float(curve.precision[0, i]),
        )
        for i in kept
    )


def _mistakes(run: Run, predictions: Sequence[Prediction]) -> tuple[Mistake, ...]:
    wrong = []
    for p in predictions:
        for dimension in run.judged:
            if dimension not in p.truth:
                continue
            said, confidence = max(p.scores[dimension].items(), key=lambda item: item[1])
            if said != p.truth[dimension]:
                wrong.append(
                    Mistake(
                        id=p.id,
                        repository=p.repository,
                        title=p.title,
                        bug=p.bug,
                        dimension=dimension,
                        truth=p.truth[dimension],
                        predicted=said,
                        confidence=confidence,
                    )
                )
    # Bugs first: the figures that count are theirs.
    wrong.sort(key=lambda m: (not m.bug, -m.confidence, m.id))
    return tuple(wrong[:MISTAKES])


def share(hits: int, n: int) -> Figure:
    """hits / n with its Wilson interval."""
    low, high = metrics.wilson(hits, n)
    return Figure(value=hits / n if n else None, low=_known(low), high=_known(high), n=n)


def figure(plain: Floats, drawn: Floats, n: int) -> Figure:
    """The value (the only entry of `plain`) with the interval of its resamples `drawn`."""
    low, high = metrics.interval(drawn)
    return Figure(value=_known(float(plain[0])), low=_known(low), high=_known(high), n=n)


def _known(value: float) -> float | None:
    return None if np.isnan(value) else float(value)
