"""The Celery task of the queue `train`; only a process that serves that queue has it.

Nothing heavy is imported until a retraining is due.
"""

from __future__ import annotations

import structlog
from celery import Celery
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from app.core.errors import TriageError
from app.db import work
from app.db.learning import Retraining
from app.queue import Task, ring
from worker.process import Process

log = structlog.get_logger()


def register(celery: Celery, process: Process) -> None:
    """Add the task; called through the entry-point group `triora.tasks`."""

    def retrain() -> None:
        """Carry out one retraining that is due, and ring for the next one."""
        try:
            with process.database.reading() as session:
                due = work.any_due(session, Retraining)
            if due and _run(process):
                ring(celery, Task.RETRAIN)
        except (DBAPIError, PoolTimeout) as error:
            log.error("database.unreachable", error=type(error).__name__)

    celery.task(retrain, name=str(Task.RETRAIN), shared=False)


def _run(process: Process) -> bool:
    from training.background import end_with_parent, retrain_quietly  # noqa: PLC0415 (torch)

    end_with_parent()
    try:
        return retrain_quietly(process.database, process.settings) is not None
    except TriageError:
        # Kept in its row, with the reason; the next one may be of another repository.
        return True
