"""A repository's memory: what people corrected there shifts its next scores, and no other's.

Vectors and the model's own scores come out of the pass that scored the issue and are kept per model
version; what a new version has not seen yet is read again, a few issues a batch.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import structlog
from sqlalchemy.orm import Session

from app.core.corrections import Change
from app.core.decision import Scores
from app.core.taxonomy import Dimension, Taxonomy
from app.core.text import IssueText
from app.db import memories
from app.db.memories import Kept, Said
from app.db.session import Database
from worker.model.query import Answer
from worker.shift import Floats, Lessons, Shift

log = structlog.get_logger()

# What counts less than a correction: a label that people let stand.
CONFIRMED = 0.5
# Issues whose mean is taken for what all issues of the repository share.
BACKGROUND = 256
# Corrected issues read again for a new model version, a batch and repository.
READ_AGAIN = 16
# Repositories whose memory is held by a process; the longest unused one goes.
HELD = 16

_FLOAT16 = np.dtype("<f2")


@dataclass(frozen=True)
class Place:
    """Whose memory it is: another repository, model or taxonomy has another."""

    repository_id: int
    version: str
    taxonomy: Taxonomy

    @property
    def key(self) -> tuple[int, str, str]:
        """What tells it from others."""
        return self.repository_id, self.version, self.taxonomy.digest


@dataclass
class _Held:
    """One place's memory as it was when people last said something."""

    said: list[Said]
    seen: dict[int, Kept]
    shifts: dict[str, Shift]
    missing: list[int] = field(default_factory=list)


class Memory:
    """Shifts scores. Kept by a process between batches; not for several threads."""

    def __init__(self) -> None:
        self._held: OrderedDict[tuple[int, str, str], _Held] = OrderedDict()
        self._given_up: set[tuple[str, int]] = set()
        self.fits = 0

    def recall(
        self, session: Session, asked: Sequence[tuple[Place | None, Answer]]
    ) -> list[Scores]:
        """For each answer, in order, its shifted scores in the dimensions that people corrected.

        Nothing without a place, where nobody has corrected anything, or without a vector.
        """
        found: list[Scores] = [{} for _ in asked]
        rows: dict[tuple[int, str, str], list[int]] = {}
        for row, (place, answer) in enumerate(asked):
            if place is not None and answer.vector is not None:
                rows.setdefault(place.key, []).append(row)
        for together in rows.values():
            place = asked[together[0]][0]
            assert place is not None  # noqa: S101 - narrows the type for mypy
            try:
                shifts = self._hold(session, place).shifts
                shifted = _shifted(shifts, place.taxonomy, [asked[row][1] for row in together])
            except (ValueError, ArithmeticError) as error:
                # States of another width, say, under a name that stayed: labels matter more.
                log.warning("memory.unusable", version=place.version, error=type(error).__name__)
                continue
            for row, scores in zip(together, shifted, strict=True):
                found[row] = scores
        return found

    def catch_up(
        self, database: Database, place: Place, read: Callable[[Sequence[IssueText]], list[Answer]]
    ) -> None:
        """Let `read` look at some corrected issues that this version has not seen, newest first.

        What cannot be read is not tried again by this process.
        """
        held = self._held.get(place.key)
        missing = held.missing if held is not None else []
        unread = [s for s in reversed(missing) if (place.version, s) not in self._given_up]
        if not unread:
            return
        with database.reading() as session:
            texts = memories.texts(session, unread[:READ_AGAIN])
        try:
            answers = read([text for _, text in texts])
        except Exception as error:  # noqa: BLE001 - labels matter more than the memory of them
            log.warning("memory.unread", issues=len(texts), error=type(error).__name__)
            answers = []
        with database.transaction() as session:
            for (snapshot, _), answer in zip(texts, answers, strict=False):
                if answer.version == place.version and answer.vector is not None:
                    keep(session, place.repository_id, snapshot, answer)
        # Of those that were read, none is missing any more; the others are not worth another try.
        self._given_up |= {(place.version, snapshot) for snapshot in unread[:READ_AGAIN]}

    def _hold(self, session: Session, place: Place) -> _Held:
        said = [one for one in memories.said(session, place.repository_id) if _fits(one, place)]
        held = self._held.get(place.key)
        if held is None or held.said != said or held.missing:
            held = self._learn(session, place, said, held)
            self._held[place.key] = held
        self._held.move_to_end(place.key)
        while len(self._held) > HELD:
            self._held.popitem(last=False)
        return held

    def _learn(
        self, session: Session, place: Place, said: list[Said], before: _Held | None
    ) -> _Held:
        wanted = dict.fromkeys(one.snapshot_id for one in said)
        known = before.seen if before is not None else {}
        absent = [snapshot for snapshot in wanted if snapshot not in known]
        fresh = memories.seen(session, place.version, absent) if absent else {}
        seen = {s: kept for s, kept in {**known, **fresh}.items() if s in wanted}
        usable = {s for s, kept in seen.items() if _answers(kept, place.taxonomy)}
        missing = [snapshot for snapshot in wanted if snapshot not in usable]
        if before is not None and before.said == said and before.missing == missing:
            return before
        seen = {s: kept for s, kept in seen.items() if s in usable}
        return _Held(said, seen, self._fit(session, place, said, seen), missing)

    def _fit(
        self, session: Session, place: Place, said: Sequence[Said], seen: Mapping[int, Kept]
    ) -> dict[str, Shift]:
        taught = [one for one in said if one.snapshot_id in seen]
        if not taught:
            return {}
        centre = np.mean(
            [
                _vector(one)
                for one in memories.newest(session, place.repository_id, place.version, BACKGROUND)
            ],
            axis=0,
        )
        shifts = {}
        for dimension in place.taxonomy.dimensions:
            # Where nobody corrected anything, there is nothing to shift.
            of_it = [one for one in taught if one.dimension == dimension.name]
            if any(one.change not in (None, Change.CONFIRMED) for one in of_it):
                shifts[dimension.name] = Shift(_lessons(dimension, of_it, seen), centre)
                self.fits += 1
        log.info("memory.learnt", repository=place.repository_id, lessons=len(taught))
        return shifts


def _shifted(
    shifts: Mapping[str, Shift], taxonomy: Taxonomy, answers: Sequence[Answer]
) -> list[Scores]:
    found: list[dict[str, Mapping[str, float]]] = [{} for _ in answers]
    vectors = np.array([answer.vector for answer in answers], dtype=np.float64)
    for name, shift in shifts.items():
        names = taxonomy[name].names
        own = np.array([_row(answer.scores[name], names) for answer in answers])
        for scores, chances in zip(found, shift(vectors, own).tolist(), strict=True):
            scores[name] = dict(zip(names, chances, strict=True))
    return list(found)


def keep(session: Session, repository_id: int, snapshot_id: int, answer: Answer) -> None:
    """Keep what the memory needs to know of an issue, should anybody correct it."""
    if answer.vector is not None:
        vector = answer.vector.astype(_FLOAT16).tobytes()
        memories.keep(
            session, repository_id, snapshot_id, answer.version, Kept(vector, answer.scores)
        )


def forget(session: Session, places: Iterable[Place | None]) -> None:
    """Drop vectors that neither belong to the newest issues nor to corrected ones."""
    for repository_id, version in {(p.repository_id, p.version) for p in places if p is not None}:
        memories.forget(session, repository_id, version)


def _fits(one: Said, place: Place) -> bool:
    taxonomy = place.taxonomy
    return one.dimension in taxonomy and one.label in taxonomy[one.dimension].names


def _answers(kept: Kept, taxonomy: Taxonomy) -> bool:
    return all(set(kept.scores.get(d.name, ())) == set(d.names) for d in taxonomy.dimensions)


def _lessons(dimension: Dimension, said: Sequence[Said], seen: Mapping[int, Kept]) -> Lessons:
    of_it = [seen[one.snapshot_id] for one in said]
    return Lessons(
        vectors=np.stack([_vector(kept.vector) for kept in of_it]),
        chances=np.array([_row(kept.scores[dimension.name], dimension.names) for kept in of_it]),
        labels=np.array([dimension.names.index(one.label) for one in said]),
        weights=np.array(
            [CONFIRMED if one.change in (None, Change.CONFIRMED) else 1.0 for one in said]
        ),
    )


def _vector(packed: bytes) -> Floats:
    return np.frombuffer(packed, dtype=_FLOAT16).astype(np.float64)


def _row(scores: Mapping[str, float], names: Sequence[str]) -> list[float]:
    return [scores[name] for name in names]
