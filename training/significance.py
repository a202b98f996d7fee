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
