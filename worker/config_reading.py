"""Read `.github/triora.yml` of a repository and of its owner, and keep what is in force of them.

Read from the default branches by the contents API with ETags: nothing changed costs nothing. What
is in force is the last good text of the owner with the last good text of the repository over it.
Where a text is bad and none before it was good, what was in force stays in force; if that is
nothing at all, nothing is written for the repository until somebody mends it: a configuration that
exists and cannot be followed may forbid just what the defaults would do.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import structlog
from sqlalchemy.orm import Session

from app.core import repository_config
from app.core.errors import BadRequest, Gone, NotPermitted
from app.core.repository_config import OWNERS_REPOSITORY, PATH, Mistakes
from app.core.safe_yaml import MAX_BYTES
from app.db import configs, reviews
from app.db.clock import from_now
from app.db.learning import RepositoryConfig
from app.db.session import Database
from app.db.tables import Repository
from app.github.client import InstallationClient
from app.github.failures import Refused, RepositoryMoved
from app.github.models import StoredFile

log = structlog.get_logger()

REFUSED = (
    f"GitHub does not let this App read {PATH}: an owner has to accept the App's permission to "
    "read that one file (Settings, GitHub Apps, Configure)"
)


@dataclass(frozen=True)
class Place:
    """What one file said when it was last read; `good` is its last good text, None for no file."""

    etag: str | None = None
    good: dict[str, Any] | None = None
    mistakes: tuple[str, ...] = ()

    @classmethod
    def of(cls, kept: dict[str, Any] | None) -> Place:
        """As `RepositoryConfig.sources` keeps it."""
        if kept is None:
            return cls()
        return cls(kept.get("etag"), kept.get("good"), tuple(kept.get("mistakes") or ()))

    def kept(self) -> dict[str, Any]:
        """For `RepositoryConfig.sources`."""
        return {"etag": self.etag, "good": self.good, "mistakes": list(self.mistakes)}


@dataclass(frozen=True)
class Reading:
    """What both places say together. `in_force` is None if nothing good was ever read."""

    repository: Place
    owner: Place
    in_force: dict[str, Any] | None
    clash: tuple[str, ...] = ()

    @property
    def own_mistakes(self) -> tuple[str, ...]:
        """Those that the repository's own people can mend."""
        return self.repository.mistakes + self.clash

    @property
    def problem(self) -> str | None:
        """All mistakes, one a line."""
        lines = (*self.own_mistakes, *(f"the owner's default: {m}" for m in self.owner.mistakes))
        return "\n".join(lines) or None


def refresh(database: Database, client: InstallationClient, repository: Repository) -> bool:
    """Read both places and keep the outcome. True if what holds for the repository changed.

    Raises GitHubUnavailable when GitHub does not answer: nothing is changed then.
    """
    with database.transaction() as session:
        configs.learn(session, repository.id)
        row = session.get_one(RepositoryConfig, repository.id)
    reading = look(client, repository.full_name, row)
    with database.transaction() as session:
        return _keep(session, row, reading)


def look(client: InstallationClient, full_name: str, row: RepositoryConfig) -> Reading:
    """What the two files say now, compared with what `row` knows of them."""
    owner, _, name = full_name.partition("/")
    known = row.sources
    repository = _place(client, full_name, Place.of(known.get("repository")), theirs=False)
    home = f"{owner}/{OWNERS_REPOSITORY}"
    if name == OWNERS_REPOSITORY:
        return _together(repository, Place(), row.in_force)
    owners = _place(client, home, Place.of(known.get("owner")), theirs=True)
    return _together(repository, owners, row.in_force)


def _place(client: InstallationClient, full_name: str, before: Place, *, theirs: bool) -> Place:
    """One file as it is now. `theirs`: the App may not be installed there, so no is no file."""
    try:
        stored = _fetch(client, full_name, before.etag, theirs=theirs)
        if stored is None:
            return before
    except Gone:
        return Place()
    except RepositoryMoved:
        if not theirs:
            raise
        # The owner's default repository has another name now, so it is none any more.
        return Place()
    except NotPermitted as error:
        if isinstance(error, Refused) and error.wide:
            # Says nothing about the file.
            raise
        log.info("config.refused", owners=theirs, error=str(error))
        return Place() if theirs else replace(before, etag=None, mistakes=(REFUSED,))
    except BadRequest as error:
        return replace(before, etag=None, mistakes=(str(error),))
    try:
        text = stored.text(MAX_BYTES)
        raw, lines = repository_config.read(text)
        repository_config.check(raw, lines)
    except BadRequest as error:
        return Place(stored.etag, before.good, (str(error),))
    except Mistakes as error:
        return Place(stored.etag, before.good, error.lines)
    return Place(stored.etag, raw)


def _fetch(
    client: InstallationClient, full_name: str, etag: str | None, *, theirs: bool
) -> StoredFile | None:
    try:
        return client.file(full_name, PATH, etag)
    except NotPermitted:
        if theirs:
            raise
        # An owner may have granted it after our token was made.
        client.renew()
        return client.file(full_name, PATH, etag)


def _together(repository: Place, owner: Place, before: dict[str, Any] | None) -> Reading:
    if any(place.mistakes and place.good is None for place in (repository, owner)):
        return Reading(repository, owner, before)
    merged = repository_config.merge(owner.good or {}, repository.good or {})
    try:
        repository_config.check(merged)
    except Mistakes as error:
        clash = tuple(f"together with the owner's default: {line}" for line in error.lines)
        return Reading(repository, owner, before, clash)
    return Reading(repository, owner, merged)


def _keep(session: Session, row: RepositoryConfig, reading: Reading) -> bool:
    """False as well if somebody else read it meanwhile: theirs is as new."""
    now = session.get_one(RepositoryConfig, row.id, with_for_update=True)
    if now.read_at != row.read_at:
        return False
    before = configs.of(now)
    now.sources = dict(now.sources) | {
        "repository": reading.repository.kept(),
        "owner": reading.owner.kept(),
        "clash": list(reading.clash),
    }
    now.in_force = reading.in_force
    now.problem = reading.problem
    now.read_at = from_now()
    session.flush()
    session.refresh(now)
    after = configs.of(now)
    changed = (before.config.digest, before.waiting) != (after.config.digest, after.waiting)
    if before.config.taxonomy != after.config.taxonomy:
        reviews.want_all(session, row.id)
    if changed:
        configs.release_waiting(session, row.id)
        log.info("config.changed", repository=row.id, waiting=after.waiting)
    return changed
