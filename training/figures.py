"""What an evaluation says: typed, JSON both ways, every figure with its interval and size."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict

from training.predictions import Run

Scope = Literal["bugs", "all"]


class Record(BaseModel):
    """Base of everything in an Evaluation: immutable, no unknown keys."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Figure(Record):
    """A value with its 95 % interval and sample size; None where it is not defined."""

    value: float | None
    low: float | None
    high: float | None
    n: int

    def percent(self) -> str:
        """As a reader wants it: `85.5 % (81.2 to 89.6)`."""
        if self.value is None:
            return "n/a"
        inner = ""
        if self.low is not None and self.high is not None:
            inner = f" ({100 * self.low:.1f} to {100 * self.high:.1f})"
        return f"{100 * self.value:.1f} %{inner}"


class ClassFigures(Record):
    """One label: how often true and predicted; precision and recall with Wilson intervals."""

    label: str
    true: int
    predicted: int
    precision: Figure
    recall: Figure
    f1: Figure


class Bin(Record):
    """One bin of the reliability curve."""

    low: float
    high: float
    n: int
    confidence: float
    accuracy: Figure


class Point(Record):
    """Answering only reports of at least this confidence."""

    threshold: float
    coverage: float
    precision: float


class Answers(Record):
    """How good the confidence is: calibration, and precision against coverage."""

    n: int
    calibration_error: Figure
    coverage_at_90: Figure
    coverage_at_95: Figure
    precision_at_60: Figure
    reliability: tuple[Bin, ...]
    curve: tuple[Point, ...]


class DimensionFigures(Record):
    """One dimension in one slice. `confusion` has truth in rows, both in the order of labels."""

    dimension: str
    labels: tuple[str, ...]
    n: int
    accuracy: Figure
    macro_f1: Figure
    log_loss: float | None
    classes: tuple[ClassFigures, ...]
    confusion: tuple[tuple[int, ...], ...]
    answers: Answers


class Slice(Record):
    """The figures for a part of the reports.

    `unseen` slices leave out reports with a near-duplicate in the training data. `accuracy` and
    `macro_f1` are means over the judged dimensions, `answers` pools their answers.
    """

    scope: Scope
    repository: str | None = None
    unseen: bool = False
    n: int
    accuracy: Figure
    macro_f1: Figure
    answers: Answers
    dimensions: tuple[DimensionFigures, ...]

    @property
    def name(self) -> str:
        """How a table calls it."""
        parts = ["bug reports" if self.scope == "bugs" else "all reports"]
        parts += [self.repository] if self.repository else []
        parts += ["no near-duplicate in training"] if self.unseen else []
        return ", ".join(parts)

    def dimension(self, name: str) -> DimensionFigures | None:
        """The figures of a dimension, None if the slice has no truth for it."""
        return next((d for d in self.dimensions if d.dimension == name), None)


class Mistake(Record):
    """A wrong answer, for people to read."""

    id: str
    repository: str
    title: str
    bug: bool | None
    dimension: str
    truth: str
    predicted: str
    confidence: float


class Evaluation(Record):
    """Everything known about how good a run was."""

    version: Literal[1] = 1
    run: Run
    rows: int
    # Answers that are no label of the taxonomy: 0, since labels are scored and never written.
    parse_failures: int = 0
    slices: tuple[Slice, ...]
    mistakes: tuple[Mistake, ...]

    def slice(
        self, scope: Scope, repository: str | None = None, unseen: bool = False
    ) -> Slice | None:
        """One slice, None if no report belongs to it."""
        wanted = (scope, repository, unseen)
        return next((s for s in self.slices if (s.scope, s.repository, s.unseen) == wanted), None)

    @property
    def main(self) -> Slice:
        """Bug reports where there are any, all reports else."""
        return self.slices[0]
