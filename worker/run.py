"""`triora worker`: run a triage worker, the label writer, the scheduler, or all in one process."""

from __future__ import annotations

import logging
import os
import signal
import socket
import warnings
from enum import StrEnum
from typing import Annotated, Any

import structlog
import typer
from billiard.process import active_children
from celery import Celery, signals
from celery.beat import EmbeddedService
from celery.concurrency import get_implementation
from celery.exceptions import CPendingDeprecationWarning

from app import broker
from app.cli import start
from app.core.errors import ConfigProblem
from app.db.migrate import require_migrated
from app.db.session import Database
from app.queue import Queue

log = structlog.get_logger()

# Each thread serves one installation at a time and mostly waits for GitHub.
LABEL_THREADS = 4


class Choice(StrEnum):
    """What a worker takes work from."""

    TRIAGE = Queue.TRIAGE
    LABEL = Queue.LABEL
    UPKEEP = Queue.UPKEEP
    TRAIN = Queue.TRAIN
    ALL = "all"


# A retraining takes minutes to hours, and most of a machine: it shares no process with others.
TOGETHER = (Queue.TRIAGE, Queue.LABEL, Queue.UPKEEP)


def register(cli: typer.Typer) -> None:
    """Add `triora worker`."""
    cli.command("worker")(run)


def run(
    queue: Annotated[
        list[Choice] | None,
        typer.Option(
            help="triage scores issues, label writes to GitHub, upkeep sweeps; may be repeated. "
            "train retrains models, in a process of its own. all is all but train."
        ),
    ] = None,
    beat: Annotated[
        bool, typer.Option("--beat", help="Also send the sweeps; alone if no queue is named.")
    ] = False,
) -> None:
    """Work on issues until SIGTERM or Ctrl-C; a batch that was begun is finished first.

    Without options: all queues but train, and the scheduler, in one process.
    """
    queues = _queues(queue, beat)
    settings = start()
    require_migrated(Database(settings.sql_url))
    # It reads the settings when it is imported, so not before a command needs it.
    from worker.celery_app import celery, process  # noqa: PLC0415

    # Celery warns of root for the sake of pickled messages; ours are JSON without content. And of
    # tasks that go on when the broker is lost; ours may, the database is what they work for.
    warnings.filterwarnings("ignore", message=".*superuser privileges")
    warnings.filterwarnings("ignore", category=CPendingDeprecationWarning)
    with broker.embedded(settings):
        signals.beat_init.connect(_say_ready, weak=False)
        if not queues:
            celery.start(["--quiet", "beat", "--loglevel", settings.log_level])
            return
        process.prepare(queues)
        if beat or not queue:
            _start_scheduler(celery)
        worker = _worker(celery, queues, settings.log_level)
        if Queue.TRAIN in queues:
            signals.worker_shutting_down.connect(_end_training, weak=False)
        worker.start()
    raise typer.Exit(worker.exitcode or 0)


def _queues(chosen: list[Choice] | None, beat: bool) -> list[Queue]:
    if not chosen:
        return [] if beat else list(TOGETHER)
    if Choice.TRAIN in chosen and (set(chosen) != {Choice.TRAIN} or beat):
        raise ConfigProblem(
            "--queue train is a process of its own: run another worker for the rest"
        )
    if Choice.ALL in chosen:
        return list(TOGETHER)
    return [Queue(str(choice)) for choice in dict.fromkeys(chosen)]


def _worker(celery: Celery, queues: list[Queue], log_level: str) -> Any:
    pool, concurrency, lives = _pool(queues)
    return celery.Worker(
        hostname=f"{'-'.join(queues)}-{os.getpid()}@{socket.gethostname()}",
        pool_cls=get_implementation(pool),
        concurrency=concurrency,
        max_tasks_per_child=lives,
        queues=[str(queue) for queue in queues],
        loglevel=logging.getLevelName(log_level),
        quiet=True,
        # Workers know nothing of each other: the database is what they share.
        without_gossip=True,
        without_mingle=True,
        without_heartbeat=True,
    )


def _pool(queues: list[Queue]) -> tuple[str, int, int | None]:
    """Celery's pool, how many tasks run at once, and after how many their process is replaced."""
    if Queue.TRAIN in queues:
        # A child trains and ends, and gives its memory and its low priority back.
        return "prefork", 1, 1
    if Queue.TRIAGE in queues:
        # The model takes all cores for one batch.
        return "solo", 1, None
    return "threads", LABEL_THREADS, None


def _end_training(**_: Any) -> None:
    """A retraining is not waited for: it goes on from its last checkpoint.

    Killed, since the exception that SIGTERM raises in a child may be lost in a callback of torch.
    """
    for child in active_children():
        os.kill(child.pid, signal.SIGKILL)


def _say_ready(**_: Any) -> None:
    log.info("scheduler.ready")


def _start_scheduler(celery: Celery) -> None:
    """A thread that sends the sweeps while this worker runs."""
    scheduler = EmbeddedService(celery, thread=True, scheduler_cls=celery.conf.beat_scheduler)

    def begin(**_: Any) -> None:
        scheduler.start()

    def end(**_: Any) -> None:
        if scheduler.is_alive():
            scheduler.stop()

    signals.worker_ready.connect(begin, weak=False)
    signals.worker_shutting_down.connect(end, weak=False)
