"""Celery tasks: each wakes one use case and rings the bell for what comes next.

A task never carries data and never retries: what failed waits in its row, and the sweep rings.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from datetime import timedelta

import structlog
from celery import Celery
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from app.core.errors import GitHubUnavailable, NotPermitted
from app.db import retention
from app.queue import Queue, Task, ring, waiting
from worker import relearning
from worker.process import Process
from worker.reconcile import Redelivery, bells_to_ring

log = structlog.get_logger()


def register(celery: Celery, process: Process) -> None:
    """Give `celery` its tasks, which work with what `process` holds, and the sweeps' schedule."""

    def task(name: Task) -> Callable[[Callable[[], None]], None]:
        def add(work: Callable[[], None]) -> None:
            # Not shared: a process with two Celery applications keeps their tasks apart.
            celery.task(_survive_outages(work), name=str(name), shared=False)

        return add

    @task(Task.TRIAGE)
    def triage() -> None:
        batch = process.triage().run_batch()
        if batch.to_label:
            ring(celery, Task.LABEL)
        if batch.unsettled:
            ring(celery, Task.CONFIG)
        if batch.claimed:
            # Back to the broker between two batches: so a worker can be stopped there.
            ring(celery, Task.TRIAGE)

    @task(Task.LABEL)
    def label() -> None:
        if process.labelling().run_batch():
            ring(celery, Task.LABEL)

    @task(Task.CONFIG)
    def config() -> None:
        use = process.configuration()
        if use.run_batch():
            # What waited for it may go on now.
            bells = (Task.CONFIG, Task.TRIAGE, Task.LABEL) if use.changed else (Task.CONFIG,)
            for bell in bells:
                ring(celery, bell)

    @task(Task.REVIEW)
    def review() -> None:
        if process.reviewing().run_batch():
            ring(celery, Task.REVIEW)

    @task(Task.COMMAND)
    def command() -> None:
        if process.commanding().run_batch():
            # Labels stood back for it, and a rerun waits to be scored.
            for bell in (Task.COMMAND, Task.TRIAGE, Task.LABEL):
                ring(celery, bell)

    @task(Task.RUN)
    def run() -> None:
        if process.running().run_batch():
            for bell in (Task.RUN, Task.TRIAGE, Task.LABEL):
                ring(celery, bell)

    @task(Task.SWEEP)
    @_no_more_often_than(process.settings.sweep_seconds)
    def sweep() -> None:
        relearning.ask_where_due(process.database)
        process.watch.run_if_due()
        for bell in bells_to_ring(process.database):
            if not waiting(celery, bell):
                ring(celery, bell)

    @task(Task.REDELIVER)
    @_no_more_often_than(process.settings.redelivery_seconds)
    def redeliver() -> None:
        spacing = timedelta(seconds=process.settings.redelivery_seconds)
        absence = timedelta(hours=process.settings.absence_hours)
        with process.database.transaction() as session:
            forgotten = retention.forget(session, process.settings.retention_days)
        if forgotten:
            log.info("texts.deleted", rows=forgotten)
        try:
            Redelivery(process.database, process.connect(), spacing, absence).run()
        except (GitHubUnavailable, NotPermitted) as error:
            log.warning("deliveries.unreachable", error=str(error))

    celery.conf.beat_scheduler = "worker.schedule:Schedule"
    celery.conf.beat_schedule = {
        str(name): {
            "task": str(name),
            "schedule": seconds,
            "options": {"queue": str(Queue.UPKEEP)},
        }
        for name, seconds in (
            (Task.SWEEP, process.settings.sweep_seconds),
            (Task.REDELIVER, process.settings.redelivery_seconds),
        )
    }


def _no_more_often_than(seconds: float) -> Callable[[Callable[[], None]], Callable[[], None]]:
    """Leave out what comes sooner: the rest of a heap that grew while nobody had time for it.

    Not Celery's expiry, which compares two machines' clocks: a scheduler whose clock is behind by
    more than a sweep's interval would then be heard by nobody.
    """

    def limit(work: Callable[[], None]) -> Callable[[], None]:
        last = [-math.inf]

        def sometimes() -> None:
            now = time.monotonic()
            # Half, since messages do not come at even times.
            if now - last[0] >= seconds / 2:
                last[0] = now
                work()

        sometimes.__name__ = work.__name__
        return sometimes

    return limit


def _survive_outages(work: Callable[[], None]) -> Callable[[], None]:
    def survived() -> None:
        try:
            work()
        except (DBAPIError, PoolTimeout) as error:
            # One line; leases run out and the sweep rings when the database is back.
            log.error("database.unreachable", error=type(error).__name__)

    survived.__name__ = work.__name__
    return survived
