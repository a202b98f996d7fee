"""Take our labels off an issue again: only ours, and only where nobody else had a hand in it.

The issue and its events are read right before. A dimension in which anybody but us set or removed a
label, by hand or by a command, is a person's now: nothing is taken from it.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import TypeVar

from sqlalchemy import select
from sqlalchemy.orm import Session

from app.core.decision import Hands, Reason
from app.core.taxonomy import Taxonomy
from app.db import words
from app.db.learning import Command, Run
from app.db.tables import Application, IssueSnapshot, LabelEvent
from app.github.models import Issue, IssueEvent
from worker import hands, remark
from worker.scene import Scene

OURS_NO_MORE = str(Reason.PERSON_DECIDED)
NOT_THERE = "somebody took it off already"

R = TypeVar("R", Command, Run)


@dataclass(frozen=True)
class Look:
    """An issue as it is now: its labels, and what people did to them."""

    issue: Issue
    events: Sequence[IssueEvent]
    live: tuple[str, ...]
    done: Hands


@dataclass(frozen=True)
class TakeBack:
    """Names to be taken off, and why the others stay."""

    remove: tuple[str, ...]
    left: dict[str, str]


def look(scene: Scene[R], number: int, taxonomy: Taxonomy) -> Look:
    """Read the issue and everything that happened to it. Gone if it is not there any more.

    What a command says itself does not count as somebody's hand while it is carried out.
    """
    issue = scene.client.issue(scene.name, number)
    # Read last: whatever somebody did since the issue was read stands there.
    events = scene.client.issue_events(scene.name, number)
    live = tuple(label.name for label in issue.labels)
    with scene.database.reading() as session:
        heard = session.scalars(
            select(LabelEvent).where(
                LabelEvent.repository_id == scene.repository_id, LabelEvent.issue_number == number
            )
        ).all()
        noted = written(session, scene.repository_id, number)
        own = scene.row.id if isinstance(scene.row, Command) else None
        told = words.hands(session, scene.repository_id, number, taxonomy, besides=own)
    done = hands.read(live, events, heard, noted, scene.us)
    return Look(issue, events, live, hands.both(done, told))


def written(session: Session, repository_id: int, number: int) -> list[str]:
    """Every label that we put on the issue, or were about to, for any of its texts."""
    rows = applications(session, repository_id, number)
    return [name for row in rows for name in row.written]


def applications(session: Session, repository_id: int, number: int) -> Sequence[Application]:
    """All that was ever decided for an issue, oldest first."""
    return session.scalars(
        select(Application)
        .join(IssueSnapshot, IssueSnapshot.id == Application.snapshot_id)
        .where(IssueSnapshot.repository_id == repository_id, IssueSnapshot.issue_number == number)
        .order_by(Application.id)
    ).all()


def plan(seen: Look, names: Collection[str], taxonomy: Taxonomy) -> TakeBack:
    """What of our labels `names` may be taken off the issue now. Pure."""
    present = {name.casefold(): name for name in seen.live}
    touched = {name.casefold() for name in seen.done.set | seen.done.removed}
    remove: list[str] = []
    left: dict[str, str] = {}
    for name in dict.fromkeys(names):
        owner = taxonomy.owner_of(name)
        if name.casefold() not in present:
            left[name] = NOT_THERE
        elif seen.done.touched(owner[0]) if owner else name.casefold() in touched:
            left[name] = OURS_NO_MORE
        else:
            remove.append(present[name.casefold()])
    return TakeBack(tuple(remove), left)


def stays(scene: Scene[R], number: int, name: str, taxonomy: Taxonomy) -> str | None:
    """Why our label `name` stays after all, by a new look: writes are a second apart. None: off."""
    return plan(look(scene, number, taxonomy), [name], taxonomy).left.get(name)


def take_off(scene: Scene[R], number: int, name: str) -> None:
    """Remove one label, as slowly as GitHub asks."""
    scene.hold()
    scene.client.remove_label(scene.name, number, name)
    scene.pause()


def disown(scene: Scene[R], number: int) -> None:
    """Let the comment on the issue, if there is one, say that no label there is ours any more."""
    guards = {"before_write": scene.hold, "after_write": scene.pause}
    remark.Remark(scene.client, scene.us, scene.name, number, **guards).say([], first=False)
