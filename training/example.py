"""One row of training data: an issue as it was filed, and what is known to be true of it.

A file is JSON Lines in UTF-8, one object a line:

    {"id": "godotengine/godot#1234", "repository": "godotengine/godot", "number": 1234,
     "author": "alice", "filed_at": "2024-05-01T12:00:00Z", "text_as_of": "filing",
     "title": "…", "body": "…",
     "labels": {"severity": {"label": "critical", "provenance": "human", "by": "bob"}},
     "github_labels": [{"name": "crash", "by": "bob", "by_type": "User", "at": "…"}]}

`id`, `repository`, `title` are required. `labels` may leave any dimension out: nothing is known
about it then, which is not the same as a wrong answer. Unknown keys are refused.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Literal

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

from app.core.text import MAX_BODY, MAX_TITLE, IssueText

Text = Annotated[str, Field(min_length=1, max_length=200)]


class Provenance(StrEnum):
    """Where a label comes from, from the most to the least trusted."""

    CORRECTED = "corrected"  # a maintainer replaced what the model said
    HUMAN = "human"  # a person labelled it without having seen a guess
    CONFIRMED = "confirmed"  # a maintainer let the model's answer stand, and said so
    IMPORTED = "imported"  # brought in: a repository's own labels, or another data set
    KEYWORD = "keyword"  # a label function guessed it; never truth

    @property
    def rank(self) -> int:
        """0 is the most trusted."""
        return list(Provenance).index(self)


class Answer(BaseModel):
    """The label of one dimension, with its provenance and, where known, who gave it and when."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    label: Text
    provenance: Provenance
    by: str | None = None
    at: AwareDatetime | None = None


class GitHubLabel(BaseModel):
    """A label the issue carried when it was collected, and who put it there."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: Text
    by: str | None = None
    by_type: str | None = None
    at: AwareDatetime | None = None


class Example(BaseModel):
    """An issue and its known labels; see the module's docstring for the row."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    id: Text
    repository: Text
    number: int | None = Field(default=None, ge=1)
    author: str | None = None
    filed_at: AwareDatetime | None = None
    # "filing": title and body as first written; "collected": as they stood when collected.
    text_as_of: Literal["filing", "collected"] | None = None
    # Rows of one group stay on one side of a split by group; the repository without it.
    group: str | None = None
    title: str = Field(min_length=1, max_length=MAX_TITLE)
    body: str = Field(default="", max_length=MAX_BODY)
    labels: dict[str, Answer] = Field(default_factory=dict)
    github_labels: tuple[GitHubLabel, ...] = ()

    @property
    def text(self) -> IssueText:
        """What a model gets to see of it."""
        return IssueText.of(self.title, self.body)

    def label(self, dimension: str) -> str | None:
        """The known label of a dimension, None if nothing is known."""
        answer = self.labels.get(dimension)
        return answer.label if answer is not None else None

    def holds(self, gate: tuple[str, str] | None) -> bool:
        """True if the taxonomy's gate label (kind bug) is known to be the true one."""
        return gate is not None and self.label(gate[0]) == gate[1]
