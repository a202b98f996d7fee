"""Is the process alive, and can it do its work? For load balancers, supervisors and people."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import Executor
from functools import partial
from typing import Literal

import structlog
from fastapi import APIRouter, Response
from pydantic import BaseModel, Field
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from app.db.migrate import current, head
from app.db.session import Database, unreachable

log = structlog.get_logger()

# A part that takes longer counts as down.
_SECONDS = 6.0


class Alive(BaseModel):
    """The process answers."""

    status: Literal["alive"] = "alive"


class Part(BaseModel):
    """One thing the receiver needs."""

    ok: bool
    detail: str


class Readiness(BaseModel):
    """Whether webhooks can be taken in, and how each part does."""

    ready: bool = Field(description="deliveries are stored; True while only the broker is down")
    database: Part
    broker: Part


def routes(
    database: Database, ask_broker: Callable[[], str | None], threads: Executor
) -> APIRouter:
    """`/healthz` and `/readyz`. `ask_broker` returns why the broker cannot be used, or None."""
    router = APIRouter(tags=["operation"])

    @router.get("/healthz", summary="The process is alive")
    async def show_health() -> Alive:
        return Alive()

    @router.get(
        "/readyz",
        summary="Deliveries can be stored",
        responses={503: {"model": Readiness, "description": "The database cannot be used"}},
    )
    async def show_readiness(response: Response) -> Readiness:
        stored, woken = await asyncio.gather(
            _in_time(threads, partial(_database_problem, database)),
            _in_time(threads, partial(_broker_problem, ask_broker)),
        )
        response.status_code = 200 if stored.ok else 503
        return Readiness(ready=stored.ok, database=stored, broker=woken)

    return router


async def _in_time(threads: Executor, check: Callable[[], str | None]) -> Part:
    """Run `check` in a thread: it returns what is wrong, None if nothing is."""
    loop = asyncio.get_running_loop()
    try:
        async with asyncio.timeout(_SECONDS):
            problem = await loop.run_in_executor(threads, check)
    except TimeoutError:
        problem = f"did not answer within {_SECONDS:.0f} s"
    return Part(ok=problem is None, detail=problem or "ready")


def _database_problem(database: Database) -> str | None:
    # Addresses and user names go to the log only: this page may be open to the world.
    try:
        with database.engine.connect() as connection:
            revision = current(connection)
    except (DBAPIError, PoolTimeout) as error:
        log.warning("database.unavailable", why=str(unreachable(database.url, error)))
        return "does not answer"
    if revision != head():
        return f"at revision {revision}, this version needs {head()}: run `triora migrate`"
    return None


def _broker_problem(ask_broker: Callable[[], str | None]) -> str | None:
    problem = ask_broker()
    if problem is None:
        return None
    log.warning("broker.unreachable", why=problem)
    return "does not answer: deliveries are kept, and worked on when it is back"
