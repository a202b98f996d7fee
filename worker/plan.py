"""The difference between the labels an issue has and the ones decided for it. Pure."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from app.core.decision import Hands, Reason
from app.core.taxonomy import Dimension, Label, Taxonomy

DELETED = "the label was deleted from the repository"
MISSING = "the repository has no such label, and none is to be created"
UNKNOWN = "the label is not in the taxonomy any more"


@dataclass(frozen=True)
class Plan:
    """What to write. `kept` maps a dimension that is left alone to the reason."""

    add: tuple[Label, ...] = ()
    remove: tuple[str, ...] = ()
    kept: Mapping[str, str] = field(default_factory=dict)

    def less(self, taxonomy: Taxonomy, deleted: Collection[str], why: str = DELETED) -> Plan:
        """Leave every dimension alone that needs one of the `deleted` label names, and say why."""
        gone = {name.casefold() for name in deleted}
        given_up = {
            owner[0].name: why
            for label in self.add
            if label.github.casefold() in gone and (owner := taxonomy.owner_of(label.github))
        }

        def stays(name: str) -> bool:
            owner = taxonomy.owner_of(name)
            return owner is None or owner[0].name not in given_up

        return Plan(
            tuple(label for label in self.add if stays(label.github)),
            tuple(name for name in self.remove if stays(name)),
            {**self.kept, **given_up},
        )


def plan(
    taxonomy: Taxonomy, wanted: Mapping[str, Sequence[str]], live: Iterable[str], hands: Hands
) -> Plan:
    """What is missing, and which of our own labels an exclusive dimension has to lose for it.

    wanted: dimension -> GitHub label names. live: the names on the issue now. Done twice, the
    second plan is empty.
    """
    present = {name.casefold(): name for name in live}
    add: list[Label] = []
    remove: list[str] = []
    kept: dict[str, str] = {}
    for dimension in taxonomy.written:
        names = wanted.get(dimension.name, ())
        if not names:
            continue
        if hands.touched(dimension):
            kept[dimension.name] = str(Reason.PERSON_DECIDED)
            continue
        labels = _labels(dimension, names)
        if labels is None:
            kept[dimension.name] = UNKNOWN
            continue
        add += [label for label in labels if label.github.casefold() not in present]
        if dimension.exclusive:
            remove += _stale(dimension, labels, present)
    return Plan(tuple(add), tuple(remove), kept | _unknown_dimensions(taxonomy, wanted))


def _labels(dimension: Dimension, names: Sequence[str]) -> list[Label] | None:
    by_name = {label.github.casefold(): label for label in dimension.labels}
    found = [by_name.get(name.casefold()) for name in names]
    return None if None in found else [label for label in found if label is not None]


def _stale(dimension: Dimension, labels: list[Label], present: Mapping[str, str]) -> list[str]:
    # Nobody touched the dimension, so what stands there of it is ours.
    wanted = {label.github.casefold() for label in labels}
    ours = {label.github.casefold() for label in dimension.labels}
    return [name for folded, name in present.items() if folded in ours - wanted]


def _unknown_dimensions(taxonomy: Taxonomy, wanted: Mapping[str, Sequence[str]]) -> dict[str, str]:
    known = {dimension.name for dimension in taxonomy.written}
    return {name: UNKNOWN for name in wanted if name not in known}
