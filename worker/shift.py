"""How corrected issues shift the scores of the next ones. Pure arithmetic, no database.

Kernel regression around the model (a Gaussian process with a softmax likelihood at its most likely
point; Rasmussen and Williams 2006, 3.5): the model's log-probabilities are the prior mean, and what
people said pulls on them, most for issues whose hidden states are near, a little everywhere. Where
the model was right already there is nothing to pull at, so a good model is left alone.

What keeps one wrong correction from flipping everything: a lesson's pull is at most its weight
times what the model was off by, almost all of it is local, the first lessons count by halves
(`PATIENCE`), and the whole shift is capped (`LIMIT`).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

# Chosen by cross-validation on training data with a weak and a good model (docs/learning.md).
# Prior variance, in squared nats, of what all issues of a repository share, and of near ones.
GLOBAL = 0.25
LOCAL = 4.0
# How fast nearness falls with the angle between centred states: exp(-SHARPNESS * (1 - cosine)).
SHARPNESS = 6.0
# A memory of this weight shifts by half of what it would like.
PATIENCE = 3.0
# Nats that a label's logarithm is shifted by at most.
LIMIT = 4.0
# Steps of the fit; each can only improve it.
STEPS = 20
LEAST = 1e-9


@dataclass(frozen=True, eq=False)
class Lessons:
    """What people said in one dimension with k labels.

    vectors: [n, width]; chances: [n, k], what the model itself had said; labels: [n] indices of
    what people say; weights: [n], 1 for a correction, less for a weaker word.
    """

    vectors: Floats
    chances: Floats
    labels: Ints
    weights: Floats


class Shift:
    """The memory of one dimension, fitted once: n^3 for n lessons, n * width for an issue.

    centre: [width], the mean state of the repository's issues; what they all share tells nothing.
    """

    def __init__(self, lessons: Lessons, centre: Floats) -> None:
        self._centre = centre
        self._known = _unit(lessons.vectors - centre)
        total = float(lessons.weights.sum())
        self._pulls = _fit(lessons, _kernel(self._known, self._known))
        self._pulls *= total / (total + PATIENCE)

    def __call__(self, vectors: Floats, chances: Floats) -> Floats:
        """Probabilities [m, k], shifted from the model's own `chances`; vectors: [m, width]."""
        near = _kernel(_unit(vectors - self._centre), self._known)
        shift = near @ self._pulls
        shift -= shift.mean(axis=1, keepdims=True)
        most = np.abs(shift).max(axis=1, keepdims=True)
        shift *= np.minimum(1.0, LIMIT / np.maximum(most, LEAST))
        return _softmax(_log(chances) + shift)


def _fit(lessons: Lessons, kernel: Floats) -> Floats:
    """A lesson's pull on each label: [n, k], never larger than its weight.

    Maximises the penalised likelihood by steps on Böhning's quadratic bound (1992), which share
    one matrix and need no step size.
    """
    prior = _log(lessons.chances)
    said = np.eye(prior.shape[1])[lessons.labels]
    solved = np.linalg.inv(kernel + np.diag(2.0 / lessons.weights))
    pulls = np.zeros_like(prior)
    for _ in range(STEPS):
        shift = kernel @ pulls
        pulls = solved @ (shift + 2.0 * (said - _softmax(prior + shift)))
    weights = lessons.weights[:, None]
    found: Floats = np.clip(pulls, -weights, weights)
    return found


def _kernel(one: Floats, other: Floats) -> Floats:
    near: Floats = GLOBAL + LOCAL * np.exp(SHARPNESS * (one @ other.T - 1.0))
    return near


def _unit(vectors: Floats) -> Floats:
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    unit: Floats = vectors / np.maximum(lengths, LEAST)
    return unit


def _log(chances: Floats) -> Floats:
    found: Floats = np.log(np.maximum(chances, LEAST))
    return found


def _softmax(scores: Floats) -> Floats:
    powers = np.exp(scores - scores.max(axis=1, keepdims=True))
    found: Floats = powers / powers.sum(axis=1, keepdims=True)
    return found
