"""Take a new model version out of service when people override it more often than the one before.

A version that was rolled back never comes back by itself, so the two cannot take turns.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, field

import structlog
from sqlalchemy import select
from sqlalchemy.orm import Session

from app.core import override
from app.core.override import Finding
from app.core.settings import Settings
from app.db import models, overrides
from app.db.learning import ModelVersion, Version
from app.db.session import Database

log = structlog.get_logger()

# The sweep comes by every few seconds; corrections come by hand.
SPACING_SECONDS = 60.0


@dataclass
class Watch:
    """The use case, with all it needs; keeps the time it last looked."""

    database: Database
    settings: Settings
    _looked_at: float | None = field(default=None, init=False)

    def run_if_due(self) -> int:
        """`run`, unless that was less than a minute ago."""
        now = time.monotonic()
        if self._looked_at is not None and now - self._looked_at < SPACING_SECONDS:
            return 0
        self._looked_at = now
        return self.run()

    def run(self) -> int:
        """Look at every active version; how many were rolled back."""
        if self.settings.rollback_level == 0:
            return 0
        with self.database.reading() as session:
            suspects = [
                version.version for version in _active(session) if self._verdict(session, version)
            ]
        return sum(self._roll_back(version) for version in suspects)

    def _verdict(self, session: Session, version: ModelVersion) -> tuple[str, Finding] | None:
        """The version before, and by how much this one is worse; None if it is not."""
        told = overrides.before(session, version)
        if told is None:
            return None
        name, old = told
        found = override.worse(
            overrides.since_active(session, version),
            old,
            least=self.settings.rollback_labels,
            level=self.settings.rollback_level,
        )
        return (name, found) if found is not None else None

    def _roll_back(self, suspect: str) -> int:
        with self.database.transaction() as session:
            version = models.find(session, suspect)
            models.lock(session, version.repository_id)
            # Read again under the lock: somebody may have promoted another one meanwhile.
            if version.state != Version.ACTIVE:
                return 0
            verdict = self._verdict(session, version)
            if verdict is None:
                return 0
            reason = _say(*verdict)
            _, now = models.rollback(session, version.repository_id, reason)
        log.warning(
            "version.rolled_back",
            version=suspect,
            now=now.version if now is not None else None,
            reason=reason,
        )
        return 1


def _active(session: Session) -> list[ModelVersion]:
    return list(
        session.scalars(
            select(ModelVersion)
            .where(ModelVersion.state == Version.ACTIVE)
            .order_by(ModelVersion.id)
        )
    )


def _say(before: str, found: Finding) -> str:
    new, old = found.new, found.old
    return (
        f"rolled back by itself: people changed {new.changed} of its first {new.written} labels"
        f" ({new.rate:.0%}), and {old.changed} of the {old.written} of {before} ({old.rate:.0%});"
        f" p = {found.p:.2g} is below {found.level:.2g}"
    )
