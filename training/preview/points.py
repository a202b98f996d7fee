"""From answers to figures: precision and coverage at thresholds, and thresholds for a precision."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from training.figures import Figure
from training.metrics import Floats, wilson
from training.preview.figures import Point, Verdict
from training.preview.learners import NOTHING

GRID = (0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95)
TARGET = 0.9


@dataclass(frozen=True)
class Said:
    """One answer: its index among the real answers, its probability, and what people said."""

    label: int
    p: float
    verdict: Verdict


def share(hits: int, n: int) -> Figure:
    """A share with its Wilson interval; None without trials."""
    if n == 0:
        return Figure(value=None, low=None, high=None, n=0)
    low, high = wilson(hits, n)
    return Figure(value=hits / n, low=low, high=high, n=n)


def say(
    probabilities: Floats, answers: Sequence[str], truths: Sequence[frozenset[str] | None]
) -> list[Said]:
    """The likeliest real answer of each row. A truth of None is unknown (disputed, not triaged)."""
    real = [i for i, answer in enumerate(answers) if answer != NOTHING]
    found = []
    for row, truth in zip(probabilities[:, real], truths, strict=True):
        best = int(row.argmax())
        found.append(Said(best, float(row[best]), _verdict(answers[real[best]], truth)))
    return found


def _verdict(answer: str, truth: frozenset[str] | None) -> Verdict:
    if truth is None:
        return "unknown"
    if not truth:
        return "unlabelled"
    return "right" if answer in truth else "wrong"


def point(said: Sequence[Said], threshold: float, total: int) -> Point:
    """The figures of answering `said` from `threshold` on; `total` issues are all there are."""
    written = [s for s in said if s.p >= threshold]
    return tally(written, threshold, total)


def tally(written: Sequence[Said], threshold: float, total: int) -> Point:
    """The figures of these answers."""
    right = sum(s.verdict == "right" for s in written)
    unlabelled = sum(s.verdict == "unlabelled" for s in written)
    return Point(
        threshold=threshold,
        written=len(written),
        right=right,
        unlabelled=unlabelled,
        precision=share(right, len(written)),
        precision_labelled=share(right, len(written) - unlabelled),
        coverage=share(len(written), total),
    )


def threshold(said: Sequence[Said], target: float) -> float | None:
    """The least probability from which answers of one label are right as often as `target`.

    Careful with few: (right + 1) / (written + 2) has to reach the target, so that 0.9 takes eight
    answers without a mistake. Rounded up to a tenth of a percent; None if no threshold does.
    """
    ranked = sorted(said, key=lambda s: -s.p)
    chances = np.array([s.p for s in ranked])
    right = np.cumsum([s.verdict == "right" for s in ranked]) if ranked else np.array([])
    best: float | None = None
    for n in range(1, len(ranked) + 1):
        if n < len(ranked) and chances[n] == chances[n - 1]:
            continue
        if (right[n - 1] + 1) / (n + 2) >= target - 1e-12:
            best = float(chances[n - 1])
    if best is None:
        return None
    # The rounding may pass the last answer and leave it out: that only adds care.
    return min(math.ceil(best * 1000 - 1e-9) / 1000, 1.0)
