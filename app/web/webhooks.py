"""POST /webhooks/github: check, store in one transaction, answer 202, wake a worker."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Sequence
from concurrent.futures import Executor
from dataclasses import dataclass

import structlog
from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse, Response
from pydantic import BaseModel, Field
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from app.core.errors import BadRequest
from app.db.session import Database
from app.db.tables import Outcome
from app.github import signature
from app.intake import delivery as intake
from app.web import body, errors
from app.web.bell import Bell
from app.web.metrics import Metrics

log = structlog.get_logger()

PATH = "/webhooks/github"
# GitHub hangs up after 10 s; by then we have said that it must deliver again.
ANSWER_SECONDS = 8.0
_EVENT = re.compile(r"[a-z0-9_]{1,100}")
_GUID = re.compile(r"[0-9A-Za-z-]{1,64}")


_BODY = {
    "requestBody": {
        "required": True,
        "description": "the event's payload, exactly as GitHub signed it",
        "content": {
            body.JSON: {"schema": {"type": "object"}},
            body.FORM: {
                "schema": {
                    "type": "object",
                    "properties": {"payload": {"type": "string"}},
                    "required": ["payload"],
                }
            },
        },
    },
    "parameters": [
        {"in": "header", "name": name, "required": True, "schema": schema}
        for name, schema in (
            ("X-GitHub-Event", {"type": "string", "pattern": f"^{_EVENT.pattern}$"}),
            ("X-GitHub-Delivery", {"type": "string", "pattern": f"^{_GUID.pattern}$"}),
            ("X-Hub-Signature-256", {"type": "string", "pattern": "^sha256=[0-9a-f]{64}$"}),
        )
    ],
}


class Answer(BaseModel):
    """What was done with a delivery."""

    delivery: str = Field(description="the delivery's GUID")
    outcome: Outcome
    reason: str
    duplicate: bool = Field(description="this GUID had been stored before: no second job")


class Problem(BaseModel):
    """Why a request was not taken."""

    error: str


_RESPONSES: dict[int | str, dict[str, object]] = {
    400: {"model": Problem, "description": "A header is missing or the payload is not JSON"},
    401: {"model": Problem, "description": "The signature does not fit"},
    408: {"model": Problem, "description": "The body came too slowly"},
    413: {"model": Problem, "description": "The body is over 25 MB"},
    415: {"model": Problem, "description": "Neither JSON nor a form"},
    503: {"model": Problem, "description": "Nothing was stored: deliver again later"},
}


@dataclass(frozen=True)
class Receiver:
    """Takes webhooks in. `threads` are where the database is waited for."""

    database: Database
    secrets: Sequence[bytes]
    bell: Bell
    metrics: Metrics
    threads: Executor
    grace_seconds: float

    async def receive(self, request: Request) -> Response:
        """Take one request in. BadRequest for what GitHub would not send; 503 as a response."""
        name, guid, signed = _headers(request)
        raw = await body.read(request)
        content_type = request.headers.get("content-type", "")
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout(ANSWER_SECONDS):
                accepted = await loop.run_in_executor(
                    self.threads, self._take, name, guid, signed, content_type, raw
                )
        except TimeoutError:
            # The thread may still commit: then the redelivery is a duplicate, and nothing is lost.
            log.error("database.slow", delivery=guid, seconds=ANSWER_SECONDS)
            return errors.unavailable(f"the database took over {ANSWER_SECONDS:.0f} s")
        if accepted.ring is not None:
            self.bell.press(accepted.ring)
        self.metrics.delivery(name, accepted.outcome, accepted.duplicate)
        log.info(
            "delivery.accepted",
            delivery=guid,
            github_event=name,
            outcome=str(accepted.outcome),
            duplicate=accepted.duplicate,
        )
        answer = Answer(
            delivery=guid,
            outcome=accepted.outcome,
            reason=accepted.reason,
            duplicate=accepted.duplicate,
        )
        return JSONResponse(answer.model_dump(mode="json"), status_code=202)

    def _take(
        self, name: str, guid: str, signed: bytes, content_type: str, raw: bytes
    ) -> intake.Accepted:
        """All that takes time, off the event loop."""
        if not signature.verify(self.secrets, raw, signed):
            raise BadRequest(
                "the signature does not fit the body: is the webhook's secret the same here "
                "and on GitHub?",
                401,
            )
        payload = body.payload_of(content_type, raw)
        return intake.accept(self.database, name, guid, payload, grace_seconds=self.grace_seconds)


def _headers(request: Request) -> tuple[str, str, bytes]:
    """Event name, delivery GUID and raw signature. BadRequest says which one is missing."""
    name = _header(request, "X-GitHub-Event")
    guid = _header(request, "X-GitHub-Delivery")
    signed = _header(
        request, "X-Hub-Signature-256", "set a secret in the webhook's settings on GitHub"
    )
    if not _EVENT.fullmatch(name):
        raise BadRequest("X-GitHub-Event is not the name of an event")
    if not _GUID.fullmatch(guid):
        raise BadRequest("X-GitHub-Delivery is not a delivery's GUID")
    # Starlette decodes headers as Latin-1, so this gives back the bytes that were sent.
    return name, guid, signed.encode("latin-1")


def _header(request: Request, name: str, advice: str = "GitHub sends it with every webhook") -> str:
    value = request.headers.get(name)
    if value is None:
        raise BadRequest(f"the header {name} is missing: {advice}")
    return value


def routes(receiver: Receiver) -> APIRouter:
    """The address to put into the App's webhook settings."""
    router = APIRouter(tags=["webhooks"])

    @router.post(
        PATH,
        status_code=202,
        response_model=Answer,
        responses=_RESPONSES,
        openapi_extra=_BODY,
        summary="Take in one webhook delivery of GitHub",
    )
    async def receive_webhook(request: Request) -> Response:
        with receiver.metrics.seconds.time():
            try:
                return await receiver.receive(request)
            except BadRequest as error:
                receiver.metrics.refused(error.status)
                log.warning("delivery.refused", status=error.status, why=str(error))
                raise
            except (DBAPIError, PoolTimeout):
                receiver.metrics.refused(503)
                raise

    return router
