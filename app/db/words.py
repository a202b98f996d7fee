"""What people said of an issue's labels by command. Their word, though our hand wrote the label.

`Command.words` holds what one comment's commands say: `added` and `removed` are GitHub label names;
`hands_off` true (`/triage undo`) keeps the bot off the issue until a later `/triage rerun`, which
says false. It is noted before GitHub is called, so that a run never takes such a label for its own.
`unread` true says nothing of labels: the lines were kept before the configuration was read.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import select
from sqlalchemy.orm import Session

from app.core.decision import Hands
from app.core.taxonomy import Taxonomy
from app.db.learning import Command
from app.db.tables import State

ADDED, REMOVED, HANDS_OFF = "added", "removed", "hands_off"
UNREAD = "unread"


@dataclass(frozen=True)
class Word:
    """A person put a label on the issue, or took it off, by telling us to. `label` is GitHub's.

    It counts as that person's own act at `happened_at`; whether they may was checked before.
    """

    label: str
    added: bool
    actor_id: int
    actor: str
    happened_at: datetime


def said(session: Session, repository_id: int, number: int) -> list[Word]:
    """What was said and carried out, oldest first. What an undo took off counts until a rerun."""
    return [
        Word(label, added, row.actor_id, row.actor, row.happened_at)
        for row in _standing(_commands(session, repository_id, number))
        if row.state == State.DONE
        for key, added in ((ADDED, True), (REMOVED, False))
        for label in row.words.get(key, ())
    ]


def labels(session: Session, repository_id: int, number: int) -> set[str]:
    """Names of the labels of which anything was said."""
    rows = _standing(_commands(session, repository_id, number))
    return {label for row in rows for key in (ADDED, REMOVED) for label in row.words.get(key, ())}


def hands_off(session: Session, repository_id: int, number: int) -> bool:
    """True while an undo keeps the bot off the issue."""
    return _is_off(_commands(session, repository_id, number))


def hands(
    session: Session,
    repository_id: int,
    number: int,
    taxonomy: Taxonomy,
    *,
    besides: int | None = None,
) -> Hands:
    """The same for the decision of what may be written, also before it was carried out.

    `besides` leaves out one Command, the one that is being carried out, unless it lifts an undo.
    """
    rows = [
        row
        for row in _commands(session, repository_id, number)
        if row.id != besides or row.words.get(HANDS_OFF) is False
    ]
    words = [row.words for row in _standing(rows)]
    removed = {label for word in words for label in word.get(REMOVED, ())}
    if _is_off(rows):
        removed |= {label.github for dimension in taxonomy.written for label in dimension.labels}
    return Hands(
        set=frozenset(label for word in words for label in word.get(ADDED, ())),
        removed=frozenset(removed),
    )


def _commands(session: Session, repository_id: int, number: int) -> list[Command]:
    """The issue's commands that said anything of labels, oldest first."""
    rows = session.scalars(
        select(Command)
        .where(Command.repository_id == repository_id, Command.issue_number == number)
        .order_by(Command.happened_at, Command.comment_id)
    )
    return [row for row in rows if row.words]


def _standing(rows: list[Command]) -> list[Command]:
    """Without the undos that a later rerun lifted."""
    lifted = max((i for i, row in enumerate(rows) if row.words.get(HANDS_OFF) is False), default=-1)
    return [row for i, row in enumerate(rows) if not (row.words.get(HANDS_OFF) and i < lifted)]


def _is_off(rows: list[Command]) -> bool:
    told = [row.words[HANDS_OFF] for row in rows if HANDS_OFF in row.words]
    return bool(told and told[-1])
