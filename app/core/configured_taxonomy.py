"""The taxonomy of a repository: the default one, changed as its configuration says."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from pydantic import ValidationError

from app.core import config_words
from app.core.config_rules import MAX_DIMENSIONS, MAX_LABELS, DimensionRule, GateRule, LabelRule
from app.core.taxonomy import DEFAULT_TAXONOMY, Dimension, Label, Taxonomy

NEW_COLOR = "ededed"
# Of comments, as app.core.commands knows it; a dimension of that name could not be set by one.
COMMAND = "triage"
Path = tuple[str | int, ...]
Rules = Mapping[str, DimensionRule | Literal[False]]


@dataclass
class Built:
    """A taxonomy, or the mistakes that stand in its way, each with the path of its key."""

    taxonomy: Taxonomy | None = None
    mistakes: list[tuple[Path, str]] = field(default_factory=list)


def build(rules: Rules, gate: GateRule | Literal[False] | None, *, create_labels: bool) -> Built:
    """`gate` None is the default gate, which goes where its dimension or label goes."""
    built = Built()
    dimensions = [d for d in _dimensions(rules, built, create_labels) if d is not None]
    if not dimensions and not built.mistakes:
        built.mistakes.append((("dimensions",), "every dimension is dropped: keep one"))
    if len(dimensions) > MAX_DIMENSIONS:
        built.mistakes.append((("dimensions",), f"more than {MAX_DIMENSIONS} dimensions"))
    _refuse_twins(dimensions, built)
    opens = _gate(dimensions, gate, built)
    if not built.mistakes:
        built.taxonomy = Taxonomy(dimensions=tuple(dimensions), gate=opens)
    return built


def _dimensions(rules: Rules, built: Built, create: bool) -> list[Dimension | None]:
    found: list[Dimension | None] = []
    known = {d.name: d for d in DEFAULT_TAXONOMY.dimensions}
    for name in (*known, *(name for name in rules if name not in known)):
        rule = rules.get(name, DimensionRule())
        if rule is not False:
            found.append(_dimension(name, known.get(name), rule, built, create))
        elif name not in known:
            built.mistakes.append((("dimensions", name), "there is no such dimension to drop"))
    return found


def _dimension(
    name: str, known: Dimension | None, rule: DimensionRule, built: Built, create: bool
) -> Dimension | None:
    path: Path = ("dimensions", name)
    question = rule.question or (known.question if known else None)
    if question is None:
        built.mistakes.append(((*path, "question"), "a new dimension needs a question"))
    labels = _labels(path, known, rule, built, create)
    if len(labels) < 2 or len(labels) > MAX_LABELS:
        few = f"a dimension needs 2 to {MAX_LABELS} labels, this one has {len(labels)}"
        built.mistakes.append(((*path, "labels"), few))
        return None
    if question is None:
        return None
    base = known or Dimension(name=name, question=question, labels=tuple(labels))
    return Dimension(
        name=name,
        title=rule.rename,
        question=question,
        labels=tuple(labels),
        exclusive=base.exclusive if rule.exclusive is None else rule.exclusive,
        written=base.written if rule.written is None else rule.written,
        gated=base.gated if rule.gated is None else rule.gated,
    )


def _labels(
    path: Path, known: Dimension | None, rule: DimensionRule, built: Built, create: bool
) -> list[Label]:
    present = {label.name: label for label in known.labels} if known else {}
    prefix = rule.rename or str(path[-1])
    found: list[Label] = []
    for name in (*present, *(name for name in rule.labels if name not in present)):
        said, where = rule.labels.get(name, LabelRule()), (*path, "labels", name)
        if said is False:
            if name not in present:
                built.mistakes.append((where, "there is no such label to drop"))
            continue
        try:
            found.append(_label(name, prefix, present.get(name), said, create))
        except ValidationError as error:
            built.mistakes += [(where, _words(one)) for one in error.errors()]
        except KeyError:
            built.mistakes.append(((*where, "description"), "a new label needs a description"))
    return found


def _label(name: str, prefix: str, known: Label | None, rule: LabelRule, create: bool) -> Label:
    """KeyError without a description, ValidationError for a name that GitHub would not take."""
    description = rule.description or (known.description if known else None)
    if description is None:
        raise KeyError(name)
    color = rule.color.removeprefix("#").lower() if rule.color else None
    aliased = rule.github is not None
    return Label(
        name=name,
        github=rule.github or f"{prefix}: {name}",
        description=description,
        color=color or (known.color if known else NEW_COLOR),
        create=(create and not aliased) if rule.create is None else rule.create,
    )


def _refuse_twins(dimensions: Sequence[Dimension], built: Built) -> None:
    called: dict[str, str] = {}
    written: dict[str, str] = {}
    for dimension in dimensions:
        path: Path = ("dimensions", dimension.name)
        for word in {word_of(dimension.name), word_of(dimension.called)}:
            if word == COMMAND:
                built.mistakes.append((path, f"`/{COMMAND}` is a command: choose another name"))
            if called.setdefault(word, dimension.name) != dimension.name:
                built.mistakes.append((path, f"{word!r} names two dimensions"))
        _refuse_twin_labels(dimension, written, built)


def _refuse_twin_labels(dimension: Dimension, written: dict[str, str], built: Built) -> None:
    path: Path = ("dimensions", dimension.name, "labels")
    names: set[str] = set()
    for label in dimension.labels:
        if label.name.casefold() in names:
            built.mistakes.append(((*path, label.name), "stands twice, in another case"))
        names.add(label.name.casefold())
        # GitHub compares label names without case.
        place = f"{dimension.name}/{label.name}"
        earlier = written.setdefault(label.github.casefold(), place)
        if earlier != place:
            where = (*path, label.name, "github")
            built.mistakes.append((where, f"{label.github!r} stands for {earlier} already"))


def _gate(
    dimensions: Sequence[Dimension], gate: GateRule | Literal[False] | None, built: Built
) -> tuple[str, str] | None:
    if gate is False:
        return None
    asked = gate or GateRule()
    for dimension in dimensions:
        if dimension.name == asked.dimension and asked.label in dimension.names:
            return dimension.name, asked.label
    if gate is not None:
        there = any(dimension.name == asked.dimension for dimension in dimensions)
        key, name = ("label", asked.label) if there else ("dimension", asked.dimension)
        built.mistakes.append((("gate", key), f"there is no {key} {name!r}"))
    return None


def word_of(name: str) -> str:
    """As in a command: case and the kind of blank do not count."""
    return "-".join(name.casefold().split())


def _words(error: Any) -> str:
    # What is too long is made of the dimension's name and the label's, unless `github` names it.
    told = "its name on GitHub " if error["loc"][-1:] == ("github",) else ""
    said = config_words.words(error)
    return told + said if said.startswith("has more") else said
