"""What a preview says: typed, JSON both ways, every share with its interval and size."""

from __future__ import annotations

from datetime import datetime
from typing import Literal

from pydantic import AwareDatetime

from training.figures import Figure, Record

Verdict = Literal["right", "wrong", "unlabelled", "unknown"]


class Issue(Record):
    """An issue as the page names it."""

    number: int | None
    title: str
    url: str | None
    filed_at: AwareDatetime


class Point(Record):
    """Answering only from this probability on. `precision` is right of all written.

    `unlabelled` were written where people left the dimension empty; they count as wrong, and
    `precision_labelled` leaves them out. `coverage` is written of all newest issues.
    """

    threshold: float
    written: int
    right: int
    unlabelled: int
    precision: Figure
    precision_labelled: Figure
    coverage: Figure


class LabelFigures(Record):
    """One answer. `share` is how often it is right on all newest issues: the majority's bar.

    `threshold` was chosen on the older issues for the target; None if none reaches it there.
    `found` at the proposed threshold: of the newest issues that carry it, those that would get it.
    """

    name: str
    github: tuple[str, ...]
    older: int
    newest: int
    share: Figure
    threshold: float | None
    proposed: Point | None
    found: Figure | None
    points: tuple[Point, ...]


class Entrant(Record):
    """How often a learner's likeliest answer is right on newest issues people answered."""

    name: str
    chosen: bool
    loss: float | None
    accuracy: Figure


class Answer(Record):
    """What was said of one newest issue, for the slider: which label, how surely, how right."""

    label: int
    p: float
    verdict: Verdict


class DimensionFigures(Record):
    """One dimension. `lacking` says in words why nothing could be measured; figures are empty then.

    `labelled` is the share of newest issues that people gave an answer.
    """

    name: str
    question: str
    own: bool
    exclusive: bool
    older: int
    newest: int
    lacking: str | None = None
    learner: str | None = None
    labelled: Figure | None = None
    majority: str | None = None
    majority_accuracy: Figure | None = None
    entrants: tuple[Entrant, ...] = ()
    proposed: Point | None = None
    points: tuple[Point, ...] = ()
    labels: tuple[LabelFigures, ...] = ()
    answers: tuple[Answer, ...] = ()


class Mistake(Record):
    """A sure and wrong answer to one of the newest issues."""

    issue: Issue
    dimension: str
    said: str
    p: float
    people: tuple[str, ...]


class Would(Record):
    """What would have been written on an issue in one dimension; `answer` None if nothing."""

    dimension: str
    answer: str | None
    p: float
    verdict: Verdict
    people: tuple[str, ...]


class Recent(Record):
    """An issue of the last month, and what would have been done."""

    issue: Issue
    would: tuple[Would, ...]


class Meaning(Record):
    """A label of the repository and what it was taken for."""

    name: str
    description: str
    issues: int
    role: str
    answers: dict[str, str]
    reason: str


class Suspect(Record):
    """A label that looks wrong: cross-validation says `likely` and gives `labelled` little."""

    issue: Issue
    dimension: str
    labelled: tuple[str, ...]
    p_labelled: float
    likely: str
    p: float


class Overlap(Record):
    """Two labels that say much the same; `why` in words."""

    one: str
    other: str
    n: int
    why: str


class Legible(Record):
    """How well a label can be known from the text: area under the ROC curve, 0.5 is chance.

    `days` is the median delay between filing and label; `process` says why the name tells of a
    process, None if it does not.
    """

    name: str
    issues: int
    auc: Figure
    days: float | None
    process: str | None
    verdict: Literal["from the text", "partly", "not from the text", "too few issues"]


class Preview(Record):
    """Everything the page says. `lacking` are reasons why there is too little to say anything."""

    version: Literal[1] = 1
    repository: str
    private: bool | None
    made_at: AwareDatetime
    model: str | None
    issues: int
    triaged: int
    older: int
    newest: int
    repeats: int
    first_filed: datetime | None
    last_filed: datetime | None
    cut: datetime | None
    as_filed: int
    bot_labels: int
    target: float
    knows: bool
    lacking: tuple[str, ...]
    dimensions: tuple[DimensionFigures, ...]
    mistakes: tuple[Mistake, ...]
    recent_from: datetime | None
    recent: tuple[Recent, ...]
    recent_left_out: int
    meanings: tuple[Meaning, ...]
    suspects: tuple[Suspect, ...]
    missing: tuple[Suspect, ...]
    overlaps: tuple[Overlap, ...]
    few: tuple[Meaning, ...]
    legible: tuple[Legible, ...]
    mapping: str | None
    config: str | None
    config_problem: str | None = None
