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
# Precisions that a repository may ask for; the threshold of each travels with the model.
TARGETS = (0.6, 0.7, 0.75, 0.8, 0.85, 0.9, 0.95, 0.97, 0.99)
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

    Those for TARGETS are kept beside them: a repository may ask for another precision. The gate
    stays open for all but LOST_BUGS of the true bugs.
    """
    labels: dict[str, dict[str, float]] = {}
    reached: dict[str, dict[str, dict[str, float]]] = {}
    gate = 0.0
    for dimension in taxonomy.dimensions:
        rows, truth = _known(examples, taxonomy, dimension.name)
        if not rows:
            continue
        chances = calibration.probabilities(
            scores[dimension.name][rows], dimension.names, fitted[dimension.name]
        )
        labels[dimension.name] = _of_labels(chances, truth, dimension.names, precision)
        reached[dimension.name] = _reached(chances, truth, dimension.names)
        if taxonomy.gate is not None and taxonomy.gate[0] == dimension.name:
            column = dimension.names.index(taxonomy.gate[1])
            gate = _gate(chances[:, column], truth == column)
    return Thresholds(default=precision, gate=gate, labels=labels, reached=reached)


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


def _reached(
    chances: torch.Tensor, truth: torch.Tensor, names: Sequence[str]
) -> dict[str, dict[str, float]]:
    """Label -> precision -> threshold, for labels that were answered often enough to tell."""
    answer = chances.argmax(dim=-1)
    told = [name for column, name in enumerate(names) if int((answer == column).sum()) >= ENOUGH]
    by_target = {str(target): _of_labels(chances, truth, names, target) for target in TARGETS}
    return {name: {target: bars[name] for target, bars in by_target.items()} for name in told}


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
