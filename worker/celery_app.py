"""Entry point of every Celery process: `celery -A worker.celery_app worker` (or beat).

Settings are read here, at import. `triora worker` runs this with the right options.
"""

from __future__ import annotations

import os
import sys
from typing import Any

from celery import signals

from app import logs
from app.core.errors import TriageError
from app.core.settings import load
from app.queue import build
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


def prepare(instance: Any, **_: Any) -> None:
    """Make what this worker's queues need, before it takes its first message."""
    try:
        process.prepare(instance.app.amqp.queues.consume_from)
    except TriageError as error:
        # Celery would log any other exception here and go on without a model.
        print(f"triora: {logs.blank(str(error))}", file=sys.stderr)  # noqa: T201
        raise SystemExit(2) from error


signals.setup_logging.connect(keep_our_logging)
signals.celeryd_after_setup.connect(prepare)
