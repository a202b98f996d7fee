"""Calibrated probabilities for every label of every dimension, in one pass and without answers."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from transformers import PreTrainedModel

from app.core.decision import Thresholds
from app.core.manifest import Calibration
from app.core.taxonomy import Taxonomy
from app.core.text import IssueText
from worker.model.calibration import content_free, probabilities
from worker.model.encoding import KEPT_FORMS, Encoder, batches
from worker.model.slots import one_pass

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
    are calibrated by the model's own leaning on an empty report. Not thread-safe: one a process.
    """

    def __init__(
        self,
        model: PreTrainedModel,
        encoder: Encoder,
        *,
        version: str,
        thresholds: Thresholds,
        calibration: Mapping[str, Calibration] | None = None,
        batch_tokens: int = 4096,
    ) -> None:
        self.version = version
        self.thresholds = thresholds
        self._model = model
        self._encoder = encoder
        self._calibration = dict(calibration or {})
        self._batch_tokens = batch_tokens
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
        if not texts:
            return []
        calibration = self._calibration_of(taxonomy)
        scores, vectors = self._passes(texts, taxonomy)
        found: list[dict[str, dict[str, float]]] = [{} for _ in texts]
        for dimension in taxonomy.dimensions:
            chances = probabilities(
                scores[dimension.name], dimension.names, calibration[dimension.name]
            )
            for row, values in enumerate(chances.tolist()):
                found[row][dimension.name] = dict(zip(dimension.names, values, strict=True))
        return [Impression(row, vector) for row, vector in zip(found, vectors, strict=True)]

    def logits(self, texts: Sequence[IssueText], taxonomy: Taxonomy) -> dict[str, torch.Tensor]:
        """Dimension -> uncalibrated float32 scores [texts, labels] on the CPU."""
        return self._passes(texts, taxonomy)[0]

    def _passes(
        self, texts: Sequence[IssueText], taxonomy: Taxonomy
    ) -> tuple[dict[str, torch.Tensor], Vectors]:
        form = self._encoder.form(taxonomy)
        prompts = self._encoder.encode(texts, taxonomy)
        found = {q.dimension: torch.empty(len(texts), len(q.labels)) for q in form.questions}
        vectors = np.empty((len(texts), self._model.config.hidden_size), dtype=np.float16)
        with torch.inference_mode():
            for batch in batches(prompts, self._batch_tokens):
                scores, means = one_pass(self._model, batch, form)
                for name, values in scores.items():
                    found[name][list(batch.rows)] = values.cpu()
                vectors[list(batch.rows)] = means.cpu().numpy()
        return found, vectors

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
        empty = self.logits([NOTHING], taxonomy)
        return {
            d.name: given.get(d.name) or content_free(empty[d.name][0], d.names)
            for d in taxonomy.dimensions
        }
