"""Paired tests: is one model better than another on the same reports, or was it chance?"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from training.metrics import Floats

LEVEL = 0.05


def mcnemar(one: npt.NDArray[np.bool_], other: npt.NDArray[np.bool_]) -> tuple[int, int, float]:
    """Exact McNemar test of two arrays "was right" over the same reports.

    Returns how many only `one` got right, how many only `other`, and the two-sided p.
    """
    from scipy.stats import binomtest  # noqa: PLC0415 - slow to import

    only_one, only_other = int((one & ~other).sum()), int((other & ~one).sum())
    differ = only_one + only_other
    p = float(binomtest(only_one, differ, 0.5).pvalue) if differ else 1.0
    return only_one, only_other, p


def bootstrap_p(differences: Floats) -> float:
    """Two-sided p of paired bootstrap differences: how often the sign is the other one.

    Never 0: with b resamples nothing below 2 / (b + 1) can be told.
    """
    known = differences[~np.isnan(differences)]
    if len(known) == 0:
        return 1.0
    tail = min(int((known <= 0).sum()), int((known >= 0).sum()))
    return min(1.0, 2 * (tail + 1) / (len(known) + 1))


def holm(ps: Sequence[float]) -> list[float]:
    """p values corrected for having made len(ps) comparisons (Holm 1979), in the same order."""
    corrected = [0.0] * len(ps)
    highest = 0.0
    for rank, index in enumerate(sorted(range(len(ps)), key=lambda i: ps[i])):
        highest = max(highest, min(1.0, ps[index] * (len(ps) - rank)))
        corrected[index] = highest
    return corrected


def paired(differences: npt.NDArray[np.int64]) -> float:
    """Two-sided p of the exact paired permutation test (Fisher 1935) of whole differences.

    One difference a report: how many more of its questions one model got right than the other. If
    the models were alike, every difference might as well have the other sign; all 2^n sign changes
    are counted. With one question a report this is McNemar's exact test.
    """
    moved = np.abs(differences[differences != 0])
    if len(moved) == 0:
        return 1.0
    # chance[s + total] is the chance that the sum of randomly signed differences is s.
    chance = np.ones(1)
    for size in moved:
        step = np.zeros(2 * int(size) + 1)
        step[0] = step[-1] = 0.5
        chance = np.convolve(chance, step)
    total = len(chance) // 2
    tail = chance[total + abs(int(differences.sum())) :].sum()
    return float(min(1.0, 2 * tail))
