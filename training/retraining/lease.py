"""Keeps a row of work ours for as long as the work takes, from a thread of its own."""

from __future__ import annotations

import threading
from types import TracebackType
from typing import Self

import structlog
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from app.db import work
from app.db.learning import Retraining
from app.db.session import Database

log = structlog.get_logger()


class Lease:
    """While it is entered, `row` is renewed three times a lease; `lost` once somebody else has it.

    An outage of the database is waited out: if it lasts longer than the lease, the row may be lost,
    and whatever is written afterwards is fenced anyway.
    """

    def __init__(self, database: Database, row: Retraining, seconds: float) -> None:
        self.lost = False
        self._database, self._row, self._seconds = database, row, seconds
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._renew, name="lease", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._ended.set()
        self._thread.join()

    def _renew(self) -> None:
        while not self._ended.wait(self._seconds / 3):
            try:
                with self._database.transaction() as session:
                    held = work.renew(session, self._row, self._seconds)
            except (DBAPIError, PoolTimeout) as error:
                log.warning("database.unreachable", error=type(error).__name__)
                continue
            if not held:
                self.lost = True
                log.warning("retraining.lost", id=self._row.id)
                return
