"""Errors as answers: one line of JSON that says why, and never a traceback."""

from __future__ import annotations

import structlog
from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from app.core.errors import BadRequest
from app.db.session import is_unmigrated

log = structlog.get_logger()

KNOWN = (BadRequest, DBAPIError, PoolTimeout)
# GitHub does not retry by itself; monitors and our own redelivery sweep read this.
RETRY_AFTER_SECONDS = 30


def install(app: FastAPI) -> None:
    """Answer the errors we know; anything else is a bare 500 from the server."""
    for kind in KNOWN:
        app.add_exception_handler(kind, _handle)


async def _handle(request: Request, error: Exception) -> JSONResponse:
    return answer(request, error)


def answer(request: Request, error: Exception) -> JSONResponse:
    """What the caller is told of an error that is one of `KNOWN`."""
    if isinstance(error, BadRequest):
        return JSONResponse({"error": str(error)}, status_code=error.status)
    # Only the class: a statement's parameters are issue texts.
    cause = getattr(error, "orig", None) or error
    if is_unmigrated(error):
        log.error("database.unmigrated", path=request.url.path, todo="run `triora migrate`")
        return unavailable("the database lacks tables of this version (run `triora migrate`)")
    log.error("database.unavailable", path=request.url.path, error=type(cause).__name__)
    return unavailable("the database does not answer")


def unavailable(why: str) -> JSONResponse:
    """503: nothing was stored, deliver again later."""
    return JSONResponse(
        {"error": f"{why}: deliver this again later"},
        status_code=503,
        headers={"Retry-After": str(RETRY_AFTER_SECONDS)},
    )
