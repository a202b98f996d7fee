"""What learns a repository's labels on a CPU in seconds, and which of them does it best.

Candidates: words (TF-IDF with logistic regression), the model as it is (only calibrated), a head
(logistic regression on the model's hidden state and its scores), and the mean of words and head.
Each is fitted on the older issues; the choice is made there too, by 5-fold cross-validation with
near-duplicates in one fold, so that the newest issues decide nothing but the figures.
Means are of logarithms, calibrated afterwards.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from training import baselines
from training.duplicates import clusters
from training.metrics import Floats, Ints
from training.preview.rows import Row

# An answer needs so many older issues to be learned at all.
ENOUGH = 5
FOLDS = 5
# What people left without any answer of a dimension, or with one too rare to learn.
NOTHING = ""
WORDS, HEAD, BOTH, AS_IS = "words", "head on the model", "words and head", "model as it is"
# Measured by cross-validation on triage_val and NLBSE'24: see training/EXPERIMENTS.md.
_HEAD_STRENGTH = 20.0
_SCORES_WEIGHT = 0.1
_WORDS_STRENGTH = 10.0

Fitted = Callable[["Matter"], Floats]


@dataclass
class Matter:
    """What learners see of n issues. `vectors` [n, width] and `scores` [n, m] without a model None.

    `scores` are log-probabilities of the serving model's own answers; `columns` says which column
    is which (dimension, answer).
    """

    parts: list[tuple[str, str]]
    vectors: Floats | None = None
    scores: Floats | None = None
    columns: Mapping[tuple[str, str], int] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.parts)

    def take(self, rows: Ints | Sequence[int]) -> Matter:
        """The issues at these positions."""
        at = np.asarray(rows, dtype=np.int64)
        return Matter(
            [self.parts[i] for i in at],
            None if self.vectors is None else self.vectors[at],
            None if self.scores is None else self.scores[at],
            self.columns,
        )


@dataclass
class Learned:
    """A dimension learned from older issues: `answers` in order, NOTHING among them if it occurs.

    `crossed` are calibrated probabilities [older, answers] of cross-validation, `predict` those of
    new issues. `losses` are the candidates' cross-validated log losses, `chosen` has the least.
    """

    answers: tuple[str, ...]
    chosen: str
    losses: dict[str, float]
    crossed: Floats
    predict: Fitted
    # Per candidate, the calibrated predictions of new issues.
    others: dict[str, Fitted] = field(default_factory=dict)


def learn(
    dimension: str, matter: Matter, truths: Sequence[frozenset[str]], groups: Sequence[int]
) -> Learned:
    """Fit every candidate on `matter` and take the best. Two or more answers are needed."""
    answers = answers_of(truths)
    targets = _targets(truths, answers)
    candidates: dict[str, Callable[[Matter, Floats], Fitted]] = {WORDS: _fit_words}
    if matter.vectors is not None and matter.scores is not None:
        candidates[HEAD] = _fit_head
    crossed = {name: _crossed(fit, matter, targets, groups) for name, fit in candidates.items()}
    fitted = {name: fit(matter, targets) for name, fit in candidates.items()}
    if HEAD in crossed:
        crossed[BOTH] = _mean([crossed[WORDS], crossed[HEAD]])
        fitted[BOTH] = lambda new: _mean([fitted[WORDS](new), fitted[HEAD](new)])
    as_is = _as_is(dimension, answers, matter, float(targets.mean(axis=0)[-1]))
    if as_is is not None:
        crossed[AS_IS], fitted[AS_IS] = as_is(matter), as_is
    calibrated = {name: _calibration(p, targets) for name, p in crossed.items()}
    after = {name: calibrated[name](p) for name, p in crossed.items()}
    losses = {name: _loss(p, targets) for name, p in after.items()}
    chosen = min(losses, key=lambda name: losses[name])
    others = {name: _then(p, calibrated[name]) for name, p in fitted.items()}
    return Learned(answers, chosen, losses, after[chosen], others[chosen], others)


def _then(predict: Fitted, calibrate: Callable[[Floats], Floats]) -> Fitted:
    return lambda new: calibrate(predict(new))


def answers_of(truths: Sequence[frozenset[str]]) -> tuple[str, ...]:
    """Answers with ENOUGH issues, by frequency, then NOTHING if that is as frequent."""
    counted: dict[str, int] = {}
    for truth in truths:
        for answer in truth:
            counted[answer] = counted.get(answer, 0) + 1
    known = sorted((a for a, n in counted.items() if n >= ENOUGH), key=lambda a: (-counted[a], a))
    nothing = sum(truth.isdisjoint(known) for truth in truths)
    return (*known, NOTHING) if nothing >= ENOUGH else tuple(known)


def near_duplicates(rows: Sequence[Row]) -> list[int]:
    """A number for each row; near-duplicates share one."""
    return clusters([row.example for row in rows])


def _targets(truths: Sequence[frozenset[str]], answers: Sequence[str]) -> Floats:
    """Shares [n, answers]: two answers teach by half each; an issue without any known, nothing."""
    targets = np.zeros((len(truths), len(answers)))
    for row, truth in enumerate(truths):
        known = [i for i, a in enumerate(answers) if a in truth]
        if not known and NOTHING in answers:
            known = [answers.index(NOTHING)]
        for i in known:
            targets[row, i] = 1 / len(known)
    return targets


def _unfold(targets: Floats) -> tuple[Ints, Ints, Floats]:
    rows, labels = np.nonzero(targets)
    return rows, labels, targets[rows, labels]


def _classify(features: Any, targets: Floats, strength: float) -> Callable[[Any], Floats]:
    from sklearn.linear_model import LogisticRegression  # noqa: PLC0415 - slow to import

    rows, labels, weights = _unfold(targets)
    wide = targets.shape[1]
    if len(set(labels.tolist())) < 2:
        share = targets.sum(axis=0) / max(targets.sum(), 1e-9)
        return lambda new: np.tile(share, (new.shape[0], 1))
    model = LogisticRegression(C=strength, max_iter=1000)
    model.fit(features[rows], labels, sample_weight=weights)

    def predict(new: Any) -> Floats:
        found = np.zeros((new.shape[0], wide))
        found[:, model.classes_] = model.predict_proba(new)
        return found

    return predict


def _fit_words(matter: Matter, targets: Floats) -> Fitted:
    features = baselines.features(min_df=1 if len(matter) < baselines.SMALL else 2)
    predict = _classify(features.fit_transform(matter.parts), targets, _WORDS_STRENGTH)
    return lambda new: predict(features.transform(new.parts))


def _as_is(dimension: str, answers: Sequence[str], matter: Matter, nothing: float) -> Fitted | None:
    """The model's own scores, where it knows the answers; `nothing` is the share of no answer."""
    columns = [matter.columns.get((dimension, answer)) for answer in answers if answer]
    if matter.scores is None or any(column is None for column in columns):
        return None

    def predict(new: Matter) -> Floats:
        assert new.scores is not None  # noqa: S101 - all matter of one preview is alike
        own = np.exp(new.scores[:, [c for c in columns if c is not None]])
        if NOTHING in answers:
            own = np.hstack([own * (1 - nothing), np.full((len(new), 1), max(nothing, 1e-6))])
        shares: Floats = own / own.sum(axis=1, keepdims=True)
        return shares

    return predict


def _fit_head(matter: Matter, targets: Floats) -> Fitted:
    from sklearn.preprocessing import StandardScaler, normalize  # noqa: PLC0415

    scale = StandardScaler().fit(matter.scores)

    def features(some: Matter) -> Floats:
        return np.hstack([normalize(some.vectors), _SCORES_WEIGHT * scale.transform(some.scores)])

    predict = _classify(features(matter), targets, _HEAD_STRENGTH)
    return lambda new: predict(features(new))


def _crossed(
    fit: Callable[[Matter, Floats], Fitted], matter: Matter, targets: Floats, groups: Sequence[int]
) -> Floats:
    from sklearn.model_selection import GroupKFold  # noqa: PLC0415

    found = np.zeros_like(targets)
    folds = GroupKFold(min(FOLDS, len(set(groups))), shuffle=True, random_state=0)
    for inside, outside in folds.split(targets, groups=groups):
        found[outside] = fit(matter.take(inside), targets[inside])(matter.take(outside))
    return found


def _mean(parts: Sequence[Floats]) -> Floats:
    logs = np.mean([np.log(np.maximum(p, 1e-6)) for p in parts], axis=0)
    return _softmax(logs)


def _calibration(crossed: Floats, targets: Floats) -> Callable[[Floats], Floats]:
    """Temperature and a bias an answer, with the light pull of `worker.model.calibration.fit`.

    Fitted here with SciPy, so that learning from words alone does not wait for torch.
    """
    from scipy.optimize import minimize  # noqa: PLC0415 - slow to import

    logs = np.log(np.maximum(crossed, 1e-6))
    weight = targets.sum()

    def loss(parameters: Floats) -> tuple[float, Floats]:
        heat, bias = parameters[0], parameters[1:]
        scaled = logs / np.exp(heat)
        p = _softmax(scaled + bias)
        off = targets.sum(axis=1, keepdims=True) * p - targets
        value = -(targets * np.log(np.maximum(p, 1e-12))).sum() + (parameters**2).sum() / 2
        slope = np.concatenate([[-(off * scaled).sum()], off.sum(axis=0)]) + parameters
        return float(value / weight), slope / weight

    found = minimize(loss, np.zeros(1 + logs.shape[1]), jac=True, method="L-BFGS-B").x
    heat, bias = float(np.exp(found[0])), found[1:]
    return lambda p: _softmax(np.log(np.maximum(p, 1e-6)) / heat + bias)


def _softmax(logs: Floats) -> Floats:
    raised = np.exp(logs - logs.max(axis=1, keepdims=True))
    shares: Floats = raised / raised.sum(axis=1, keepdims=True)
    return shares


def _loss(p: Floats, targets: Floats) -> float:
    """Mean log loss over the rows that have a target."""
    total = targets.sum()
    return float(-(targets * np.log(np.maximum(p, 1e-6))).sum() / max(total, 1e-9))


def majority(truths: Sequence[frozenset[str]]) -> str | None:
    """The commonest answer; None without any."""
    counted: Mapping[str, int] = {
        a: sum(a in t for t in truths) for a in sorted(set().union(*truths))
    }
    return max(counted, key=lambda a: counted[a]) if counted else None
