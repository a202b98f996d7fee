"""Asks for the retrainings that are due by each repository's own rule."""

from __future__ import annotations

import structlog

from app.db import configs, retrainings
from app.db.session import Database

log = structlog.get_logger()


def ask_where_due(database: Database) -> int:
    """Ask for a retraining wherever enough was corrected, or enough time went by; how many."""
    with database.reading() as session:
        due = retrainings.due(
            session, lambda repository: configs.in_force(session, repository).config.retraining
        )
    asked = 0
    for repository in due:
        with database.transaction() as session:
            asked += retrainings.ask(session, repository, retrainings.SCHEDULE)
    if asked:
        log.info("retrainings.asked", count=asked)
    return asked
