"""The receiver: a FastAPI application that stores deliveries and wakes workers; without torch."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from functools import partial
from importlib.metadata import version

import structlog
from fastapi import FastAPI
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from app import broker, queue
from app.core.errors import ConfigProblem
from app.core.settings import Settings
from app.db.migrate import require_migrated
from app.db.session import Database
from app.web import errors, health, metrics, schema, webhooks
from app.web.bell import Bell

log = structlog.get_logger()

# More threads would only wait for each other: a database takes a few writers at a time.
_WRITERS = 8


def create_app(settings: Settings) -> FastAPI:
    """The application of `settings`; it waits for nothing when it starts.

    So it starts, and says so, while database or broker are down or the schema is an old one.
    Raises ConfigProblem without a webhook secret, or for a database URL that cannot work.
    """
    secrets = settings.webhook_secrets
    database = Database(settings.sql_url)
    bell = Bell(partial(queue.ring, queue.build(settings)))
    figures = metrics.Metrics(database)
    writers = ThreadPoolExecutor(_WRITERS, thread_name_prefix="writer")
    # Apart, so that a crowd of webhooks cannot keep a probe waiting.
    probes = ThreadPoolExecutor(2, thread_name_prefix="probe")

    @asynccontextmanager
    async def run(app: FastAPI) -> AsyncIterator[None]:
        bell.start()
        receiver.start()
        loop = asyncio.get_running_loop()
        looked = loop.run_in_executor(probes, _warn_unless_usable, database)
        yield
        bell.stop()
        receiver.stop()
        await looked
        for threads in (writers, probes):
            threads.shutdown(wait=False, cancel_futures=True)
        database.close()

    app = FastAPI(
        title="Triora",
        summary="Labels new issues, and leaves maintainers in charge",
        version=version("triora"),
        lifespan=run,
        docs_url=None,
        redoc_url=None,
    )
    errors.install(app)
    receiver = webhooks.Receiver(database, secrets, bell, figures, writers, settings.grace_seconds)
    app.add_middleware(webhooks.Shortcut, receiver=receiver)
    app.include_router(webhooks.routes(receiver))
    app.include_router(
        health.routes(database, partial(broker.answers, settings.celery_broker_url), probes)
    )
    app.include_router(metrics.routes(figures))
    app.include_router(schema.routes())
    return app


def _warn_unless_usable(database: Database) -> None:
    """One line at the start, for whoever reads logs and not /readyz."""
    try:
        require_migrated(database)
    except (ConfigProblem, DBAPIError, PoolTimeout) as error:
        why = str(error) if isinstance(error, ConfigProblem) else type(error).__name__
        log.warning("database.not_ready", why=why)
