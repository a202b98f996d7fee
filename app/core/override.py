"""Is a new model version overridden more often than the one before? Exact, and decided once."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import accumulate
from math import comb


@dataclass(frozen=True)
class Tally:
    """Labels a version wrote, and how many of them people changed afterwards."""

    written: int = 0
    changed: int = 0

    @property
    def rate(self) -> float:
        """Share of written labels that people changed; 0 of none."""
        return self.changed / self.written if self.written else 0.0

    def __add__(self, other: Tally) -> Tally:
        return Tally(self.written + other.written, self.changed + other.changed)


@dataclass(frozen=True)
class Finding:
    """The new version is worse: `p` is below the `level` that this look was allowed."""

    new: Tally
    old: Tally
    p: float
    level: float


def chance(new: Tally, old: Tally) -> float:
    """Probability of at least `new.changed` changes there, were both versions equally good.

    Fisher's exact test, one-sided: the hypergeometric distribution of the changes over all written
    labels of both.
    """
    written, changed = new.written + old.written, new.changed + old.changed
    ways = sum(
        comb(changed, k) * comb(written - changed, new.written - k)
        for k in range(new.changed, min(new.written, changed) + 1)
    )
    return ways / comb(written, new.written)


def worse(new: Sequence[Tally], old: Tally, *, least: int, level: float) -> Finding | None:
    """The first look at which the new version is significantly worse; None if there is none.

    new: one tally an issue, oldest first. A look is at the first issues that hold `least` written
    labels, then twice as many, and so on; each gets half of the level of the one before, so that
    all of them together err with a probability of at most `level`, however often this is asked.
    Changes only add up over time, so asking again about the same issues is no further look.
    """
    if old.written < least or level <= 0:
        return None
    for look, tally in enumerate(_looks(new, least), start=1):
        allowed = level / 2**look
        p = chance(tally, old)
        if tally.rate > old.rate and p < allowed:
            return Finding(tally, old, p, allowed)
    return None


def _looks(tallies: Sequence[Tally], least: int) -> Iterator[Tally]:
    wanted = least
    for total in accumulate(tallies):
        if total.written >= wanted:
            yield total
            while wanted <= total.written:
                wanted *= 2
