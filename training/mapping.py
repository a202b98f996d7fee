"""Turns a repository's own labels into the taxonomy, by a TOML file a maintainer can read.

    repositories = ["godotengine/godot"]

    [labels]                                  # a label of the repository -> our answers
    "topic:rendering" = { component = "graphics" }
    crash = { severity = "critical" }

    [prefer]                                  # several labels disagree: the first named wins
    severity = ["critical", "high"]

    [dimensions.platform]                     # a question of the repository's own, for a preview
    question = "Which platform is it about?"
    exclusive = false                         # an issue may carry several of its labels

Label names are compared without case. Where labels disagree and nothing is preferred, nobody
knows: the dimension stays without an answer. Labels a bot put on count for nothing.
"""

from __future__ import annotations

import tomllib
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from app.core.errors import ConfigProblem
from app.core.taxonomy import Taxonomy
from training.example import Answer, Example, GitHubLabel, Provenance

SHIPPED = Path(__file__).parent / "mappings"


class OwnDimension(BaseModel):
    """A question that the taxonomy does not ask; its answers stand under `labels`."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    question: str = Field(min_length=1, max_length=200)
    exclusive: bool = False


class LabelMapping(BaseModel):
    """A mapping file; see the module's docstring."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    repositories: tuple[str, ...] = Field(min_length=1)
    labels: dict[str, dict[str, str]] = Field(min_length=1)
    prefer: dict[str, tuple[str, ...]] = Field(default_factory=dict)
    dimensions: dict[str, OwnDimension] = Field(default_factory=dict)


@dataclass
class Mapped:
    """What came of it: rows, and how often each label was met, unknown, a bot's, or disputed."""

    examples: list[Example] = field(default_factory=list)
    used: Counter[str] = field(default_factory=Counter)
    unknown: Counter[str] = field(default_factory=Counter)
    by_bots: int = 0
    disputed: Counter[str] = field(default_factory=Counter)
    # Repositories of rows that no mapping covers.
    uncovered: Counter[str] = field(default_factory=Counter)


def load(path: Path, taxonomy: Taxonomy) -> LabelMapping:
    """A mapping file, checked against the taxonomy. ConfigProblem says what is wrong with it."""
    try:
        found = LabelMapping.model_validate(tomllib.loads(path.read_text(encoding="utf-8")))
    except OSError as error:
        raise ConfigProblem(f"cannot read {path}: {error.strerror}") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigProblem(f"{path} is not TOML: {error}") from error
    except ValidationError as error:
        first = error.errors()[0]
        raise ConfigProblem(
            f"{path}: {'.'.join(map(str, first['loc']))}: {first['msg']}"
        ) from error
    answers = [(name, a) for name, said in found.labels.items() for a in said.items()]
    answers += [("prefer", (d, label)) for d, labels in found.prefer.items() for label in labels]
    for own in found.dimensions:
        if own in taxonomy:
            raise ConfigProblem(f"{path}: dimensions: {own!r} is in the taxonomy already")
    for name, (dimension, label) in answers:
        if dimension in found.dimensions:
            continue
        if dimension not in taxonomy or label not in taxonomy[dimension].names:
            raise ConfigProblem(f"{path}: {name!r}: {dimension}/{label} is not in the taxonomy")
    return found


def shipped(taxonomy: Taxonomy) -> list[LabelMapping]:
    """The mappings that come with Triora."""
    return [load(path, taxonomy) for path in sorted(SHIPPED.glob("*.toml"))]


def apply(examples: Sequence[Example], mappings: Sequence[LabelMapping]) -> Mapped:
    """Examples with labels from their GitHub labels (provenance imported).

    A label an example already has in a dimension stays.
    """
    by_repository = {
        name.casefold(): mapping for mapping in mappings for name in mapping.repositories
    }
    mapped = Mapped()
    for example in examples:
        mapping = by_repository.get(example.repository.casefold())
        if mapping is None:
            mapped.uncovered[example.repository] += 1
            mapped.examples.append(example)
            continue
        answers = _answers(example.github_labels, mapping, mapped)
        mapped.examples.append(example.model_copy(update={"labels": {**answers, **example.labels}}))
    return mapped


def _answers(
    labels: Sequence[GitHubLabel], mapping: LabelMapping, mapped: Mapped
) -> dict[str, Answer]:
    known: Mapping[str, dict[str, str]] = {k.casefold(): v for k, v in mapping.labels.items()}
    said: dict[str, dict[str, GitHubLabel]] = {}
    for label in labels:
        if label.by_type == "Bot":
            mapped.by_bots += 1
            continue
        meaning = known.get(label.name.casefold())
        (mapped.unknown if meaning is None else mapped.used)[label.name] += 1
        for dimension, answer in (meaning or {}).items():
            # Training rows answer the taxonomy's questions alone.
            if dimension in mapping.dimensions:
                continue
            said.setdefault(dimension, {}).setdefault(answer, label)
    found = {}
    for dimension, answers in said.items():
        chosen = _chosen(list(answers), mapping.prefer.get(dimension, ()))
        if chosen is None:
            mapped.disputed[dimension] += 1
            continue
        source = answers[chosen]
        found[dimension] = Answer(
            label=chosen, provenance=Provenance.IMPORTED, by=source.by, at=source.at
        )
    return found


def _chosen(answers: Sequence[str], prefer: Sequence[str]) -> str | None:
    if len(answers) == 1:
        return answers[0]
    return next((answer for answer in prefer if answer in answers), None)
