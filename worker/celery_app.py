"""Entry point of every Celery process: `celery -A worker.celery_app worker` (or beat).

Settings are read here, at import. `triora worker` runs this with the right options.
"""

from __future__ import annotations

import importlib.util
import os
import sys
from importlib.metadata import entry_points
from typing import Any

from celery import signals

from app import logs
from app.core.errors import ConfigProblem, TriageError
from app.core.settings import load
from app.queue import Queue, build
from worker.process import Process
from worker.tasks import register
from worker.threads import wait_without_spinning

wait_without_spinning(os.environ)
settings = load()
process = Process(settings)
celery = build(settings)
register(celery, process)


def keep_our_logging(**_: Any) -> None:
    """Celery configures no logging where somebody listens to this signal."""
    logs.configure(settings.log_level)


def add_training() -> None:
    """Add the tasks of the package above this one. ConfigProblem if it is not installed."""
    found = entry_points(group="triora.tasks")
    if not found or importlib.util.find_spec("datasets") is None:
        raise ConfigProblem("training is not installed: pip install 'triora[train]'")
    for entry in found:
        entry.load()(celery, process)


def prepare(instance: Any, **_: Any) -> None:
    """Make what this worker's queues need, before it takes its first message."""
    queues = instance.app.amqp.queues.consume_from
    try:
        if Queue.TRAIN in queues:
            add_training()
        process.prepare(queues)
    except TriageError as error:
        # Celery would log any other exception here and go on without a model.
        print(f"triora: {logs.blank(str(error))}", file=sys.stderr)  # noqa: T201
        raise SystemExit(2) from error


signals.setup_logging.connect(keep_our_logging)
signals.celeryd_after_setup.connect(prepare)
