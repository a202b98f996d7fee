"""The database, opened for a command about model versions."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from app.cli import start

if TYPE_CHECKING:
    from sqlalchemy.orm import Session

    from app.core.settings import Settings


@contextmanager
def opened(*, write: bool = False) -> Iterator[tuple[Settings, Session]]:
    """Settings and a session, to read in or, with `write`, to change something."""
    from app.db.migrate import require_migrated  # noqa: PLC0415 (imports Alembic)
    from app.db.session import Database  # noqa: PLC0415 (imports SQLAlchemy)

    settings = start()
    database = Database(settings.sql_url)
    require_migrated(database)
    try:
        with database.transaction() if write else database.reading() as session:
            yield settings, session
    finally:
        database.close()
