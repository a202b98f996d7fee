"""Measures what Triora would do in a repository: learns from older issues, judges the newest."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from app.core.taxonomy import Taxonomy
from training.example import Example
from training.mapping import LabelMapping
from training.preview import audit, learners, points
from training.preview import dimensions as dimensions_of
from training.preview.figures import (
    DimensionFigures,
    Issue,
    Meaning,
    Mistake,
    Preview,
    Recent,
    Suspect,
    Would,
)
from training.preview.learners import NOTHING, Learned, Matter
from training.preview.proposal import Proposal
from training.preview.rows import History, Row, rows_of

# Below this nothing honest can be said of a repository.
LEAST_ISSUES = 50
MONTH = timedelta(days=30)
SHOWN_RECENT = 150
SHOWN_MISTAKES = 4

# Texts -> what the model makes of them; None learns from words alone.
Reader = Callable[[Sequence[Example]], Matter]


@dataclass(frozen=True)
class Subject:
    """What is looked at. `web` is the address of the repository's pages."""

    repository: str
    examples: Sequence[Example]
    proposal: Proposal
    mapping: LabelMapping | None
    taxonomy: Taxonomy
    web: str
    private: bool | None = None
    # Name of the model behind the reader.
    model: str | None = None
    target: float = points.TARGET


@dataclass
class _Work:
    """What is passed from step to step."""

    subject: Subject
    history: History
    matter: dict[str, Matter] = field(default_factory=dict)
    groups: list[int] = field(default_factory=list)
    learned: dict[str, Learned] = field(default_factory=dict)


def measure(subject: Subject, read: Reader) -> Preview:
    """The whole preview but its mapping file and configuration."""
    work = _Work(subject, rows_of(subject.examples, subject.mapping, subject.taxonomy))
    lacking = _lacking(work)
    dimensions: list[DimensionFigures] = []
    if not lacking:
        _read(work, read)
        dimensions = [_dimension(work, name) for name in _asked(work)]
    return _preview(work, dimensions, lacking)


def has_enough(subject: Subject) -> bool:
    """True if there is enough to measure anything by: a model need not be loaded otherwise."""
    history = rows_of(subject.examples, subject.mapping, subject.taxonomy)
    return not _lacking(_Work(subject, history))


def _lacking(work: _Work) -> list[str]:
    history, subject = work.history, work.subject
    triaged = sum(row.triaged for row in history.rows)
    if not subject.examples:
        return ["the repository has no issues that people filed"]
    if subject.mapping is None:
        return [
            "none of its labels means anything to us: write a mapping and pass it with --mapping"
        ]
    if triaged < LEAST_ISSUES:
        more = LEAST_ISSUES - triaged
        return [
            f"{triaged} of {len(subject.examples)} issues carry a label that means something; "
            f"{LEAST_ISSUES} are needed, {more} more"
        ]
    return []


def _read(work: _Work, read: Reader) -> None:
    history = work.history
    work.matter = {
        "older": read([row.example for row in history.older]),
        "newest": read([row.example for row in history.newest]),
        "recent": read([row.example for row in history.recent]),
    }
    work.groups = learners.near_duplicates(history.older)


def _asked(work: _Work) -> list[str]:
    mapping = work.subject.mapping
    assert mapping is not None  # noqa: S101 - `_lacking` ended it
    asked = {d for said in mapping.labels.values() for d in said}
    ours = [d.name for d in work.subject.taxonomy.dimensions if d.name in asked]
    return ours + [name for name in mapping.dimensions if name in asked]


def _dimension(work: _Work, name: str) -> DimensionFigures:
    history, mapping = work.history, work.subject.mapping
    assert mapping is not None  # noqa: S101 - `_lacking` ended it
    base = _base(work, name, mapping)
    lacking = dimensions_of.lacks(base, history)
    if lacking is not None:
        return base.model_copy(update={"lacking": lacking})
    learned = dimensions_of.learn(name, history, work.matter["older"], work.groups)
    work.learned[name] = learned
    github: dict[str, list[str]] = {}
    for label, said in mapping.labels.items():
        if name in said:
            github.setdefault(said[name], []).append(label)
    matter, target = work.matter["newest"], work.subject.target
    return dimensions_of.figures(base, learned, history, matter, github, target)


def _base(work: _Work, name: str, mapping: LabelMapping) -> DimensionFigures:
    taxonomy, history = work.subject.taxonomy, work.history
    own = name not in taxonomy
    asked = mapping.dimensions[name] if own else taxonomy[name]
    return DimensionFigures(
        name=name,
        question=asked.question,
        own=own,
        exclusive=asked.exclusive,
        older=sum(bool(row.truth[name]) for row in history.older),
        newest=sum(bool(row.truth[name]) for row in history.newest),
    )


def _preview(
    work: _Work, dimensions: Sequence[DimensionFigures], lacking: Sequence[str]
) -> Preview:
    history, subject = work.history, work.subject
    issue = {row.example.id: _issue(row, subject.web) for row in history.rows}
    meanings = tuple(
        Meaning(
            name=p.name,
            description=p.description,
            issues=p.used,
            role=str(p.role),
            answers=_answers(p.name, p.answers, subject.mapping),
            reason=p.reason,
        )
        for p in subject.proposal.labels
    )
    in_use = [m for m in meanings if m.issues]
    labelled = [row for row in history.rows if row.carries]
    suspects = [_suspects(work, name, issue) for name in work.learned]
    recent = _recent(work, dimensions, issue)
    filed = [row.filed_at for row in history.rows]
    groups = learners.near_duplicates(labelled)
    overlaps = audit.together(labelled, {m.name.casefold(): m.name for m in meanings})
    for name, learned in work.learned.items():
        overlaps += audit.confused(name, learned, dimensions_of.undisputed(history.older, name))
    enough = len(labelled) >= LEAST_ISSUES and len(set(groups)) >= learners.FOLDS
    return Preview(
        repository=subject.repository,
        private=subject.private,
        made_at=datetime.now(UTC),
        model=subject.model,
        issues=len(history.rows),
        triaged=sum(row.triaged for row in history.rows),
        older=len(history.older),
        newest=len(history.newest),
        repeats=history.repeats,
        first_filed=filed[0] if filed else None,
        last_filed=filed[-1] if filed else None,
        cut=history.older[-1].filed_at if history.older else None,
        as_filed=sum(row.example.text_as_of == "filing" for row in history.rows),
        bot_labels=history.by_bots,
        target=subject.target,
        knows=any(d.lacking is None for d in dimensions),
        lacking=tuple(lacking),
        dimensions=tuple(dimensions),
        mistakes=tuple(_mistakes(work, issue)),
        recent_from=filed[-1] - MONTH if filed else None,
        recent=tuple(recent[:SHOWN_RECENT]),
        recent_left_out=max(len(recent) - SHOWN_RECENT, 0),
        meanings=meanings,
        suspects=tuple(s for found, _ in suspects for s in found)[: audit.SHOWN],
        missing=tuple(s for _, found in suspects for s in found)[: audit.SHOWN],
        overlaps=tuple(overlaps + audit.alike(meanings)),
        few=tuple(m for m in in_use if m.issues < audit.FEW),
        legible=tuple(audit.legible(labelled, in_use, groups)) if enough else (),
        mapping=None,
        config=None,
    )


def _suspects(
    work: _Work, name: str, issue: dict[str, Issue]
) -> tuple[list[Suspect], list[Suspect]]:
    return audit.suspects(
        name, work.learned[name], dimensions_of.undisputed(work.history.older, name), issue
    )


def _answers(name: str, proposed: dict[str, str], mapping: LabelMapping | None) -> dict[str, str]:
    """As the mapping in use says: a person may have changed what was proposed."""
    if mapping is None:
        return proposed
    said = {k.casefold(): v for k, v in mapping.labels.items()}
    return said.get(name.casefold(), {})


def _issue(row: Row, web: str) -> Issue:
    number = row.example.number
    return Issue(
        number=number,
        title=row.example.title[:160],
        url=f"{web}/issues/{number}" if number else None,
        filed_at=row.filed_at,
    )


def _mistakes(work: _Work, issue: dict[str, Issue]) -> list[Mistake]:
    found = []
    for name, learned in work.learned.items():
        rows = work.history.newest
        real = [a for a in learned.answers if a != NOTHING]
        said = points.say(
            learned.predict(work.matter["newest"]),
            learned.answers,
            dimensions_of.truths(rows, name),
        )
        wrong = [(s, row) for s, row in zip(said, rows, strict=True) if s.verdict == "wrong"]
        wrong.sort(key=lambda pair: -pair[0].p)
        found += [
            Mistake(
                issue=issue[row.example.id],
                dimension=name,
                said=real[s.label],
                p=s.p,
                people=tuple(sorted(row.truth[name])),
            )
            for s, row in wrong[:SHOWN_MISTAKES]
        ]
    return found


def _recent(
    work: _Work, dimensions: Sequence[DimensionFigures], issue: dict[str, Issue]
) -> list[Recent]:
    """The issues of the last month that nothing was learned from, newest first."""
    rows = work.history.recent
    if not rows or not work.learned:
        return []
    said = {
        d.name: points.say(
            work.learned[d.name].predict(work.matter["recent"]),
            work.learned[d.name].answers,
            dimensions_of.truths(rows, d.name),
        )
        for d in dimensions
        if d.name in work.learned
    }
    start = work.history.rows[-1].filed_at - MONTH
    found = []
    for place, row in enumerate(rows):
        if row.filed_at >= start:
            would = tuple(_would(d, said[d.name][place], row) for d in dimensions if d.name in said)
            found.append(Recent(issue=issue[row.example.id], would=would))
    return found[::-1]


def _would(dimension: DimensionFigures, said: points.Said, row: Row) -> Would:
    label = dimension.labels[said.label]
    writes = label.threshold is not None and said.p >= label.threshold
    return Would(
        dimension=dimension.name,
        answer=label.name if writes else None,
        p=said.p,
        verdict=said.verdict,
        people=tuple(sorted(row.truth.get(dimension.name, ()))),
    )
