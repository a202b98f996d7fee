"""What people finally said of an issue's labels, against what the bot had said. Pure.

A function of everything that happened to the issue, whatever order it is told in: acts are put in
GitHub's order here. Only acts of people who may triage speak; the bot's own are what they are
compared with; everybody else's (other bots, issue templates, people without rights) move labels,
but say nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from app.core.taxonomy import Dimension, Taxonomy


class Kind(StrEnum):
    """What was done."""

    LABELED = "labeled"
    UNLABELED = "unlabeled"
    CLOSED = "closed"
    REOPENED = "reopened"


class Hand(StrEnum):
    """Whose act it is: ours, of a person who may triage, or of somebody who does not count."""

    OURS = "ours"
    PERSON = "person"
    OTHER = "other"


class Change(StrEnum):
    """What people did with a dimension of an issue, compared with what the bot had said."""

    ADDED = "added"
    REMOVED = "removed"
    REPLACED = "replaced"
    CONFIRMED = "confirmed"


@dataclass(frozen=True, order=True)
class Place:
    """Where an act stands in the order of what happened; times have whole seconds.

    Within a second what GitHub lists goes by its ids. Before it comes what a person told us to
    do, which we did afterwards; after it what only a webhook told, of which GitHub's list was late.
    """

    at: datetime
    rank: int = 0
    number: int = 0
    tie: str = ""


@dataclass(frozen=True)
class Act:
    """One thing that was done. `label` is the GitHub name in the taxonomy's words.

    `judged` is true for a closing that says the report was dealt with.
    """

    place: Place
    kind: Kind
    hand: Hand
    label: str = ""
    judged: bool = False
    actor_id: int = 0
    actor: str = ""


@dataclass(frozen=True)
class Finding:
    """People's word on one dimension; label names are the taxonomy's.

    `doubt` is why nothing is to be learnt from it, if it is unclear what people meant.
    """

    dimension: str
    change: Change
    labels: tuple[str, ...]
    predicted: tuple[str, ...]
    actor_id: int
    actor: str
    happened_at: datetime
    doubt: str | None = None


AMBIGUOUS = "a label that no person set stands there"


def derive(taxonomy: Taxonomy, acts: Iterable[Act], noted: Iterable[str] = ()) -> list[Finding]:
    """One finding for each dimension that people spoke of, in the taxonomy's order.

    `noted` are GitHub names of labels that we know we wrote, for where no act of ours tells it.
    """
    ordered = sorted(acts, key=lambda act: act.place)
    closing = _closing(ordered)
    ours = list(noted)
    found = (_finding(dimension, ordered, ours, closing) for dimension in taxonomy.dimensions)
    return [finding for finding in found if finding is not None]


def _closing(ordered: Sequence[Act]) -> Act | None:
    """The act by which a person closed the issue as dealt with, if it is closed by that now."""
    states = [act for act in ordered if act.kind in (Kind.CLOSED, Kind.REOPENED)]
    if not states:
        return None
    last = states[-1]
    counts = last.kind is Kind.CLOSED and last.hand is Hand.PERSON and last.judged
    return last if counts else None


def _finding(
    dimension: Dimension, ordered: Sequence[Act], noted: Sequence[str], closing: Act | None
) -> Finding | None:
    names = {label.github.casefold(): label.name for label in dimension.labels}
    touches = [act for act in ordered if act.label.casefold() in names]
    story = _Story([(names[act.label.casefold()], act) for act in touches])
    known = {names[name.casefold()] for name in noted if name.casefold() in names}
    spoke = story.spoken
    if not spoke:
        return _confirmation(dimension, story, closing)
    labels, predicted = story.by_people(dimension), story.predicted(known)
    if not labels and not predicted:
        return None
    doubt = AMBIGUOUS if not labels and story.standing else None
    return _make(dimension, labels, predicted, spoke[-1], doubt)


def _confirmation(dimension: Dimension, story: _Story, closing: Act | None) -> Finding | None:
    """Who closes an issue with our labels on it lets them stand: a word, if a weak one."""
    if closing is None:
        return None
    left = {
        name
        for name, act in story.standing.items()
        if act.hand is Hand.OURS and act.place < closing.place
    }
    return _make(dimension, left, left, closing, None) if left else None


class _Story:
    """What happened to one dimension of one issue, oldest first, by the taxonomy's label names."""

    def __init__(self, touches: Sequence[tuple[str, Act]]) -> None:
        self.touches = touches
        self.spoken = [act for _, act in touches if act.hand is Hand.PERSON]
        self.standing = _replay(touches)
        self._word = {name: act.kind for name, act in touches if act.hand is Hand.PERSON}

    def by_people(self, dimension: Dimension) -> set[str]:
        """The labels that stand by people's word, what they left of ours included.

        Of an exclusive dimension a label they set replaces ours, though both may stand.
        """
        set_by_them = {n for n in self.standing if self._word.get(n) is Kind.LABELED}
        left = {
            name
            for name, act in self.standing.items()
            if act.hand is Hand.OURS and name not in self._word
        }
        return set_by_them if set_by_them and dimension.exclusive else set_by_them | left

    def predicted(self, known: set[str]) -> set[str]:
        """What the bot had said before any person spoke.

        Later writes of ours only carry out what people tell us. A label we know we wrote counts
        where GitHub names nobody, or somebody else, for it.
        """
        first = self.spoken[0].place
        told = [(n, a) for n, a in self.touches if a.hand is Hand.OURS]
        said = set(_replay([(n, a) for n, a in told if a.place < first]))
        return said | (known - {name for name, _ in told})


def _replay(touches: Sequence[tuple[str, Act]]) -> dict[str, Act]:
    """The labels that are on after these acts, each with the act that put it there."""
    standing: dict[str, Act] = {}
    for name, act in touches:
        if act.kind is Kind.LABELED:
            standing[name] = act
        else:
            standing.pop(name, None)
    return standing


def _make(
    dimension: Dimension, labels: set[str], predicted: set[str], by: Act, doubt: str | None
) -> Finding:
    return Finding(
        dimension=dimension.name,
        change=_change(labels, predicted),
        labels=_in_order(dimension, labels),
        predicted=_in_order(dimension, predicted),
        actor_id=by.actor_id,
        actor=by.actor,
        happened_at=by.place.at,
        doubt=doubt,
    )


def _change(labels: set[str], predicted: set[str]) -> Change:
    if labels == predicted:
        return Change.CONFIRMED
    if labels > predicted:
        return Change.ADDED
    return Change.REMOVED if labels < predicted else Change.REPLACED


def _in_order(dimension: Dimension, names: set[str]) -> tuple[str, ...]:
    return tuple(name for name in dimension.names if name in names)
