"""The promotion gate: may a candidate replace the active model, by what both said of one holdout?

Pure. The holdout is the newest reports that people corrected or confirmed; neither model learned
from them. A candidate passes when every check does; the verdict says in words which one did not.
Why these checks, and how often each model passes them: docs/learning.md.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from pydantic import Field

from app.core.errors import BadRequest
from app.core.taxonomy import Taxonomy
from training import metrics
from training.evaluation import Arrays, figure, share
from training.figures import Figure, Record
from training.predictions import Prediction
from training.significance import LEVEL, mcnemar, paired

SEVERITY = "severity"


class Rules(Record):
    """What the gate asks for.

    `issues`: least reports in the holdout. `right`: least answers in it that the active model has
    right; corrections alone are its mistakes, and would show nothing of what a candidate breaks.
    `highest`: least reports of the highest severity. `level`: two-sided p below which a difference
    counts. `tolerance`: rise of the calibration error that is let pass.
    """

    issues: int = Field(default=40, ge=1)
    right: int = Field(default=10, ge=0)
    highest: int = Field(default=3, ge=1)
    level: float = Field(default=LEVEL, gt=0, lt=1)
    tolerance: float = Field(default=0.03, ge=0)
    resamples: int = Field(default=metrics.RESAMPLES, ge=100)


class Check(Record):
    """One thing the gate asks, how it came out, and the figures in words."""

    name: str
    passed: bool
    said: str


class Pair(Record):
    """A figure of both models on the same reports, each with its interval."""

    candidate: Figure
    active: Figure


class Verdict(Record):
    """What the gate found; kept whole with the version.

    `mended` are answers that only the candidate got right, `broken` those only the active model
    did. `p` is of the paired test over reports.
    """

    promote: bool
    reason: str
    issues: int
    answers: int
    mended: int
    broken: int
    p: float
    accuracy: Pair
    dimensions: dict[str, Pair]
    calibration_error: Pair
    recall_of_highest: Pair | None
    checks: tuple[Check, ...]


def highest_severity(taxonomy: Taxonomy) -> tuple[str, str] | None:
    """The label whose recall must not fall: the first one of the dimension severity, if any."""
    return (SEVERITY, taxonomy[SEVERITY].names[0]) if SEVERITY in taxonomy else None


def judge(
    candidate: Sequence[Prediction],
    active: Sequence[Prediction],
    taxonomy: Taxonomy,
    rules: Rules | None = None,
) -> Verdict:
    """The verdict on two models' predictions of the same reports, in the same order.

    Better is meant of the dimensions that are written; in none may the candidate be worse.
    BadRequest when they are not of the same reports with the same truth, or there is no truth.
    """
    rules = rules or Rules()
    both = _Both(candidate, active, taxonomy, rules)
    highest = highest_severity(taxonomy)
    checks = [
        _large_enough(both, rules),
        _better(both, rules),
        *(_holds(both, name, rules) for name in both.known),
        *([_finds_the_worst(both, highest, rules)] if highest is not None else []),
        _calibrated(both, rules),
    ]
    failed = [check.said for check in checks if not check.passed]
    better = next(check for check in checks if check.name == "better")
    return Verdict(
        promote=not failed,
        reason="; ".join(failed) if failed else better.said,
        issues=both.n,
        answers=both.answers,
        mended=both.mended,
        broken=both.broken,
        p=both.p,
        accuracy=both.pooled_accuracy(),
        dimensions={name: both.accuracy(name) for name in both.known},
        calibration_error=both.calibration_error,
        recall_of_highest=both.recall(*highest) if highest is not None else None,
        checks=tuple(checks),
    )


class _Both:
    """Two models over the reports that have any truth, as arrays."""

    def __init__(
        self,
        candidate: Sequence[Prediction],
        active: Sequence[Prediction],
        taxonomy: Taxonomy,
        rules: Rules,
    ) -> None:
        if [(p.id, p.truth) for p in candidate] != [(p.id, p.truth) for p in active]:
            raise BadRequest("both models have to be asked about the same reports, in one order")
        written = {d.name for d in taxonomy.written}
        new = [p for p in candidate if p.truth.keys() & written]
        old = [p for p in active if p.truth.keys() & written]
        if not new:
            raise BadRequest("no report of the holdout has a known answer: nothing can be compared")
        self.n = len(new)
        self.labels = taxonomy.vocabulary
        self.new = {d: Arrays(new, d, labels) for d, labels in self.labels.items()}
        self.old = {d: Arrays(old, d, labels) for d, labels in self.labels.items()}
        # Dimensions that anything is known of, and those of them that are written.
        self.known = [d for d in self.labels if len(self.new[d].rows)]
        self.names = [d for d in self.known if d in written]
        self.weights = metrics.resample(self.n, rules.resamples)
        self.differences = np.zeros(self.n, dtype=np.int64)
        self.mended = self.broken = self.right = 0
        for name in self.names:
            new_right, old_right = self.new[name].correct, self.old[name].correct
            np.add.at(
                self.differences, self.new[name].rows, new_right.astype(int) - old_right.astype(int)
            )
            self.mended += int((new_right & ~old_right).sum())
            self.broken += int((old_right & ~new_right).sum())
            self.right += int(old_right.sum())
        self.answers = sum(len(self.new[name].rows) for name in self.names)
        self.p = paired(self.differences)
        self.calibration_error, self.rise = self._calibration_error()

    def accuracy(self, dimension: str) -> Pair:
        """Share of right answers in one dimension, with Wilson intervals."""
        new, old = self.new[dimension].correct, self.old[dimension].correct
        return Pair(
            candidate=share(int(new.sum()), len(new)), active=share(int(old.sum()), len(old))
        )

    def pooled_accuracy(self) -> Pair:
        """Share of right answers over all dimensions; the interval draws whole reports."""
        found = []
        for side in (self.new, self.old):
            rows = np.concatenate([side[d].rows for d in self.names])
            right = np.concatenate([side[d].correct for d in self.names])
            drawn = self.weights[:, rows]
            plain = np.array([right.mean()])
            found.append(figure(plain, (drawn @ right) / drawn.sum(axis=1), len(rows)))
        return Pair(candidate=found[0], active=found[1])

    def recall(self, dimension: str, label: str) -> Pair | None:
        """Recall of one label; None where the dimension is not asked."""
        if dimension not in self.known:
            return None
        index = self.labels[dimension].index(label)
        true = self.new[dimension].truth == index
        new, old = (int(s[dimension].correct[true].sum()) for s in (self.new, self.old))
        n = int(true.sum())
        return Pair(candidate=share(new, n), active=share(old, n))

    def _calibration_error(self) -> tuple[Pair, Figure]:
        """Of both, over all answers; and the rise, with the interval of the paired bootstrap."""
        values, drawn = [], []
        for side in (self.new, self.old):
            rows = np.concatenate([side[d].rows for d in self.names])
            confidence = np.concatenate([side[d].confidence for d in self.names])
            right = np.concatenate([side[d].correct for d in self.names])
            values.append(metrics.calibration_error(confidence, right))
            drawn.append(metrics.calibration_error(confidence, right, self.weights[:, rows]))
        n = self.answers
        pair = Pair(candidate=figure(values[0], drawn[0], n), active=figure(values[1], drawn[1], n))
        return pair, figure(values[0] - values[1], drawn[0] - drawn[1], n)


def _large_enough(both: _Both, rules: Rules) -> Check:
    said = f"the holdout has {both.n} reports"
    if both.n < rules.issues:
        said += f", fewer than the {rules.issues} a comparison needs"
    elif both.right < rules.right:
        said += (
            f", and only {both.right} of its answers are ones that the active model has right: what"
            " a new one would break cannot be seen"
        )
    passed = both.n >= rules.issues and both.right >= rules.right
    return Check(name="enough", passed=passed, said=said)


def _better(both: _Both, rules: Rules) -> Check:
    better = both.mended > both.broken and both.p < rules.level
    figures = f"{both.mended} answers mended, {both.broken} broken, p = {both.p:.3g}"
    said = f"better on {both.n} newer reports ({figures})"
    if not better:
        said = f"not shown to be better on {both.n} newer reports ({figures})"
    return Check(name="better", passed=better, said=said)


def _holds(both: _Both, dimension: str, rules: Rules) -> Check:
    gained, lost, p = mcnemar(both.new[dimension].correct, both.old[dimension].correct)
    worse = lost > gained and p < rules.level
    said = f"{dimension}: {gained} mended, {lost} broken (McNemar p = {p:.3g})"
    return Check(
        name=f"no worse in {dimension}",
        passed=not worse,
        said=f"worse in {said}" if worse else said,
    )


def _finds_the_worst(both: _Both, highest: tuple[str, str], rules: Rules) -> Check:
    name = f"recall of {highest[1]}"
    recall = both.recall(*highest)
    n = recall.candidate.n if recall is not None else 0
    if recall is None or n < rules.highest:
        said = (
            f"{name} cannot be judged: {n} reports of the holdout are {highest[1]},"
            f" {rules.highest} are needed"
        )
        return Check(name=name, passed=False, said=said)
    new, old = (round((side.value or 0) * n) for side in (recall.candidate, recall.active))
    said = f"{name}: {new} of {n} found, {old} by the active model"
    return Check(name=name, passed=new >= old, said=said if new >= old else f"loss in {said}")


def _calibrated(both: _Both, rules: Rules) -> Check:
    """Worse is a rise above the tolerance that chance does not explain."""
    rise, pair = both.rise, both.calibration_error
    worse = (rise.value or 0) > rules.tolerance and (rise.low or 0) > 0
    said = (
        f"calibration error {pair.candidate.value:.3f}, {pair.active.value:.3f} of the active model"
        f" (difference {rise.value:+.3f}, {rise.low:+.3f} to {rise.high:+.3f})"
    )
    return Check(
        name="calibration", passed=not worse, said=f"worse calibrated: {said}" if worse else said
    )
