"""Calibration and thresholds, fitted on reports that neither training nor the figures used."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch

from app.core.decision import Thresholds
from app.core.manifest import Calibration
from app.core.taxonomy import Taxonomy
from training.example import Example
from worker.model import calibration

# Fewer answers than this say nothing about a precision; the target itself is the threshold then,
# which is right as far as the calibration is.
ENOUGH = 20
# Share of true bugs that the gate may turn away.
LOST_BUGS = 0.05

Logits = Mapping[str, torch.Tensor]


def calibrate(
    scores: Logits, examples: Sequence[Example], taxonomy: Taxonomy
) -> dict[str, Calibration]:
    """Temperature and bias a dimension; dimensions of which no example knows anything are left out.

    scores: dimension -> [n, labels] of the n examples.
    """
    found = {}
    for dimension in taxonomy.dimensions:
        rows, truth = _known(examples, taxonomy, dimension.name)
        if rows:
            found[dimension.name] = calibration.fit(
                scores[dimension.name][rows], truth, dimension.names
            )
    return found


def thresholds(
    scores: Logits,
    examples: Sequence[Example],
    taxonomy: Taxonomy,
    fitted: Mapping[str, Calibration],
    precision: float,
) -> Thresholds:
    """Per label, the least probability from which on answers reach `precision` on `examples`.

    The gate stays open for all but LOST_BUGS of the true bugs.
    """
    labels: dict[str, dict[str, float]] = {}
    gate = 0.0
    for dimension in taxonomy.dimensions:
        rows, truth = _known(examples, taxonomy, dimension.name)
        if not rows:
            continue
        chances = calibration.probabilities(
            scores[dimension.name][rows], dimension.names, fitted[dimension.name]
        )
        labels[dimension.name] = _of_labels(chances, truth, dimension.names, precision)
        if taxonomy.gate is not None and taxonomy.gate[0] == dimension.name:
            column = dimension.names.index(taxonomy.gate[1])
            gate = _gate(chances[:, column], truth == column)
    return Thresholds(default=precision, gate=gate, labels=labels)


def _of_labels(
    chances: torch.Tensor, truth: torch.Tensor, names: Sequence[str], precision: float
) -> dict[str, float]:
    best, answer = chances.max(dim=-1)
    found = {}
    for column, name in enumerate(names):
        given = answer == column
        found[name] = (
            calibration.threshold(best[given], truth[given] == column, precision)
            if int(given.sum()) >= ENOUGH
            else precision
        )
    return found


def _gate(chance: torch.Tensor, is_bug: torch.Tensor) -> float:
    return float(torch.quantile(chance[is_bug], LOST_BUGS)) if is_bug.any() else 0.0


def _known(
    examples: Sequence[Example], taxonomy: Taxonomy, dimension: str
) -> tuple[list[int], torch.Tensor]:
    """Positions of the examples that answer `dimension`, and their label indices."""
    rows = [i for i, example in enumerate(examples) if dimension in example.labels]
    names = taxonomy[dimension].names
    truth = [names.index(examples[i].labels[dimension].label) for i in rows]
    return rows, torch.tensor(truth, dtype=torch.long)
