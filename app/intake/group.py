"""Several deliveries in one transaction: a commit costs as much for fifty as for one.

Only what meets nothing else is taken in so: an event that is not used, or a new issue in a
repository that the App covers. That is what comes by the hundred; the rest goes one by one through
`delivery.accept`, which says the same of these as well.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Float, bindparam, insert, select
from sqlalchemy.exc import DataError, DBAPIError, IntegrityError
from sqlalchemy.orm import Session

from app.core.text import IssueText
from app.db import configs, snapshots
from app.db.clock import from_now
from app.db.learning import RepositoryConfig, Review
from app.db.session import Database
from app.db.tables import (
    Delivery,
    Installation,
    IssueSnapshot,
    Repository,
    State,
)
from app.github.events import Action, Event, Issue, Name
from app.intake.delivery import Accepted, columns, understand
from app.intake.installations import learn
from app.intake.verdict import ignored, new_issue

_NEW_DELIVERY = insert(Delivery.__table__).values(received_at=from_now())  # type: ignore[arg-type]
_NEW_TEXT = insert(IssueSnapshot.__table__).values(  # type: ignore[arg-type]
    created_at=from_now(),
    due_at=from_now(bindparam("grace", type_=Float)),
    state=State.PENDING,
    attempts=0,
)
# Codes of PostgreSQL that mean: not together with what others did at the same time.
_CROSSED = ("40001", "40P01")


@dataclass(frozen=True, slots=True)
class Letter:
    """A delivery as it came: event name, GUID, payload."""

    name: str
    guid: str
    payload: Mapping[str, object]


@dataclass(frozen=True, slots=True)
class _Read:
    place: int
    guid: str
    name: str
    event: Event
    refused: str | None

    @property
    def new(self) -> tuple[int, Issue] | None:
        """Repository and issue, if a person opened one and nothing else is to be looked at."""
        event = self.event
        if self.refused is not None or self.name != Name.ISSUES or event.action != Action.OPENED:
            return None
        if event.repository is None or event.issue is None or event.issue.pull_request is not None:
            return None
        if event.issue.user is not None and event.issue.user.type == "Bot":
            return None
        return event.repository.id, event.issue


def accept_together(
    database: Database, letters: Sequence[Letter], *, grace_seconds: float = 0.0
) -> list[Accepted | None]:
    """Store those of `letters` that need no second look, in one transaction.

    None stands for each of which nothing was stored: `delivery.accept` takes it in. After the
    return the others are committed; ring their `Accepted.ring` then. Raises DBAPIError or
    TimeoutError when the database does not take any: nothing is stored then.
    """
    found = [
        _Read(i, x.guid, x.name, *understand(x.name, x.payload)) for i, x in enumerate(letters)
    ]
    chosen = _lonely([read for read in found if read.refused is not None or read.new is not None])
    answers: list[Accepted | None] = [None] * len(letters)
    if not chosen:
        return answers
    try:
        with database.transaction() as session:
            taken = _store(session, chosen, grace_seconds)
    except DBAPIError as error:
        if not _about_one(error):
            raise
        # One by one it shows which of them it is, or whom somebody else was faster with.
        return answers
    for place, accepted in taken:
        answers[place] = accepted
    return answers


def _about_one(error: DBAPIError) -> bool:
    if isinstance(error, IntegrityError | DataError):
        return True
    return getattr(error.orig, "sqlstate", None) in _CROSSED


def _lonely(found: Sequence[_Read]) -> list[_Read]:
    """Without those that have a GUID or an issue in common with one before."""
    seen: set[object] = set()
    alone = []
    for read in found:
        keys: set[object] = {read.guid}
        if read.new is not None:
            keys.add((read.new[0], read.new[1].number))
        if not keys & seen:
            alone.append(read)
        seen |= keys
    return alone


def _store(
    session: Session, chosen: Sequence[_Read], grace_seconds: float
) -> list[tuple[int, Accepted]]:
    fresh = [(read, *read.new) for read in chosen if read.new is not None]
    issues = [(repository_id, issue.number) for _, repository_id, issue in fresh]
    if issues:
        snapshots.lock_issues(session, issues)
    twice = _twice(session, [read.guid for read in chosen])
    graces = _homes(session, fresh, grace_seconds) if fresh else {}
    if strange := {home: read for read, home, _ in reversed(fresh) if read.place not in graces}:
        _introduce(session, strange.values())
        graces = _homes(session, fresh, grace_seconds)
    known = _known(session, issues) if issues else set()
    texts, rows, taken = [], [], []
    for read in chosen:
        if read.guid in twice:
            continue
        if read.new is None:
            verdict = ignored(read.refused or "")
        else:
            repository_id, issue = read.new
            grace = graces.get(read.place)
            if grace is None or (repository_id, issue.number) in known:
                continue
            texts.append(_text(repository_id, issue, grace))
            verdict = new_issue(read.event.action)
        rows.append({"guid": read.guid, **columns(read.name, read.event, verdict)})
        taken.append((read.place, Accepted(verdict.outcome, verdict.reason, ring=verdict.ring)))
    if texts:
        session.connection().execute(_NEW_TEXT, texts)
    if rows:
        session.connection().execute(_NEW_DELIVERY, rows)
    return taken


def _twice(session: Session, guids: Collection[str]) -> set[str]:
    return set(session.scalars(select(Delivery.guid).where(Delivery.guid.in_(guids))))


def _homes(
    session: Session, fresh: Sequence[tuple[_Read, int, Issue]], grace_seconds: float
) -> dict[int, float]:
    """Place -> grace in seconds, of those whose repository is covered and has not changed."""
    found = session.execute(
        select(
            Repository.id,
            Repository.installation_id,
            Repository.full_name,
            Repository.private,
            RepositoryConfig.in_force,
            Installation.account,
        )
        .join(RepositoryConfig, RepositoryConfig.id == Repository.id)
        .join(Installation, Installation.id == Repository.installation_id)
        .where(
            Repository.id.in_({repository_id for _, repository_id, _ in fresh}),
            Repository.removed_at.is_(None),
            Installation.suspended_at.is_(None),
            Installation.deleted_at.is_(None),
            RepositoryConfig.state == State.PENDING,
        )
    )
    homes = {row.id: (row, _grace(row.in_force, grace_seconds)) for row in found}
    return {
        read.place: homes[repository_id][1]
        for read, repository_id, _ in fresh
        if repository_id in homes and _unchanged(homes[repository_id][0], read.event)
    }


def _introduce(session: Session, found: Collection[_Read]) -> None:
    """Learn the repositories of these, in one order: two groups never wait in a circle."""
    for read in sorted(found, key=_home):
        learn(session, read.event)
    session.flush()


def _home(read: _Read) -> tuple[int, int]:
    installation, repository = read.event.installation, read.event.repository
    return installation.id if installation else 0, repository.id if repository else 0


def _grace(in_force: dict[str, Any] | None, grace_seconds: float) -> float:
    said = configs.config_of(in_force).grace_seconds
    return grace_seconds if said is None else float(said)


def _unchanged(row: Any, event: Event) -> bool:
    seen, installation = event.repository, event.installation
    if seen is None or installation is None:
        return False
    account = installation.account.login if installation.account else ""
    return (row.installation_id, row.full_name, row.private, row.account) == (
        installation.id,
        seen.full_name,
        seen.private,
        account or row.account,
    )


def _known(session: Session, issues: Collection[tuple[int, int]]) -> set[tuple[int, int]]:
    """Those issues of which there is a text, or of which people's acts are followed."""
    repositories, numbers = {r for r, _ in issues}, {n for _, n in issues}
    known: set[tuple[int, int]] = set()
    for table in (IssueSnapshot, Review):
        # Each of both, a little more than asked for: SQLite searches no index for pairs.
        rows = session.execute(
            select(table.repository_id, table.issue_number).where(
                table.repository_id.in_(repositories), table.issue_number.in_(numbers)
            )
        )
        known.update((repository_id, number) for repository_id, number in rows)
    return known


def _text(repository_id: int, issue: Issue, grace: float) -> dict[str, Any]:
    text = IssueText.of(issue.title, issue.body)
    return {
        "repository_id": repository_id,
        "issue_number": issue.number,
        "author": issue.user.login if issue.user else "ghost",
        "title": text.title,
        "body": text.body,
        "content_hash": text.content_hash,
        "observed_at": issue.updated_at,
        "first_observed_at": issue.updated_at,
        "opened_at": issue.created_at,
        "grace": grace,
    }
