"""`triora worker`: run a triage worker, the label writer, the scheduler, or all in one process."""

from __future__ import annotations

import os
import warnings
from enum import StrEnum
from typing import Annotated, Any

import typer
from celery import Celery, signals
from celery.beat import EmbeddedService

from app import broker
from app.cli import start
from app.db.migrate import require_migrated
from app.db.session import Database
from app.queue import Queue

# Each thread serves one installation at a time and mostly waits for GitHub.
LABEL_THREADS = 4


class Choice(StrEnum):
    """What a worker takes work from."""

    TRIAGE = Queue.TRIAGE
    LABEL = Queue.LABEL
    UPKEEP = Queue.UPKEEP
    ALL = "all"


def register(cli: typer.Typer) -> None:
    """Add `triora worker`."""
    cli.command("worker")(run)


def run(
    queue: Annotated[
        list[Choice] | None,
        typer.Option(
            help="triage scores issues, label writes to GitHub, upkeep sweeps; may be repeated."
        ),
    ] = None,
    beat: Annotated[
        bool, typer.Option(help="Also send the sweeps; alone if no queue is named.")
    ] = False,
) -> None:
    """Work on issues until SIGTERM or Ctrl-C; a batch that was begun is finished first.

    Without options: all queues and the scheduler in one process.
    """
    settings = start()
    require_migrated(Database(settings.sql_url))
    # It reads the settings when it is imported, so not before a command needs it.
    from worker.celery_app import celery  # noqa: PLC0415

    # Celery warns of root for the sake of pickled messages; ours are JSON without content.
    warnings.filterwarnings("ignore", message=r"\s*You're running the worker")
    queues = _queues(queue, beat)
    with broker.embedded(settings):
        if not queues:
            celery.start(["--quiet", "beat", "--loglevel", settings.log_level])
            return
        if beat or not queue:
            _start_scheduler(celery)
        celery.worker_main(_arguments(queues, settings.log_level))


def _queues(chosen: list[Choice] | None, beat: bool) -> list[Queue]:
    if not chosen:
        return [] if beat else list(Queue)
    if Choice.ALL in chosen:
        return list(Queue)
    return [Queue(str(choice)) for choice in dict.fromkeys(chosen)]


def _arguments(queues: list[Queue], log_level: str) -> list[str]:
    # The model takes all cores for one batch; the label writer waits for the network.
    pool = (
        ["--pool=solo"]
        if Queue.TRIAGE in queues
        else ["--pool=threads", f"--concurrency={LABEL_THREADS}"]
    )
    name = "-".join(queues)
    return [
        "--quiet",
        "worker",
        *pool,
        f"--queues={','.join(queues)}",
        f"--hostname={name}-{os.getpid()}@%h",
        f"--loglevel={log_level}",
        # Workers know nothing of each other: the database is what they share.
        "--without-gossip",
        "--without-mingle",
        "--without-heartbeat",
    ]


def _start_scheduler(celery: Celery) -> None:
    """A thread that sends the sweeps while this worker runs."""
    scheduler = EmbeddedService(celery, thread=True)

    def begin(**_: Any) -> None:
        scheduler.start()

    def end(**_: Any) -> None:
        if scheduler.is_alive():
            scheduler.stop()

    signals.worker_ready.connect(begin, weak=False)
    signals.worker_shutting_down.connect(end, weak=False)
