"""The parts of a repository's configuration, as they stand in `.github/triora.yml`.

Nothing said means that the default taxonomy, the model or the operator decides.
"""

from __future__ import annotations

from typing import Annotated, Literal, TypeVar

from pydantic import AfterValidator, BaseModel, ConfigDict, Discriminator, Field, Tag

from app.core import patterns
from app.core.taxonomy import Name

Share = Annotated[float, Field(ge=0, le=1)]
# Of one dimension the model may ask no more than this; every label costs it tokens.
MAX_LABELS = 40
MAX_DIMENSIONS = 12
MAX_RULES = 50
# A tag that no name can be, so that it can be left out of the path of a mistake.
RULE, SWITCH = " rule", " switch"

R = TypeVar("R")


class Part(BaseModel):
    """Unknown keys are mistakes, and nothing is converted: "yes" in quotes is no switch."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


def _which(value: object) -> str:
    return SWITCH if isinstance(value, bool) else RULE


# `false` drops what a name or a key stands for.
OrOff = Annotated[
    Annotated[R, Tag(RULE)] | Annotated[Literal[False], Tag(SWITCH)], Discriminator(_which)
]


class Bar(Part):
    """How sure the model has to be: a threshold, or the precision it has to reach."""

    threshold: Share | None = Field(
        default=None, description="least calibrated probability at which a label is written"
    )
    precision: Annotated[float, Field(gt=0, lt=1)] | None = Field(
        default=None,
        description="share of written labels that shall be right; the threshold is chosen for it",
    )


class LabelRule(Bar):
    """One label of a dimension."""

    github: Name | None = Field(
        default=None,
        description="name of the GitHub label that stands for it, one that the repository has",
    )
    description: str | None = Field(
        default=None,
        min_length=1,
        max_length=100,
        description="what it means; the model reads it, so a new label needs one",
    )
    color: Annotated[str, Field(pattern=r"^#?[0-9A-Fa-f]{6}$")] | None = Field(
        default=None, description="six hexadecimal digits, for a label that is created"
    )
    create: bool | None = Field(
        default=None,
        description="create the GitHub label where it is missing; not so if `github` names one",
    )


class DimensionRule(Bar):
    """One question asked of an issue."""

    rename: Name | None = Field(
        default=None,
        description="what people call it: in commands, comments and the names of its labels",
    )
    question: str | None = Field(
        default=None, min_length=1, max_length=200, description="the question; a new one needs it"
    )
    exclusive: bool | None = Field(default=None, description="at most one of its labels at a time")
    written: bool | None = Field(
        default=None, description="put its labels on GitHub; `false` only scores it"
    )
    gated: bool | None = Field(
        default=None, description="asked only where the gate's label is likely enough"
    )
    labels: dict[Name, OrOff[LabelRule]] = Field(
        default_factory=dict,
        max_length=MAX_LABELS,
        description="its labels by name; `false` drops one, a new name adds one",
    )


class GateRule(Part):
    """Which label opens the gated dimensions."""

    dimension: Name = Field(default="kind", description="the dimension that is looked at")
    label: Name = Field(default="bug", description="the label that opens the gate")
    threshold: Share | None = Field(
        default=None, description="least probability of that label; the model's own without"
    )


class DenyRule(Part):
    """Issues that are left alone, and labels that only people set."""

    authors: tuple[Name, ...] = Field(
        default=(), max_length=MAX_RULES, description="logins whose issues are left alone"
    )
    titles: tuple[Annotated[str, AfterValidator(patterns.check)], ...] = Field(
        default=(),
        max_length=MAX_RULES,
        description="patterns (Rust's regex, any case); an issue with such a title is left alone",
    )
    labels: tuple[Name, ...] = Field(
        default=(),
        max_length=MAX_RULES,
        description="GitHub labels that only people set; `*` stands for anything",
    )


class RetrainingRule(Part):
    """When the model learns anew from this repository's corrections."""

    enabled: bool = Field(default=True, description="retrain by itself")
    after_corrections: int = Field(
        default=100, ge=10, le=100_000, description="new corrections that start a retraining"
    )
    every_days: int | None = Field(
        default=None, ge=1, le=365, description="retrain that often if there is anything new"
    )
