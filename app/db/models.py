"""Which model version answers for a repository, and how that changes.

A scope is a repository's id, or None: what is shared by all that have no version of their own. In
each scope at most one version is active, which the database enforces.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from sqlalchemy import ColumnElement, exists, or_, select
from sqlalchemy.orm import Session

from app.core.errors import BadRequest
from app.core.manifest import Manifest
from app.db.clock import from_now
from app.db.learning import ModelVersion, Version
from app.db.tables import Repository

# Of `reason` and `problem`; longer texts are cut.
SAID_LENGTH = 500
DAY_SECONDS = 86400.0


def active(session: Session, repository_id: int | None) -> ModelVersion | None:
    """The version that answers in a scope: its own, the shared one, or None.

    None stands for the adapter a worker was started with (TRIORA_ADAPTER, or the shipped one).
    """
    if repository_id is None:
        return session.scalar(select(ModelVersion).where(*_active_in(None)))
    return next(iter(serving(session, [repository_id])[repository_id]), None)


def serving(
    session: Session, repository_ids: Collection[int]
) -> Mapping[int, tuple[ModelVersion, ...]]:
    """Active versions of each repository, best first: its own, then the shared one. One query."""
    found = {
        row.repository_id: row
        for row in session.scalars(
            select(ModelVersion).where(
                ModelVersion.state == Version.ACTIVE,
                or_(
                    ModelVersion.repository_id.is_(None),
                    ModelVersion.repository_id.in_(repository_ids),
                ),
            )
        )
    }
    shared = (found[None],) if None in found else ()
    return {
        repository: ((found[repository], *shared) if repository in found else shared)
        for repository in repository_ids
    }


def any_active(session: Session) -> bool:
    """True if any version but the workers' own answers anywhere."""
    return session.scalar(select(exists().where(ModelVersion.state == Version.ACTIVE))) is True


def find(session: Session, version: str) -> ModelVersion:
    """The version of that name; BadRequest without one."""
    found = session.scalar(select(ModelVersion).where(ModelVersion.version == version))
    if found is None:
        raise BadRequest(f"there is no model version {version}: `triora models` lists them")
    return found


def history(session: Session, repository_id: int | None) -> list[ModelVersion]:
    """Every version of a scope, newest first."""
    return list(
        session.scalars(
            select(ModelVersion)
            .where(_in(repository_id))
            .order_by(ModelVersion.created_at.desc(), ModelVersion.id.desc())
        )
    )


def everywhere(session: Session) -> list[ModelVersion]:
    """Every version, newest first."""
    return list(
        session.scalars(
            select(ModelVersion).order_by(ModelVersion.created_at.desc(), ModelVersion.id.desc())
        )
    )


def add(
    session: Session,
    manifest: Manifest,
    *,
    repository_id: int | None,
    uri: str,
    digest: str,
    parent: str | None = None,
    report: Mapping[str, Any] | None = None,
    reason: str = "",
) -> ModelVersion:
    """A new candidate. `reason`: why the gate kept it back, "" if it did not.

    Added again for the same scope and artifact, it is the one that is there. BadRequest when a
    different one has the version's name.
    """
    stored = session.scalar(select(ModelVersion).where(ModelVersion.version == manifest.version))
    if stored is not None:
        if (stored.repository_id, stored.digest) != (repository_id, digest):
            raise BadRequest(
                f"{manifest.version} is registered already, for {scope_name(session, stored)}:"
                " a version belongs to one repository and never changes"
            )
        # Put back into the store, if it had been deleted there.
        stored.pruned_at = None
        return stored
    row = ModelVersion(
        version=manifest.version,
        repository_id=repository_id,
        state=Version.CANDIDATE,
        uri=uri,
        digest=digest,
        manifest=manifest.model_dump(mode="json"),
        parent=parent,
        report=dict(report or {}),
        reason=reason[:SAID_LENGTH],
        created_at=from_now(),
    )
    session.add(row)
    session.flush()
    return row


def lock(session: Session, repository_id: int | None) -> None:
    """Until the transaction ends nobody else changes what is active in this scope.

    Whoever decides by what is active takes it before looking. What the session has read of the
    scope before is read anew. (SQLite has one writer anyway.)
    """
    session.scalars(
        select(ModelVersion).where(_in(repository_id)).order_by(ModelVersion.id).with_for_update(),
        execution_options={"populate_existing": True},
    ).all()


def promote(session: Session, version: ModelVersion, reason: str = "") -> ModelVersion | None:
    """Make `version` the active one of its scope; the version it replaced, if there was one.

    The caller knows that it may (`refusal`). Promoting the active version changes nothing.
    BadRequest for one whose artifact was pruned.
    """
    lock(session, version.repository_id)
    if version.pruned_at is not None:
        raise BadRequest(
            f"{version.version} was pruned: put it into the store again with `triora models add`"
        )
    before = session.scalar(select(ModelVersion).where(*_active_in(version.repository_id)))
    if before is not None and before.id == version.id:
        return None
    if before is not None:
        _retire(before, f"replaced by {version.version}")
        # Before the other one: there is no moment with two.
        session.flush()
    version.state = Version.ACTIVE
    version.reason = reason[:SAID_LENGTH]
    version.replaced = before.version if before is not None else None
    version.activated_at = from_now()
    version.retired_at = version.rolled_back_at = version.problem = None
    session.flush()
    session.refresh(version)
    return before


def rollback(
    session: Session, repository_id: int | None, reason: str
) -> tuple[ModelVersion, ModelVersion | None]:
    """Go back to what was active before, and never to a version that was rolled back itself.

    Returns the version taken out of service and the one in service now; None when that is the
    shared version, or the adapter the workers were started with. BadRequest when the scope has no
    active version.
    """
    lock(session, repository_id)
    bad = session.scalar(select(ModelVersion).where(*_active_in(repository_id)))
    if bad is None:
        raise BadRequest(
            "there is nothing to roll back: no version is active here, `triora models` lists them"
        )
    _retire(bad, reason)
    bad.rolled_back_at = from_now()
    session.flush()
    good = _before(session, bad)
    if good is not None:
        good.state = Version.ACTIVE
        good.reason = f"back in service: {bad.version} was rolled back"[:SAID_LENGTH]
        good.activated_at = from_now()
        good.retired_at = None
        session.flush()
    return bad, good


def prunable(session: Session, days: float) -> list[ModelVersion]:
    """Versions whose artifact nobody will ask for, oldest first.

    Those out of service whose last change is `days` ago, but for what a rollback of an active
    version goes back to. An artifact that another version needs as well is kept.
    """
    rows = list(reversed(everywhere(session)))
    ago = session.scalars(select(from_now(-days * DAY_SECONDS))).one()
    needed = {row.version for row in rows if row.state == Version.ACTIVE}
    needed |= {
        good.version
        for row in rows
        if row.state == Version.ACTIVE and (good := _before(session, row)) is not None
    }

    def is_old(row: ModelVersion) -> bool:
        changed = (row.created_at, row.activated_at, row.retired_at)
        return all(at is None or at <= ago for at in changed)

    spent = [row for row in rows if row.version not in needed and is_old(row)]
    kept = {row.digest for row in rows if row not in spent and row.pruned_at is None}
    return [row for row in spent if row.pruned_at is None and row.digest not in kept]


def refusal(version: ModelVersion) -> str | None:
    """Why a person has to insist before `version` is promoted; None if nothing speaks against it.

    The gate kept it back, or it was rolled back.
    """
    if version.rolled_back_at is not None:
        return f"it was rolled back ({version.reason})"
    if version.state == Version.CANDIDATE and version.reason:
        return f"the gate kept it back ({version.reason})"
    return None


def note_problem(session: Session, version: str, problem: str | None) -> None:
    """Keep why `version` cannot be served, or, with None, that it can."""
    said = problem[:SAID_LENGTH] if problem is not None else None
    row = session.scalar(select(ModelVersion).where(ModelVersion.version == version))
    if row is not None and row.problem != said:
        row.problem = said


def scope_name(session: Session, version: ModelVersion) -> str:
    """OWNER/NAME of the repository a version belongs to, or "all repositories"."""
    if version.repository_id is None:
        return "all repositories"
    return session.get_one(Repository, version.repository_id).full_name


def _before(session: Session, bad: ModelVersion) -> ModelVersion | None:
    """The nearest version that `bad` replaced, directly or not, that may serve again.

    Not one that was rolled back itself, nor one that was pruned.
    """
    seen = {bad.version}
    name = bad.replaced
    while name is not None and name not in seen:
        seen.add(name)
        found = session.scalar(select(ModelVersion).where(ModelVersion.version == name))
        if found is None or found.repository_id != bad.repository_id:
            return None
        if found.rolled_back_at is None and found.pruned_at is None:
            return found
        name = found.replaced
    return None


def _retire(version: ModelVersion, reason: str) -> None:
    version.state = Version.RETIRED
    version.retired_at = from_now()
    version.reason = reason[:SAID_LENGTH]


def _in(repository_id: int | None) -> ColumnElement[bool]:
    if repository_id is None:
        return ModelVersion.repository_id.is_(None)
    return ModelVersion.repository_id == repository_id


def _active_in(repository_id: int | None) -> tuple[ColumnElement[bool], ...]:
    return ModelVersion.state == Version.ACTIVE, _in(repository_id)
