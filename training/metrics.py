"""Measures of probabilities against truth: pure functions over NumPy arrays.

Shapes: n reports, k labels of one dimension, b bootstrap resamples. `truth` and `predicted` are
label indices (n,); `probabilities` is (n, k) with rows that sum to 1. A resample is a row of
weights (b, n): how often each report was drawn. Everything that takes `weights` returns one value
a resample, so one set of weights for several models or dimensions keeps them paired.

Macro-F1 is scikit-learn's: the mean of F1 over the classes that occur in truth or predictions.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]

RESAMPLES = 2000
BINS = 10
LEVEL = 0.95


@dataclass(frozen=True)
class Reliability:
    """One bin of a reliability curve: reports whose confidence lies in (low, high]."""

    low: float
    high: float
    n: int
    confidence: float
    accuracy: float


def resample(n: int, resamples: int = RESAMPLES, seed: int = 0) -> Ints:
    """Bootstrap weights (resamples, n); each row sums to n. Equal arguments, equal weights."""
    chance = np.random.default_rng(seed)
    return chance.multinomial(n, np.full(n, 1 / n), size=resamples).astype(np.int64)


def ones(n: int) -> Ints:
    """Weights (1, n) that draw every report once: the plain, unresampled figure."""
    return np.ones((1, n), dtype=np.int64)


def confusion(truth: Ints, predicted: Ints, k: int, weights: Ints | None = None) -> Ints:
    """Counts (b, k, k): truth in rows, predictions in columns."""
    weights = ones(len(truth)) if weights is None else weights
    cell = np.zeros((len(truth), k * k), dtype=np.int64)
    cell[np.arange(len(truth)), truth * k + predicted] = 1
    # Whole numbers far below 2**53: floats are exact here, and multiply ten times as fast.
    counts = weights.astype(np.float64) @ cell.astype(np.float64)
    return counts.astype(np.int64).reshape(-1, k, k)


def accuracy(counts: Ints) -> Floats:
    """Share on the diagonal of confusions (b, k, k): (b,)."""
    return _ratio(np.trace(counts, axis1=1, axis2=2), counts.sum(axis=(1, 2)))


def precision(counts: Ints) -> Floats:
    """Per class (b, k); NaN for a class never predicted."""
    return _ratio(np.diagonal(counts, axis1=1, axis2=2), counts.sum(axis=1))


def recall(counts: Ints) -> Floats:
    """Per class (b, k); NaN for a class that never occurs."""
    return _ratio(np.diagonal(counts, axis1=1, axis2=2), counts.sum(axis=2))


def f1(counts: Ints) -> Floats:
    """Per class (b, k); NaN for a class neither true nor predicted, 0 for one always missed."""
    hits = np.diagonal(counts, axis1=1, axis2=2)
    return _ratio(2 * hits, counts.sum(axis=1) + counts.sum(axis=2))


def macro_f1(counts: Ints) -> Floats:
    """Mean F1 over the classes that occur in truth or predictions: (b,)."""
    scores = f1(counts)
    occurs = ~np.isnan(scores)
    return _ratio(np.where(occurs, scores, 0.0).sum(axis=1), occurs.sum(axis=1))


def calibration_error(confidence: Floats, correct: Bools, weights: Ints | None = None) -> Floats:
    """Expected calibration error (Guo et al. 2017) of the top label, 10 equal-width bins: (b,)."""
    weights = ones(len(confidence)) if weights is None else weights
    where = np.zeros((len(confidence), BINS))
    where[np.arange(len(confidence)), _bin(confidence)] = 1
    gap = weights @ (where * (confidence - correct)[:, None])
    return _ratio(np.abs(gap).sum(axis=1), weights.sum(axis=1))


def reliability(confidence: Floats, correct: Bools) -> list[Reliability]:
    """The bins of `calibration_error` that hold a report."""
    bins = _bin(confidence)
    return [
        Reliability(
            low=b / BINS,
            high=(b + 1) / BINS,
            n=int(inside.sum()),
            confidence=float(confidence[inside].mean()),
            accuracy=float(correct[inside].mean()),
        )
        for b in range(BINS)
        if (inside := bins == b).any()
    ]


def log_loss(truth: Ints, probabilities: Floats) -> float:
    """Mean negative log-likelihood of the truth, in nats; probabilities are cut at 1e-12."""
    if len(truth) == 0:
        return float("nan")
    picked = probabilities[np.arange(len(truth)), truth]
    return float(-np.log(np.maximum(picked, 1e-12)).mean())


@dataclass(frozen=True)
class Curve:
    """Precision against coverage: answer only the reports above a confidence, for every cut.

    Arrays over the m distinct confidences, highest first; `coverage` and `precision` are (b, m).
    Reports of equal confidence are answered together: no order among them is made up.
    """

    threshold: Floats
    coverage: Floats
    precision: Floats

    def coverage_at(self, target: float) -> Floats:
        """Largest coverage whose precision reaches `target`, 0 if none does: (b,)."""
        reached = np.where(self.precision >= target - 1e-12, self.coverage, 0.0)
        return np.asarray(reached.max(axis=1, initial=0.0))

    def precision_at(self, target: float) -> Floats:
        """Precision at the first cut that covers at least `target`: (b,)."""
        if self.coverage.shape[1] == 0:
            return np.full(len(self.coverage), np.nan)
        cut = (self.coverage >= target - 1e-12).argmax(axis=1)
        return np.asarray(self.precision[np.arange(len(cut)), cut])


def coverage_curve(confidence: Floats, correct: Bools, weights: Ints | None = None) -> Curve:
    """The curve for one set of answers, or one a resample."""
    weights = ones(len(confidence)) if weights is None else weights
    order = np.argsort(-confidence, kind="stable")
    ranked = confidence[order]
    ends = np.flatnonzero(np.append(ranked[1:] != ranked[:-1], [True] * min(1, len(ranked))))
    drawn = weights[:, order]
    answered = np.cumsum(drawn, axis=1)[:, ends]
    right = np.cumsum(drawn * correct[order], axis=1)[:, ends]
    total = weights.sum(axis=1, keepdims=True)
    return Curve(ranked[ends], _ratio(answered, total), _ratio(right, answered))


def interval(values: Floats, level: float = LEVEL) -> tuple[float, float]:
    """Percentile bootstrap interval over resamples; resamples without a value do not count."""
    known = values[~np.isnan(values)]
    if len(known) == 0:
        return float("nan"), float("nan")
    low, high = np.quantile(known, [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)


def wilson(hits: int, n: int, level: float = LEVEL) -> tuple[float, float]:
    """Wilson score interval of a share; (NaN, NaN) without trials."""
    if n == 0:
        return float("nan"), float("nan")
    from scipy.stats import binomtest  # noqa: PLC0415 - slow to import

    found = binomtest(hits, n).proportion_ci(confidence_level=level, method="wilson")
    return float(found.low), float(found.high)


def _bin(confidence: Floats) -> Ints:
    # (low, high]: a confidence of exactly 0.9 belongs with those below it, 0 with the first.
    upper = np.ceil(confidence * BINS - 1e-9).astype(np.int64)
    bins: Ints = np.clip(upper - 1, 0, BINS - 1)
    return bins


def _ratio(above: Any, below: Any) -> Floats:
    shape = np.broadcast_shapes(np.shape(above), np.shape(below))
    found: Floats = np.full(shape, np.nan)
    np.divide(above, below, out=found, where=np.broadcast_to(np.asarray(below) != 0, shape))
    return found
