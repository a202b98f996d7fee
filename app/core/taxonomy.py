"""What is asked of an issue, and which answers are allowed."""

from __future__ import annotations

import hashlib
import json
import re
from functools import cached_property
from typing import Annotated, Self

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

Name = Annotated[str, Field(min_length=1, max_length=50, pattern=r"^\S(.*\S)?$")]


# Labels that other software takes as an order to merge, to run untrusted code or to deploy. Issue
# text steers which label we write, so these are never ours to write. Compared without case,
# separators between words do not count.
AUTOMATION_LABELS = frozenset(
    {
        "approved",
        "auto merge",
        "automerge",
        "autosquash",
        "autosubmit",
        "ci run",
        "deploy",
        "lgtm",
        "merge",
        "merge queue",
        "merge when ready",
        "ok to merge",
        "ok to test",
        "publish",
        "ready to merge",
        "release",
        "run ci",
        "run tests",
        "safe to merge",
        "safe to test",
        "trigger ci",
    }
)
_SEPARATORS = re.compile(r"[\s:/_.-]+")


def starts_automation(label: str) -> bool:
    """True for the name of a GitHub label that is never ours to write: AUTOMATION_LABELS."""
    return _SEPARATORS.sub(" ", label.casefold()).strip() in AUTOMATION_LABELS


class Label(BaseModel):
    """One allowed answer of a dimension, tied to one GitHub label.

    GitHub's limits hold here, so that a taxonomy that loads can be written: a label name of at
    most 50 characters, a description of at most 100, a colour of six hexadecimal digits.
    create: the GitHub label is made in a repository that never had it.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: Name
    github: Name
    description: str = Field(max_length=100)
    color: str = Field(pattern=r"^[0-9a-f]{6}$")
    create: bool = True

    @field_validator("github")
    @classmethod
    def _starts_nothing(cls, name: str) -> str:
        if starts_automation(name):
            raise ValueError(f"label {name!r} starts automation: choose another name")
        return name


class Dimension(BaseModel):
    """A question asked of an issue.

    exclusive: at most one label at a time (severity, reproducibility); several may hold otherwise.
    written: labels of this dimension are put on GitHub; a dimension may exist only to be scored.
    gated: the question makes sense for bugs only, so the gate may close it.
    title: what people call it where that is not its name; the model is always asked by the name.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: Name
    question: str
    labels: tuple[Label, ...] = Field(min_length=2)
    exclusive: bool = True
    written: bool = True
    gated: bool = False
    title: Name | None = None

    @property
    def called(self) -> str:
        """What people call it."""
        return self.title or self.name

    @cached_property
    def names(self) -> tuple[str, ...]:
        """Label names in their order, the order of every score vector."""
        return tuple(label.name for label in self.labels)

    def label(self, name: str) -> Label:
        """The label of that name; KeyError if this dimension has none."""
        for label in self.labels:
            if label.name == name:
                return label
        raise KeyError(name)

    def meant(self, word: str) -> Label | None:
        """The label that a person's word means: its name or its GitHub label's, in any case."""
        said = word.casefold()
        for label in self.labels:
            if said in (label.name.casefold(), label.github.casefold()):
                return label
        return None


class Taxonomy(BaseModel):
    """The dimensions of a repository. GitHub label names are unique over all of them."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    dimensions: tuple[Dimension, ...] = Field(min_length=1)
    # (dimension, label): gated dimensions are asked only where this label is likely enough.
    gate: tuple[str, str] | None = None

    @model_validator(mode="after")
    def _distinct(self) -> Self:
        _refuse_twins([d.name for d in self.dimensions], "dimension")
        for dimension in self.dimensions:
            _refuse_twins(list(dimension.names), f"label in {dimension.name}")
        # GitHub compares label names without case.
        _refuse_twins([x.github for d in self.dimensions for x in d.labels], "GitHub label")
        if self.gate is not None:
            asked, answer = self.gate
            if asked not in self or answer not in self[asked].names:
                raise ValueError(f"gate names {asked}/{answer}, which is not in the taxonomy")
        return self

    def __contains__(self, name: object) -> bool:
        return any(d.name == name for d in self.dimensions)

    def __getitem__(self, name: str) -> Dimension:
        for dimension in self.dimensions:
            if dimension.name == name:
                return dimension
        raise KeyError(name)

    def meant(self, word: str) -> Dimension | None:
        """The dimension that a person's word means: its title or its name, in any case."""
        said = word.casefold()
        for dimension in self.dimensions:
            if said in (dimension.called.casefold(), dimension.name.casefold()):
                return dimension
        return None

    @cached_property
    def written(self) -> tuple[Dimension, ...]:
        """The dimensions whose labels are put on GitHub."""
        return tuple(d for d in self.dimensions if d.written)

    def owner_of(self, github_name: str) -> tuple[Dimension, Label] | None:
        """Which of our labels a GitHub label name means, whatever its case; None if not ours."""
        folded = github_name.casefold()
        for dimension in self.dimensions:
            for label in dimension.labels:
                if label.github.casefold() == folded:
                    return dimension, label
        return None

    @cached_property
    def vocabulary(self) -> dict[str, tuple[str, ...]]:
        """Dimension name -> label names: what a model must have been trained for."""
        return {d.name: d.names for d in self.dimensions}

    @cached_property
    def digest(self) -> str:
        """SHA-256 (hex) over names and questions, in order: all that the model gets to see."""
        seen = [
            [d.name, d.question, [[x.name, x.description] for x in d.labels]]
            for d in self.dimensions
        ]
        return hashlib.sha256(json.dumps(seen, ensure_ascii=True).encode()).hexdigest()


def _refuse_twins(names: list[str], what: str) -> None:
    seen: set[str] = set()
    for name in names:
        if name.casefold() in seen:
            raise ValueError(f"{what} {name!r} stands twice")
        seen.add(name.casefold())


def _labels(dimension: str, rows: tuple[tuple[str, str, str], ...]) -> tuple[Label, ...]:
    return tuple(
        Label(name=name, github=f"{dimension}: {name}", description=description, color=color)
        for name, color, description in rows
    )


DEFAULT_TAXONOMY = Taxonomy(
    gate=("kind", "bug"),
    dimensions=(
        Dimension(
            name="kind",
            question="What does the report bring?",
            written=False,
            labels=_labels(
                "kind",
                (
                    ("bug", "d73a4a", "Something that exists does not work as it should"),
                    ("feature", "a2eeef", "Asks for something new or for a change of behaviour"),
                    ("question", "d876e3", "Asks for help or information"),
                ),
            ),
        ),
        Dimension(
            name="severity",
            question="How hard are affected users hit?",
            gated=True,
            labels=_labels(
                "severity",
                (
                    (
                        "critical",
                        "b60205",
                        "Crash, hang, data loss, security hole, or nothing starts or builds",
                    ),
                    (
                        "high",
                        "d93f0b",
                        "A major feature is broken and there is no easy way around it",
                    ),
                    (
                        "medium",
                        "fbca04",
                        "A feature misbehaves in part, or there is an easy way around it",
                    ),
                    ("low", "c2e0c6", "Cosmetic or trivial"),
                ),
            ),
        ),
        Dimension(
            name="component",
            question="Whose area is it?",
            exclusive=False,
            labels=_labels(
                "component",
                (
                    (
                        "ui",
                        "1d76db",
                        "Menus, windows, dialogs, editor interface, text in the interface",
                    ),
                    ("graphics", "5319e7", "Rendering, shaders, textures, lighting, drivers"),
                    ("audio", "0e8a16", "Sound, music, audio devices"),
                    (
                        "network",
                        "006b75",
                        "Multiplayer, servers and clients, connections, downloads",
                    ),
                    (
                        "save",
                        "bfd4f2",
                        "Saving and loading, file formats, import and export, settings files",
                    ),
                    ("performance", "f9d0c4", "Slowness, stutter, high CPU, GPU or memory use"),
                    ("other", "cccccc", "Everything else"),
                ),
            ),
        ),
        Dimension(
            name="reproducibility",
            question="How reliably does it happen?",
            gated=True,
            labels=_labels(
                "reproducibility",
                (
                    ("always", "0052cc", "Happens every time the steps or the condition are met"),
                    (
                        "sometimes",
                        "5b9bd5",
                        "Happens now and then, or no way to trigger it is known",
                    ),
                    ("rare", "c5def5", "Happened once or a few times, hard to reproduce"),
                ),
            ),
        ),
    ),
)
