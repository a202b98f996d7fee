"""Proposes what a repository's labels mean: answers of ours, a question of its own, or nothing.

Each proposal carries its reason. The outcome is an ordinary mapping (`training.mapping`): a person
may save it, edit it, and pass it back.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum

from app.core.config_rules import MAX_DIMENSIONS, MAX_LABELS
from app.core.taxonomy import AUTOMATION_LABELS, Taxonomy
from app.github.models import RepositoryLabel
from training.mapping import LabelMapping, OwnDimension
from training.preview import names
from training.preview.names import Anatomy

# A prefix that so many labels share is a question the repository asks.
FAMILY = 3
# A bug that was looked into is one all the same.
_JUDGED = ("confirmed", "unconfirmed", "verified")
_SEVERITIES = ("critical", "high", "medium", "low")
PREFERRED = {
    "kind": ("bug", "question", "feature"),
    "severity": _SEVERITIES,
    "reproducibility": ("rare", "sometimes", "always"),
}


class Role(StrEnum):
    """What a label is taken for."""

    ANSWER = "answer"
    OWN = "own"
    PROCESS = "process"
    UNKNOWN = "unknown"


@dataclass
class Proposed:
    """One label with what it is taken for, and why. `answers` maps dimension to answer."""

    name: str
    description: str
    used: int
    role: Role = Role.UNKNOWN
    answers: dict[str, str] = field(default_factory=dict)
    reason: str = "its name says nothing we know"


@dataclass
class Proposal:
    """Every label in order of use, and the questions of the repository's own."""

    labels: list[Proposed]
    dimensions: dict[str, OwnDimension] = field(default_factory=dict)

    def mapping(self, repository: str) -> LabelMapping | None:
        """As a mapping; None if no label means anything."""
        meanings = {label.name: label.answers for label in self.labels if label.answers}
        if not meanings:
            return None
        asked = {dimension for answers in meanings.values() for dimension in answers}
        return LabelMapping(
            repositories=(repository,),
            labels=meanings,
            prefer={name: said for name, said in PREFERRED.items() if name in asked},
            dimensions={n: d for n, d in self.dimensions.items() if n in asked},
        )


def propose(
    labels: Sequence[RepositoryLabel], used: Mapping[str, int], taxonomy: Taxonomy
) -> Proposal:
    """What `labels` mean under `taxonomy`; `used` counts the issues that carry each (folded)."""
    proposed = [
        Proposed(label.name, label.description or "", used.get(label.name.casefold(), 0))
        for label in labels
    ]
    taken = {p.name: names.anatomy(p.name) for p in proposed}
    ranks = _ranks(taken.values())
    for one in proposed:
        _judge(one, taken[one.name], ranks, taxonomy)
    found = Proposal(sorted(proposed, key=lambda p: (-p.used, p.name.casefold())))
    _own(found, taken, taxonomy)
    return found


def _judge(one: Proposed, found: Anatomy, ranks: Mapping[int, str], taxonomy: Taxonomy) -> None:
    if names.folded_automation(one.name) in AUTOMATION_LABELS:
        one.role, one.reason = Role.PROCESS, "other software takes it as an order"
        return
    phrase = names.says_process(found)
    if phrase is not None:
        one.role, one.reason = Role.PROCESS, f"{phrase!r} says what is done about an issue"
        if "kind" in taxonomy and phrase in _JUDGED and {"bug", "bugs"} & set(found.words):
            one.answers = {"kind": "bug"}
        return
    number = names.rank(found)
    if number is not None and number in ranks and "severity" in taxonomy:
        one.role, one.answers = Role.ANSWER, {"severity": ranks[number]}
        one.reason = f"number {number} of the priorities in use"
        return
    for dimension in _asked(found, taxonomy):
        hit = names.answer(dimension, found.words) or (
            names.answer(dimension, names.words_of(one.name)) if found.family is None else None
        )
        if hit is None or hit[0] not in taxonomy[dimension].names:
            continue
        one.role = Role.ANSWER
        one.answers[dimension] = hit[0]
        where = f", and {found.prefix!r} asks for it" if found.family == dimension else ""
        one.reason = f"{hit[1]!r} means {hit[0]}{where}"
        # A crash is a bug as well, a slow renderer no second component.
        break
    if one.answers.get("severity") and _says_crash(found) and "kind" in taxonomy:
        one.answers["kind"] = "bug"
    if one.role is Role.UNKNOWN:
        _by_description(one, found, taxonomy)


def _asked(found: Anatomy, taxonomy: Taxonomy) -> list[str]:
    """The dimensions a name may answer: its family's first; a platform none of ours."""
    if found.family == "platform" or (not found.prefix and set(found.words) <= names.PLATFORMS):
        return []
    order = ["kind", "severity", "reproducibility", "component"]
    if found.family in order:
        first = [found.family] if found.family != "kind" else ["kind", "severity", "component"]
        return [d for d in first if d in taxonomy]
    return [d for d in order if d in taxonomy]


def _says_crash(found: Anatomy) -> bool:
    return bool({"crash", "crashes", "crasher", "hang", "freeze", "segfault"} & set(found.words))


def _by_description(one: Proposed, found: Anatomy, taxonomy: Taxonomy) -> None:
    """A component whose description names one area at least twice, or only one."""
    if "component" not in taxonomy or found.family not in (None, "component"):
        return
    if not set(found.words).isdisjoint(names.PLATFORMS):
        return
    words = names.words_of(one.description)
    counts = Counter(
        answer
        for word in words
        for answer, known in names.ANSWERS["component"].items()
        if word in known and answer != "other"
    )
    if not counts:
        return
    (best, count), *rest = counts.most_common()
    if best in taxonomy["component"].names and (not rest or count >= 2 * rest[0][1]):
        one.role, one.answers = Role.ANSWER, {"component": best}
        one.reason = f"its description speaks of {best}"


def _ranks(found: Iterable[Anatomy]) -> dict[int, str]:
    """Which severity the numbers of a numbered priority mean: spread over those in use."""
    used = sorted({n for a in found if (n := names.rank(a)) is not None})
    if len(used) < 2:
        return {}
    if used[0] == 0 or len(used) >= 4:
        meant: Sequence[str] = _SEVERITIES
    else:
        meant = _SEVERITIES[1:]
    return {n: meant[min(place, len(meant) - 1)] for place, n in enumerate(used)}


def _own(found: Proposal, taken: Mapping[str, Anatomy], taxonomy: Taxonomy) -> None:
    """Questions of the repository's own: families of labels, and platforms without a prefix."""
    families: dict[str, list[Proposed]] = defaultdict(list)
    for one in found.labels:
        a = taken[one.name]
        if one.role is Role.PROCESS or a.family in ("kind", "severity", "reproducibility"):
            continue
        if a.family == "platform" or (not a.prefix and a.words and set(a.words) <= names.PLATFORMS):
            families["platform"].append(one)
        elif a.prefix:
            families[_called(a)].append(one)
    room = MAX_DIMENSIONS - len(taxonomy.dimensions)
    for name, members in sorted(families.items(), key=lambda f: -sum(p.used for p in f[1])):
        in_use = [p for p in members if p.used][:MAX_LABELS]
        if len(in_use) < FAMILY or len(found.dimensions) >= room:
            continue
        dimension = name if name not in taxonomy else f"own {name}"
        _keep_apart(in_use, taxonomy)
        found.dimensions[dimension] = OwnDimension(question=f"Which {name} is it about?")
        for one in in_use:
            one.answers[dimension] = _answer_name(one, taken[one.name], in_use, taken)
            if one.role is Role.UNKNOWN:
                one.role = Role.OWN
                one.reason = f"one of {len(in_use)} labels that begin with {name!r}"
                if name == "platform":
                    one.reason = "names a platform"


def _keep_apart(members: Sequence[Proposed], taxonomy: Taxonomy) -> None:
    """A family that mostly means none of our components is not squeezed into them."""
    if "component" not in taxonomy:
        return
    fits = [p for p in members if "component" in p.answers]
    if 2 * len(fits) >= len(members):
        return
    for one in fits:
        del one.answers["component"]
        one.role = Role.OWN
        one.reason = f"only {len(fits)} of the {len(members)} labels like it are components of ours"


def _called(found: Anatomy) -> str:
    """What a family is called: letters and signs get the word they stand for."""
    if len(found.prefix) > 1:
        return re.sub(r"\s+", "-", found.prefix)[:50]
    return "area" if found.family == "component" else f"{found.prefix}-labels"


def _answer_name(
    one: Proposed, found: Anatomy, others: Sequence[Proposed], taken: Mapping[str, Anatomy]
) -> str:
    short = found.rest.strip().casefold()[:50].strip()
    twins = sum(taken[o.name].rest.strip().casefold()[:50].strip() == short for o in others)
    return short if short and twins == 1 else one.name[:50].strip()
