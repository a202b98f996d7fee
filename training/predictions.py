"""A run: what a model said about every report of a data set, kept so that it can be judged later.

A run is a directory: `run.json` (what was run, on what) and `predictions.jsonl` (a row a report:
the probabilities and the truth). Figures, comparisons and reports are computed from these alone.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal, Self

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, ValidationError, model_validator

from app.core.decision import Scores
from app.core.errors import BadRequest, ConfigProblem
from app.core.taxonomy import Taxonomy
from training.dataset import digest
from training.example import Example, Provenance

RUN = "run.json"
PREDICTIONS = "predictions.jsonl"


class TrainingFacts(BaseModel):
    """What a model learned from."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    rows: int
    digest: str
    # Provenance of most of its labels: "imported", "keyword", …
    provenance: str | None = None

    @classmethod
    def of(cls, examples: Sequence[Example]) -> TrainingFacts:
        """The facts about these training rows."""
        kinds = [a.provenance for e in examples for a in e.labels.values()]
        most = max(Provenance, key=kinds.count) if kinds else None
        return cls(rows=len(examples), digest=digest(examples), provenance=most)


class Run(BaseModel):
    """What was run: model, data, training data, and the settings a table may want to show.

    Runs that differ by `seed` alone share `name`; a comparison averages them.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str = Field(min_length=1, max_length=80)
    model: str
    family: Literal["model", "baseline"] = "model"
    created_at: AwareDatetime = Field(default_factory=lambda: datetime.now(UTC))
    # dimension -> labels, in the order of the taxonomy; what an answer may be
    vocabulary: dict[str, tuple[str, ...]]
    # (dimension, label) that makes a report a bug
    gate: tuple[str, str] | None = None
    # The dimensions the averages are taken over.
    judged: tuple[str, ...]
    rows: int
    digest: str
    seed: int | None = None
    training: TrainingFacts | None = None
    settings: dict[str, str | int | float | bool | None] = Field(default_factory=dict)
    seconds: float | None = None

    @classmethod
    def of(
        cls,
        name: str,
        model: str,
        examples: Sequence[Example],
        taxonomy: Taxonomy,
        **more: object,
    ) -> Self:
        """The run of `model` over `examples`; `more` are the remaining fields."""
        return cls.model_validate(
            {
                "name": name,
                "model": model,
                "vocabulary": taxonomy.vocabulary,
                "gate": taxonomy.gate,
                "judged": tuple(d.name for d in taxonomy.written),
                "rows": len(examples),
                "digest": digest(examples),
                **more,
            }
        )


class Prediction(BaseModel):
    """The probabilities a model gave one report, beside what is true of it.

    Every dimension answered has a probability for at least two labels, summing to 1.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    id: str
    repository: str
    title: str = ""
    # True, False, or None where nobody knows whether the report is a bug.
    bug: bool | None = None
    # A near-duplicate of this report was in the training data; None if that was not looked at.
    seen: bool | None = None
    truth: dict[str, str]
    scores: dict[str, dict[str, float]]

    @model_validator(mode="after")
    def _probabilities(self) -> Self:
        for dimension, scores in self.scores.items():
            values = list(scores.values())
            if len(values) < 2 or not all(math.isfinite(v) and v >= -1e-6 for v in values):
                raise ValueError(f"{dimension}: two or more probabilities are needed")
            if abs(sum(values) - 1) > 1e-3:
                raise ValueError(f"{dimension}: the probabilities sum to {sum(values):.4f}")
        return self

    @classmethod
    def of(
        cls,
        example: Example,
        scores: Scores,
        taxonomy: Taxonomy,
        seen: bool | None = None,
    ) -> Self:
        """The answer `scores` to `example`."""
        known = taxonomy.gate is not None and example.label(taxonomy.gate[0]) is not None
        bug = example.holds(taxonomy.gate) if known else None
        return cls(
            id=example.id,
            repository=example.repository,
            title=example.title[:200],
            bug=bug,
            seen=seen,
            truth={name: answer.label for name, answer in example.labels.items()},
            scores={name: dict(labels) for name, labels in scores.items()},
        )


def predictions_of(
    examples: Sequence[Example],
    scores: Sequence[Mapping[str, Mapping[str, float]]],
    taxonomy: Taxonomy,
    seen: set[str] | None = None,
) -> list[Prediction]:
    """One prediction an example; `seen` are the ids that training gave away, if looked at."""
    return [
        Prediction.of(example, said, taxonomy, None if seen is None else example.id in seen)
        for example, said in zip(examples, scores, strict=True)
    ]


def save(directory: Path, run: Run, predictions: Sequence[Prediction]) -> None:
    """Write the run; `run.json` comes last, so a directory that has it is complete."""
    directory.mkdir(parents=True, exist_ok=True)
    (directory / RUN).unlink(missing_ok=True)
    lines = "".join(f"{p.model_dump_json(exclude_none=True)}\n" for p in predictions)
    (directory / PREDICTIONS).write_text(lines, encoding="utf-8")
    (directory / RUN).write_text(run.model_dump_json(indent=2) + "\n", encoding="utf-8")


def load(directory: Path) -> tuple[Run, list[Prediction]]:
    """A saved run. ConfigProblem if it is none; BadRequest names a broken line."""
    try:
        run = Run.model_validate_json((directory / RUN).read_bytes())
        lines = (directory / PREDICTIONS).read_bytes().splitlines()
    except OSError as error:
        raise ConfigProblem(
            f"{directory} is no saved run: {error.strerror} ({Path(error.filename).name})"
        ) from error
    except ValidationError as error:
        raise ConfigProblem(f"{directory / RUN}: {error.errors()[0]['msg']}") from error
    predictions = []
    for number, line in enumerate(lines, start=1):
        try:
            predictions.append(Prediction.model_validate_json(line))
        except ValidationError as error:
            raise BadRequest(
                f"{directory / PREDICTIONS}, line {number}: {error.errors()[0]['msg']}"
            ) from error
    return run, predictions
