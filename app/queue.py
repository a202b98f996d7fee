"""The Celery application: a doorbell. The database is the queue; a message only wakes a worker.

Messages carry no data, so losing one costs time (the sweeper rings again), never an issue.
"""

from __future__ import annotations

from enum import StrEnum

import structlog
from celery import Celery
from kombu.exceptions import OperationalError

from app.core.settings import Settings

log = structlog.get_logger()


class Queue(StrEnum):
    """One queue a kind of process, so that the model never waits for the network."""

    TRIAGE = "triage"
    LABEL = "label"
    UPKEEP = "upkeep"
    TRAIN = "train"


class Task(StrEnum):
    """Task names. The web enqueues by name: it must not import the worker."""

    TRIAGE = "triora.triage"
    LABEL = "triora.label"
    REVIEW = "triora.review"
    COMMAND = "triora.command"
    CONFIG = "triora.config"
    RUN = "triora.run"
    RETRAIN = "triora.retrain"
    SWEEP = "triora.sweep"
    REDELIVER = "triora.redeliver"


ROUTES = {
    Task.TRIAGE: Queue.TRIAGE,
    Task.LABEL: Queue.LABEL,
    Task.REVIEW: Queue.LABEL,
    Task.COMMAND: Queue.LABEL,
    Task.CONFIG: Queue.LABEL,
    Task.RUN: Queue.UPKEEP,
    Task.RETRAIN: Queue.TRAIN,
    Task.SWEEP: Queue.UPKEEP,
    Task.REDELIVER: Queue.UPKEEP,
}


def build(settings: Settings) -> Celery:
    """A Celery application on the broker of `settings`. Connects to nothing yet."""
    celery = Celery("triora", broker=settings.celery_broker_url)
    celery.conf.update(
        task_ignore_result=True,
        task_acks_late=True,
        task_routes={str(task): {"queue": str(queue)} for task, queue in ROUTES.items()},
        task_create_missing_queues=True,
        worker_prefetch_multiplier=1,
        worker_hijack_root_logger=False,
        worker_soft_shutdown_timeout=30.0,
        # A process that dies between ack and end is covered by leases, not by the broker.
        broker_connection_retry_on_startup=True,
        broker_connection_max_retries=None,
        broker_transport_options={
            # Without time-outs, publishing to a hung broker blocks for over 45 s.
            "socket_timeout": 3,
            "socket_connect_timeout": 2,
            # Publishing to a broker that is down fails at once; a consumer reconnects anyway.
            "max_retries": 0,
            "visibility_timeout": 300,
            # kombu restores unacknowledged messages only every Nth second; its default waits 100.
            "unacked_restore_throttle": 1,
        },
        accept_content=["json"],
        timezone="UTC",
    )
    return celery


def ring(celery: Celery, task: Task) -> bool:
    """Wake a worker for `task`. False if the broker did not take it: the sweeper rings again."""
    try:
        celery.send_task(str(task), retry=False, ignore_result=True)
    except (OperationalError, OSError) as error:
        log.warning("broker.unreachable", task=str(task), error=type(error).__name__)
        return False
    return True


def waiting(celery: Celery, task: Task) -> bool:
    """True if somebody rang for `task` and no worker has come yet. False if nobody can tell."""
    try:
        with celery.pool.acquire(block=True) as connection:
            channel = connection.default_channel
            try:
                declared = channel.queue_declare(str(ROUTES[task]), passive=True)
            except connection.channel_errors:
                # Valkey keeps no empty queues.
                return False
            return bool(declared.message_count)
    except (OperationalError, OSError):
        return False
