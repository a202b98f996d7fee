"""Runs over many issues: asked for, found again, and how far they are."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from secrets import token_hex
from typing import Any

from sqlalchemy import ColumnElement, and_, case, func, select, true, update
from sqlalchemy.orm import InstrumentedAttribute, Session

from app.core.errors import ConfigProblem
from app.db.clock import from_now
from app.db.learning import Run, RunKind
from app.db.tables import Application, Installation, IssueSnapshot, Repository, State

# Of an undo's options: what its target is.
RUN, VERSION = "run", "version"
SHORTEST_PREFIX = 4


@dataclass(frozen=True)
class Progress:
    """How far a backfill's issues are. `left`: triaged, and no label was written."""

    waiting: int = 0
    labelling: int = 0
    labelled: int = 0
    left: int = 0
    dead: int = 0

    @property
    def open(self) -> int:
        """Issues that are still to come to their end."""
        return self.waiting + self.labelling


def repository_of(session: Session, full_name: str, *, left: bool = False) -> Repository:
    """The covered repository of that name, in whatever case; with `left` also one the App left.

    ConfigProblem if there is none. Of several that ever had the name, the covered one comes first,
    and the newest of those that were left.
    """
    covered = and_(Repository.removed_at.is_(None), Installation.deleted_at.is_(None))
    named = func.lower(Repository.full_name) == full_name.lower()
    found = session.scalars(
        select(Repository)
        .join(Installation, Installation.id == Repository.installation_id)
        .where(named, true() if left else covered)
        .order_by(case((covered, 0), else_=1), Repository.id.desc())
        .limit(1)
    ).first()
    if found is None:
        raise ConfigProblem(
            f"the App is not installed on {full_name}, as far as this database knows: write it as "
            "OWNER/REPO, or install the App there first"
        )
    return found


def ask_backfill(
    session: Session,
    repository: Repository,
    *,
    limit: int | None,
    since: datetime | None,
    asked_by: str,
) -> Run:
    """Let a backfill wait to be run. ConfigProblem while another one of the repository goes on."""
    going = session.scalar(
        select(Run.id).where(
            Run.repository_id == repository.id,
            Run.kind == RunKind.BACKFILL,
            Run.state == State.PENDING,
        )
    )
    if going is not None:
        raise ConfigProblem(
            f"backfill {going} of {repository.full_name} is not over: see `triora runs`, or end it "
            f"with `triora undo {going}`"
        )
    options: dict[str, Any] = {
        "limit": limit,
        "since": since.isoformat() if since is not None else None,
    }
    return _add(session, repository.id, RunKind.BACKFILL, asked_by, options)


def ask_catch_up(session: Session, since: datetime, *, asked_by: str) -> int:
    """Have every covered repository looked through for issues since then that nobody told us of.

    Never for older ones than the installation. How many repositories; those where one goes on
    already are left to it.
    """
    under_way = select(Run.repository_id).where(
        Run.kind == RunKind.CATCH_UP, Run.state == State.PENDING
    )
    covered = session.execute(
        select(Repository.id, Installation.created_at)
        .join(Installation, Installation.id == Repository.installation_id)
        .where(
            Repository.removed_at.is_(None),
            Installation.deleted_at.is_(None),
            Repository.id.not_in(under_way),
        )
        .order_by(Repository.id)
    ).all()
    for number, installed in covered:
        options = {"since": max(since, installed).isoformat()}
        _add(session, number, RunKind.CATCH_UP, asked_by, options)
    return len(covered)


def ask_undo(session: Session, target: str, *, asked_by: str) -> list[Run]:
    """Let undos wait to be run, one for each repository that `target` wrote to.

    `target` is (the beginning of) a run's id, or a model version. ConfigProblem if it is neither.
    """
    what, full = _target(session, target)
    repositories = session.scalars(
        select(IssueSnapshot.repository_id)
        .join(Application, Application.snapshot_id == IssueSnapshot.id)
        .where(written_by(what, full))
        .distinct()
        .order_by(IssueSnapshot.repository_id)
    ).all()
    run = session.get(Run, full)
    if run is not None and run.repository_id not in repositories:
        repositories = [*repositories, run.repository_id]
    return [
        _add(session, number, RunKind.UNDO, asked_by, {"what": what}, full)
        for number in repositories
    ]


def written_by(what: str, target: str) -> ColumnElement[bool]:
    """The condition of an Application that belongs to a run, or to a model version."""
    if what == RUN:
        return Application.run_id == target
    return Application.model_version == target


def find(session: Session, prefix: str) -> Run:
    """The run whose id begins so. ConfigProblem unless there is exactly one."""
    found = session.scalars(select(Run).where(Run.id.startswith(prefix, autoescape=True))).all()
    if len(found) != 1:
        many = "several runs begin" if found else "no run begins"
        raise ConfigProblem(f"{many} with {prefix!r}: `triora runs` lists them")
    return found[0]


def newest(session: Session, limit: int) -> Sequence[tuple[Run, str]]:
    """Runs with their repository's name, newest first."""
    rows = session.execute(
        select(Run, Repository.full_name)
        .join(Repository, Repository.id == Run.repository_id)
        .order_by(Run.created_at.desc(), Run.id)
        .limit(limit)
    )
    return [(run, name) for run, name in rows]


def progress(session: Session, run_id: str) -> Progress:
    """How far the issues are that a backfill took in."""
    texts = dict(_counted(session, IssueSnapshot.state, IssueSnapshot.run_id == run_id))
    ours = Application.run_id == run_id
    carried = dict(_counted(session, Application.state, ours))
    labelled = session.scalar(select(func.count()).where(ours, Application.applied_at.is_not(None)))
    waiting, labelling = texts.get(State.PENDING, 0), carried.get(State.PENDING, 0)
    dead = texts.get(State.DEAD, 0) + carried.get(State.DEAD, 0)
    done = texts.get(State.DONE, 0)
    written = labelled or 0
    left = max(done - labelling - carried.get(State.DEAD, 0) - written, 0)
    return Progress(waiting, labelling, written, left, dead)


def stop(session: Session, run_id: str) -> None:
    """Nothing more of that run is begun: neither issues to take in, nor texts, nor labels."""
    session.execute(
        update(Run)
        .where(Run.id == run_id, Run.state == State.PENDING)
        .values(error="undone", finished_at=from_now(), **_OVER),
        execution_options={"synchronize_session": False},
    )
    session.execute(
        update(IssueSnapshot)
        .where(IssueSnapshot.run_id == run_id, IssueSnapshot.state.in_(_UNFINISHED))
        .values(error="its run was undone", **_OVER),
        execution_options={"synchronize_session": False},
    )


def drop_waiting(session: Session, repository_id: int, what: str, target: str) -> int:
    """Labels of the target that are not written yet never are, in this repository; how many."""
    texts = select(IssueSnapshot.id).where(IssueSnapshot.repository_id == repository_id)
    waiting = session.scalars(
        update(Application)
        .where(
            written_by(what, target),
            Application.state.in_(_UNFINISHED),
            Application.snapshot_id.in_(texts),
        )
        .values(error="undone", **_OVER)
        .returning(Application.id),
        execution_options={"synchronize_session": False},
    )
    return len(waiting.all())


# What died may be given another life, so an undo ends that as well.
_UNFINISHED = (State.PENDING, State.DEAD)
_OVER = {"state": State.SUPERSEDED, "lease_token": None, "lease_until": None}


def _target(session: Session, target: str) -> tuple[str, str]:
    if session.scalar(select(Application.id).where(Application.model_version == target).limit(1)):
        return VERSION, target
    runs = []
    if len(target) >= SHORTEST_PREFIX:
        begins = Run.id.startswith(target, autoescape=True)
        runs = list(session.scalars(select(Run.id).where(begins, Run.kind != RunKind.UNDO)))
        wrote = Application.run_id.startswith(target, autoescape=True)
        runs += session.scalars(select(Application.run_id).where(wrote).distinct().limit(2))
    match sorted(set(runs)):
        case [run]:
            return RUN, run
        case []:
            raise ConfigProblem(
                f"{target!r} is neither a run that wrote labels nor a model version that did: "
                "`triora runs` and `triora predictions` name them"
            )
    raise ConfigProblem(f"several runs begin with {target!r}: write more of the id")


def _add(
    session: Session,
    repository_id: int,
    kind: RunKind,
    asked_by: str,
    options: dict[str, Any],
    target: str | None = None,
) -> Run:
    run = Run(
        id=token_hex(6),
        repository_id=repository_id,
        kind=kind,
        target=target,
        asked_by=asked_by[:100],
        options=options,
        counts={},
        created_at=from_now(),
        state=State.PENDING,
        due_at=from_now(),
        attempts=0,
    )
    session.add(run)
    session.flush()
    return run


def _counted(
    session: Session, column: InstrumentedAttribute[State], *conditions: ColumnElement[bool]
) -> list[tuple[State, int]]:
    rows = session.execute(select(column, func.count()).where(*conditions).group_by(column))
    return [(State(state), count) for state, count in rows]
