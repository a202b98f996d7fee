"""What to do with a dimension, given scores, thresholds and what people did. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum

from pydantic import BaseModel, ConfigDict, Field

from app.core.taxonomy import Dimension, Taxonomy

# dimension -> label -> calibrated probability; each dimension sums to 1.
Scores = Mapping[str, Mapping[str, float]]


class Action(StrEnum):
    """What is done with a dimension."""

    APPLY = "apply"
    SUGGEST = "suggest"
    ABSTAIN = "abstain"


class Reason(StrEnum):
    """Why; stored with the decision and shown to people."""

    CONFIDENT = "confident"
    BELOW_THRESHOLD = "below threshold"
    LIKELY = "likely, but below its threshold"
    NOT_A_BUG = "not a bug"
    PERSON_DECIDED = "a person decided"
    SUGGEST_ONLY = "the repository wants proposals only"
    DENIED_AUTHOR = "a rule of the repository denies the author"
    DENIED_TITLE = "a rule of the repository denies the title"
    PEOPLES = "only people set this label"


class Thresholds(BaseModel):
    """Least probability at which a label is written, per dimension and label.

    `default` holds for labels without a threshold of their own. `gate` is the least probability of
    the taxonomy's gate label below which gated dimensions are not asked; 0 keeps the gate open.
    `suggest` is the least probability of a label that is proposed where it is not written; None
    proposes none. `reached` maps dimension -> label -> precision (as text) -> the least probability
    from which on answers reached that precision on held-out reports.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    default: float = Field(default=0.5, ge=0, le=1)
    gate: float = Field(default=0.0, ge=0, le=1)
    suggest: float | None = Field(default=None, ge=0, le=1)
    labels: dict[str, dict[str, float]] = Field(default_factory=dict)
    reached: dict[str, dict[str, dict[str, float]]] = Field(default_factory=dict)

    def of(self, dimension: str, label: str) -> float:
        """The threshold of one label."""
        return self.labels.get(dimension, {}).get(label, self.default)

    def for_precision(self, dimension: str, label: str, target: float) -> float:
        """The least probability from which on answers are right as often as `target`.

        As measured, of the precisions at least as high; where nothing was measured, the target
        itself, which is right as far as the calibration is.
        """
        measured = self.reached.get(dimension, {}).get(label, {})
        enough = [bar for precision, bar in measured.items() if float(precision) >= target]
        return min(enough) if enough else target


class Hands(BaseModel):
    """What people did on an issue, as GitHub label names: set (and still there), and removed."""

    model_config = ConfigDict(frozen=True)

    set: frozenset[str] = frozenset()
    removed: frozenset[str] = frozenset()

    def touched(self, dimension: Dimension) -> bool:
        """True if a person set or removed any label of the dimension."""
        ours = {label.github.casefold() for label in dimension.labels}
        return any(name.casefold() in ours for name in self.set | self.removed)


NO_HANDS = Hands()


class Decision(BaseModel):
    """The outcome for one dimension. `labels` are label names, empty unless apply or suggest."""

    model_config = ConfigDict(frozen=True)

    dimension: str
    action: Action
    labels: tuple[str, ...] = ()
    reason: Reason


def decide(
    taxonomy: Taxonomy, scores: Scores, thresholds: Thresholds, hands: Hands = NO_HANDS
) -> list[Decision]:
    """One decision a written dimension, in the taxonomy's order.

    Raises KeyError when `scores` lacks a dimension of the taxonomy.
    """
    closed = _gate_closed(taxonomy, scores, thresholds)
    return [
        _decide_one(dimension, scores[dimension.name], thresholds, hands, closed)
        for dimension in taxonomy.written
    ]


def _gate_closed(taxonomy: Taxonomy, scores: Scores, thresholds: Thresholds) -> bool:
    if taxonomy.gate is None:
        return False
    dimension, label = taxonomy.gate
    return scores[dimension][label] < thresholds.gate


def _decide_one(
    dimension: Dimension,
    scores: Mapping[str, float],
    thresholds: Thresholds,
    hands: Hands,
    closed: bool,
) -> Decision:
    def abstain(reason: Reason) -> Decision:
        return Decision(dimension=dimension.name, action=Action.ABSTAIN, reason=reason)

    if hands.touched(dimension):
        return abstain(Reason.PERSON_DECIDED)
    if closed and dimension.gated:
        return abstain(Reason.NOT_A_BUG)
    best = max(dimension.names, key=lambda name: scores[name])
    if scores[best] < thresholds.of(dimension.name, best):
        if thresholds.suggest is None or scores[best] < thresholds.suggest:
            return abstain(Reason.BELOW_THRESHOLD)
        return Decision(
            dimension=dimension.name, action=Action.SUGGEST, labels=(best,), reason=Reason.LIKELY
        )
    return Decision(
        dimension=dimension.name, action=Action.APPLY, labels=(best,), reason=Reason.CONFIDENT
    )
