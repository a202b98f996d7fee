"""Calibrated probabilities for every label of every dimension, in one pass and without answers."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping, Sequence

import torch
from transformers import PreTrainedModel

from app.core.decision import Thresholds
from app.core.manifest import Calibration
from app.core.taxonomy import Taxonomy
from app.core.text import IssueText
from worker.model.calibration import content_free, probabilities
from worker.model.encoding import KEPT_FORMS, Encoder, batches
from worker.model.slots import slot_logits

NOTHING = IssueText(title="")


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
        if not texts:
            return []
        calibration = self._calibration_of(taxonomy)
        scores = self.logits(texts, taxonomy)
        found: list[dict[str, dict[str, float]]] = [{} for _ in texts]
        for dimension in taxonomy.dimensions:
            chances = probabilities(
                scores[dimension.name], dimension.names, calibration[dimension.name]
            )
            for row, values in enumerate(chances.tolist()):
                found[row][dimension.name] = dict(zip(dimension.names, values, strict=True))
        return found

    def logits(self, texts: Sequence[IssueText], taxonomy: Taxonomy) -> dict[str, torch.Tensor]:
        """Dimension -> uncalibrated float32 scores [texts, labels] on the CPU."""
        form = self._encoder.form(taxonomy)
        prompts = self._encoder.encode(texts, taxonomy)
        found = {q.dimension: torch.empty(len(texts), len(q.labels)) for q in form.questions}
        with torch.inference_mode():
            for batch in batches(prompts, self._batch_tokens):
                for name, scores in slot_logits(self._model, batch, form).items():
                    found[name][list(batch.rows)] = scores.cpu()
        return found

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
