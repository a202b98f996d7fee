"""Take back what a run or a model version wrote: our labels only, and what nobody touched since.

Each issue and its events are read again right before. Resumable: the run's cursor is the last
Application that was looked at, and it moves in one transaction with what came of it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import structlog
from sqlalchemy import or_, select
from sqlalchemy.orm import Session

from app.core.errors import Gone
from app.core.repository_config import Config
from app.db import configs, runs, work
from app.db.clock import from_now
from app.db.learning import Run
from app.db.tables import Application, IssueSnapshot, State
from app.github.failures import RepositoryMoved
from worker import takeback
from worker.labelling import LeaseLost
from worker.scene import Scene

log = structlog.get_logger()

# Issues of one step: labels and commands get their turn between two.
STEP = 5
GONE = "the issue is not there any more"
# Of a run's counts: the Application whose labels are being taken off.
_AT = "at"


@dataclass(frozen=True)
class Written:
    """Labels that the target wrote on one issue."""

    application: Application
    number: int


def step(scene: Scene[Run]) -> None:
    """The next few issues; finishes the run when there are none."""
    if scene.row.cursor is None:
        _stop_target(scene)
    with scene.database.reading() as session:
        config = configs.in_force(session, scene.repository_id).config
        todo = _next(session, scene)
    for written in todo:
        _take_back(scene, written, config)
    with scene.database.transaction() as session:
        if todo:
            pause = 2 * scene.settings.write_spacing_seconds
            until = session.scalar(select(from_now(pause)))
            work.release(session, scene.row, until=until)
        elif not work.finish(session, scene.row, finished_at=from_now()):
            raise LeaseLost
    if not todo:
        log.info("undo.done", run=scene.row.id, **scene.row.counts)


def _stop_target(scene: Scene[Run]) -> None:
    """Nothing more is written by what is taken back."""
    what, target = _target(scene.row)
    with scene.database.transaction() as session:
        if what == runs.RUN:
            runs.stop(session, target)
        dropped = runs.drop_waiting(session, scene.repository_id, what, target)
        counts = scene.row.counts | {"stopped": dropped}
        if not work.note(session, scene.row, cursor="0", counts=counts):
            raise LeaseLost
    scene.row.cursor, scene.row.counts = "0", counts


def _next(session: Session, scene: Scene[Run]) -> Sequence[Written]:
    rows = session.execute(
        select(Application, IssueSnapshot.issue_number)
        .join(IssueSnapshot, IssueSnapshot.id == Application.snapshot_id)
        .where(
            runs.written_by(*_target(scene.row)),
            IssueSnapshot.repository_id == scene.repository_id,
            Application.id > int(scene.row.cursor or 0),
            # Labels were written; or were about to be, when the row was stopped or died.
            or_(
                Application.applied_at.is_not(None),
                Application.state.in_((State.SUPERSEDED, State.DEAD)),
            ),
        )
        .order_by(Application.id)
        .limit(STEP)
    )
    return [Written(row, number) for row, number in rows]


def _take_back(scene: Scene[Run], it: Written, config: Config) -> None:
    row, taxonomy = it.application, config.taxonomy
    if not row.written:
        return _note(scene, it, (), {})
    try:
        seen = takeback.look(scene, it.number, taxonomy)
    except Gone:
        return _note(scene, it, (), dict.fromkeys(row.written, GONE))
    except RepositoryMoved:
        if scene.client.repository(scene.repository_id).full_name != scene.name:
            raise
        # Only the issue moved, to another repository.
        return _note(scene, it, (), dict.fromkeys(row.written, GONE))
    todo = takeback.plan(seen, row.written, taxonomy)
    # The last attempt ended in the middle of this one, and the label is off: that was us.
    halfway = row.undone or () if scene.row.counts.get(_AT) == row.id else ()
    again = tuple(name for name in todo.left if name in halfway)
    left = {name: why for name, why in todo.left.items() if name not in again}
    removed = list(again)
    for at, name in enumerate(todo.remove):
        why = takeback.stays(scene, it.number, name, taxonomy) if at else None
        if why is not None:
            left[name] = why
            continue
        _mark(scene, it, name)
        takeback.take_off(scene, it.number, name)
        removed.append(name)
    if removed and config.comment and not _has_more(scene, it.number, seen, removed):
        takeback.disown(scene, it.number)
    return _note(scene, it, removed, left)


def _has_more(scene: Scene[Run], number: int, seen: takeback.Look, removed: Sequence[str]) -> bool:
    """True if another run or version wrote labels that still stand there."""
    with scene.database.reading() as session:
        ours = takeback.written(session, scene.repository_id, number)
    there = {name.casefold() for name in seen.live} - {name.casefold() for name in removed}
    return any(name.casefold() in there for name in ours)


def _mark(scene: Scene[Run], it: Written, name: str) -> None:
    """Before a label goes: should the answer get lost, the next attempt knows who did it."""
    with scene.database.transaction() as session:
        if not work.may_act(session, scene.row, scene.settings.lease_seconds):
            raise LeaseLost
        row = session.get_one(Application, it.application.id)
        row.undone = list(dict.fromkeys([*(row.undone or ()), name]))
        counts = scene.row.counts | {_AT: it.application.id}
        if not work.note(session, scene.row, counts=counts):
            raise LeaseLost
    scene.row.counts = counts


def _note(scene: Scene[Run], it: Written, removed: Sequence[str], left: dict[str, str]) -> None:
    """Count, and go on behind this Application: both or neither."""
    counts: dict[str, Any] = dict(scene.row.counts)
    counts.pop(_AT, None)
    counts["taken_back"] = counts.get("taken_back", 0) + len(removed)
    counts["left"] = dict(Counter(counts.get("left", {})) + Counter(left.values()))
    cursor = str(it.application.id)
    with scene.database.transaction() as session:
        if not work.note(session, scene.row, cursor=cursor, counts=counts):
            raise LeaseLost
    scene.row.cursor, scene.row.counts = cursor, counts


def _target(run: Run) -> tuple[str, str]:
    assert run.target is not None  # noqa: S101 - every undo has one
    return str(run.options["what"]), run.target
