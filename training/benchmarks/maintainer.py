"""A maintainer for simulations: looks at some reports, says what is right, and errs at times."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from app.core.taxonomy import Taxonomy


@dataclass
class Maintainer:
    """reviewed: share of reports looked at; errors: share of corrections that name a wrong label;
    closed: share of looked-at reports that are then closed, which confirms what was let stand.

    Equal seeds look at the same reports and err in the same places.
    """

    reviewed: float = 1.0
    errors: float = 0.0
    closed: float = 0.0
    seed: int = 0
    corrections: int = 0
    wrong: int = 0
    _chance: np.random.Generator = field(init=False)

    def __post_init__(self) -> None:
        self._chance = np.random.default_rng(self.seed)

    def looks(self) -> bool:
        """Whether the next report is looked at."""
        return bool(self._chance.random() < self.reviewed)

    def closes(self) -> bool:
        """Whether the report that was looked at is closed as dealt with."""
        return bool(self._chance.random() < self.closed)

    def corrects(
        self, said: Mapping[str, str | None], truth: Mapping[str, str], taxonomy: Taxonomy
    ) -> dict[str, str]:
        """Dimension -> label to be put there, where what the bot `said` is not the truth."""
        found = {
            name: self._name(truth[name], taxonomy[name].names)
            for name in said
            if name in truth and said[name] != truth[name]
        }
        self.corrections += len(found)
        self.wrong += sum(label != truth[name] for name, label in found.items())
        return found

    def _name(self, true: str, names: Sequence[str]) -> str:
        if self._chance.random() >= self.errors:
            return true
        return str(self._chance.choice([name for name in names if name != true]))
