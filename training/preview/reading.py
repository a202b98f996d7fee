"""What the serving model makes of issues, for the learners: hidden states and scores."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import numpy as np

from app.core.taxonomy import Taxonomy
from training import baselines
from training.example import Example
from training.preview.learners import Matter

if TYPE_CHECKING:
    from worker.model.scorer import Scorer

CHUNK = 32


def words_only(examples: Sequence[Example]) -> Matter:
    """What words alone say."""
    return Matter([baselines.parts_of(example.text) for example in examples])


class ModelReader:
    """Reads each issue once, however often it is asked for; `progress` hears of each."""

    def __init__(
        self, scorer: Scorer, taxonomy: Taxonomy, progress: Callable[[], None] = lambda: None
    ) -> None:
        self._scorer = scorer
        self._taxonomy = taxonomy
        self._progress = progress
        self._read: dict[str, tuple[np.ndarray, list[float]]] = {}
        self._columns = {
            column: place
            for place, column in enumerate(
                (d, label) for d, labels in taxonomy.vocabulary.items() for label in labels
            )
        }

    def __call__(self, examples: Sequence[Example]) -> Matter:
        """The matter of these issues, in order."""
        new = [e for e in examples if e.id not in self._read]
        for start in range(0, len(new), CHUNK):
            self._take(new[start : start + CHUNK])
        found = [self._read[e.id] for e in examples]
        wide = found[0][0].shape[0] if found else 0
        vectors = np.array([vector for vector, _ in found]).reshape(len(found), wide)
        scores = np.array([row for _, row in found]).reshape(len(found), len(self._columns))
        words = [baselines.parts_of(example.text) for example in examples]
        return Matter(words, vectors, scores, self._columns)

    def _take(self, examples: Sequence[Example]) -> None:
        read = self._scorer.impressions([e.text for e in examples], self._taxonomy)
        for example, impression in zip(examples, read, strict=True):
            scores = [
                float(np.log(max(impression.scores[d][label], 1e-6))) for d, label in self._columns
            ]
            self._read[example.id] = (impression.vector.astype(np.float64), scores)
            self._progress()
