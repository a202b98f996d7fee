"""Keep what we write to GitHub within what it bears, before it has to ask for that."""

from __future__ import annotations

import time
from dataclasses import dataclass
from datetime import timedelta

import structlog

from app.core.errors import GitHubUnavailable
from app.core.settings import Settings
from app.db import budget
from app.db.session import Database

log = structlog.get_logger()


@dataclass(frozen=True)
class Pacing:
    """One write after the other for each installation, whichever process makes it."""

    database: Database
    settings: Settings

    def before_write(self, installation_id: int) -> None:
        """Wait until one more write may be made, for at most the pause between two.

        GitHubUnavailable, to be met like a rate limit of GitHub's own, if the budget is spent.
        """
        per_hour = self.settings.write_budget
        if per_hour is None:
            return
        spacing = timedelta(seconds=self.settings.write_spacing_seconds)
        with self.database.transaction() as session:
            at, now = budget.take(session, installation_id, per_hour=per_hour, spacing=spacing)
        if at > now + spacing:
            log.info("writes.spent", installation=installation_id, until=at.isoformat())
            raise GitHubUnavailable(
                f"as much was written as GitHub bears: waiting until {at:%H:%M:%S} UTC",
                retry_at=at,
                limited=True,
            )
        time.sleep((at - now).total_seconds())
