"""Calibrated probabilities for every label of every dimension, in one pass and without answers."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import structlog
import torch
from transformers import PreTrainedModel

from app.core.decision import Thresholds
from app.core.manifest import Calibration
from app.core.taxonomy import Taxonomy
from app.core.text import IssueText
from worker.model.calibration import content_free, probabilities
from worker.model.encoding import KEPT_FORMS, Encoder
from worker.model.passes import Row, Seen, run

log = structlog.get_logger()

NOTHING = IssueText(title="")

Vectors = npt.NDArray[np.float16]


@dataclass(frozen=True, slots=True)
class Impression:
    """What the model makes of a text. `vector`: hidden state [width] for a memory to compare by."""

    scores: dict[str, dict[str, float]]
    vector: Vectors


class Scorer:
    """Scores issues against any taxonomy.

    `calibration` (from a manifest) holds for dimensions with exactly its labels; other dimensions
    are calibrated by the model's own leaning on an empty report. `vocabulary`: what the adapter was
    trained for; a dimension that is not in it is told of once. `adapter`: the one to go through
    on a model that holds several. Not thread-safe: one a process.
    """

    def __init__(
        self,
        model: PreTrainedModel,
        encoder: Encoder,
        *,
        version: str,
        thresholds: Thresholds,
        calibration: Mapping[str, Calibration] | None = None,
        vocabulary: Mapping[str, tuple[str, ...]] | None = None,
        batch_tokens: int = 4096,
        adapter: str | None = None,
    ) -> None:
        self.version = version
        self.thresholds = thresholds
        self.model = model
        self.batch_tokens = batch_tokens
        self.adapter = adapter
        self.encoder = encoder
        self._calibration = dict(calibration or {})
        self._vocabulary = dict(vocabulary or {})
        self._fitted: OrderedDict[str, dict[str, Calibration]] = OrderedDict()

    def score(
        self, texts: Sequence[IssueText], taxonomy: Taxonomy
    ) -> list[dict[str, dict[str, float]]]:
        """Dimension -> label -> probability, one a text, in order; each dimension sums to 1.

        A text's result does not depend on its neighbours. ConfigProblem when the taxonomy has
        more labels than the model can tell apart.
        """
        return [impression.scores for impression in self.impressions(texts, taxonomy)]

    def impressions(self, texts: Sequence[IssueText], taxonomy: Taxonomy) -> list[Impression]:
        """Scores as in `score`, and the vector of each text, out of the same pass."""
        return self.read(run(self.model, self.rows(texts, taxonomy), self.batch_tokens), taxonomy)

    def rows(self, texts: Sequence[IssueText], taxonomy: Taxonomy) -> list[Row]:
        """The rows to be run for `texts`; a caller may run them among rows of other scorers."""
        form = self.encoder.form(taxonomy)
        return [Row(prompt, form, self.adapter) for prompt in self.encoder.encode(texts, taxonomy)]

    def read(self, seen: Sequence[Seen], taxonomy: Taxonomy) -> list[Impression]:
        """What became of this scorer's `rows`, in order, calibrated."""
        if not seen:
            return []
        calibration = self._calibration_of(taxonomy)
        found: list[dict[str, dict[str, float]]] = [{} for _ in seen]
        for dimension in taxonomy.dimensions:
            scores = torch.stack([one.scores[dimension.name] for one in seen])
            chances = probabilities(scores, dimension.names, calibration[dimension.name])
            for row, values in enumerate(chances.tolist()):
                found[row][dimension.name] = dict(zip(dimension.names, values, strict=True))
        return [Impression(row, one.vector) for row, one in zip(found, seen, strict=True)]

    def logits(self, texts: Sequence[IssueText], taxonomy: Taxonomy) -> dict[str, torch.Tensor]:
        """Dimension -> uncalibrated float32 scores [texts, labels] on the CPU."""
        seen = run(self.model, self.rows(texts, taxonomy), self.batch_tokens)
        return {
            d.name: torch.stack([one.scores[d.name] for one in seen])
            if seen
            else torch.empty(0, len(d.names))
            for d in taxonomy.dimensions
        }

    def _calibration_of(self, taxonomy: Taxonomy) -> dict[str, Calibration]:
        if taxonomy.digest not in self._fitted:
            self._fitted[taxonomy.digest] = self._fit(taxonomy)
        self._fitted.move_to_end(taxonomy.digest)
        while len(self._fitted) > KEPT_FORMS:
            self._fitted.popitem(last=False)
        return self._fitted[taxonomy.digest]

    def _fit(self, taxonomy: Taxonomy) -> dict[str, Calibration]:
        given = {
            d.name: self._calibration[d.name]
            for d in taxonomy.dimensions
            if d.name in self._calibration and set(self._calibration[d.name].bias) == set(d.names)
        }
        if len(given) == len(taxonomy.dimensions):
            return given
        self._tell_what_is_new(taxonomy)
        empty = self.logits([NOTHING], taxonomy)
        return {
            d.name: given.get(d.name) or content_free(empty[d.name][0], d.names)
            for d in taxonomy.dimensions
        }

    def _tell_what_is_new(self, taxonomy: Taxonomy) -> None:
        new = [
            d.name
            for d in taxonomy.dimensions
            if self._vocabulary and set(self._vocabulary.get(d.name, ())) != set(d.names)
        ]
        if new:
            log.warning("taxonomy.unfamiliar", version=self.version, dimensions=new)
