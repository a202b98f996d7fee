"""Celery's scheduler, kept in memory, that takes a broker's outage in one line."""

from __future__ import annotations

from typing import Any

import structlog
from celery.beat import ScheduleEntry, Scheduler, SchedulingError

log = structlog.get_logger()


class Schedule(Scheduler):  # type: ignore[misc]  # celery has no types
    """Sends the sweeps. What could not be sent is sent at its next time."""

    def apply_entry(self, entry: ScheduleEntry, producer: Any = None) -> None:
        """Send one message; Celery's own prints a stack and a traceback when it cannot."""
        try:
            self.apply_async(entry, producer=producer, advance=False)
        except SchedulingError as error:
            log.warning("broker.unreachable", task=entry.name, error=type(error).__name__)
