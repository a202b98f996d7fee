"""What training minimises: cross-entropy over the label scores at the answer slots."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch.nn import functional

from training.example import Example
from worker.model.encoding import Form

# Target of a report about which nothing is known in a dimension; torch's own convention.
UNKNOWN = -100


def targets(examples: Sequence[Example], form: Form) -> torch.Tensor:
    """[n, questions] label indices in the form's order, UNKNOWN where there is no answer."""
    found = torch.full((len(examples), len(form.questions)), UNKNOWN, dtype=torch.long)
    for row, example in enumerate(examples):
        for column, question in enumerate(form.questions):
            answer = example.labels.get(question.dimension)
            if answer is not None:
                found[row, column] = question.labels.index(answer.label)
    return found


def class_weights(truth: torch.Tensor, form: Form, strength: float) -> dict[str, torch.Tensor]:
    """Dimension -> weight a label, (n / (labels * n_label)) ** strength; 1 for labels never seen.

    truth: [n, questions] as of `targets`.
    """
    weights = {}
    for column, question in enumerate(form.questions):
        known = truth[:, column][truth[:, column] != UNKNOWN]
        counts = torch.bincount(known, minlength=len(question.labels)).float()
        share = counts.sum() / (len(question.labels) * counts.clamp(min=1))
        weights[question.dimension] = torch.where(counts > 0, share**strength, torch.ones(()))
    return weights


def loss(
    scores: Mapping[str, torch.Tensor],
    truth: torch.Tensor,
    weights: Mapping[str, torch.Tensor],
    importance: Mapping[str, float],
    smoothing: float,
) -> torch.Tensor:
    """Mean over dimensions (weighted by `importance`, 1 if not named) of the mean over reports.

    scores: dimension -> [n, labels]; truth: [n, dimensions] in the order of `scores`. A dimension
    without an answer in the batch adds nothing.
    """
    total = torch.zeros((), device=truth.device)
    mass = 0.0
    for column, (dimension, found) in enumerate(scores.items()):
        share = importance.get(dimension, 1.0)
        mass += share
        if not (truth[:, column] != UNKNOWN).any():
            continue
        total = total + share * functional.cross_entropy(
            found,
            truth[:, column],
            weight=weights[dimension].to(found.device),
            ignore_index=UNKNOWN,
            label_smoothing=smoothing,
        )
    return total / mass
