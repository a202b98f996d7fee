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
from starlette.types import ASGIApp, Receive, Scope, Send

from app.core.errors import BadRequest
from app.db.session import Database
from app.db.tables import Outcome
from app.github import signature
from app.intake import delivery as intake
from app.intake.group import Letter, accept_together
from app.web import body, errors
from app.web.bell import Bell
from app.web.groups import Full, Groups
from app.web.metrics import Metrics

log = structlog.get_logger()

PATH = "/webhooks/github"
# GitHub hangs up after 10 s; by then we have said that it must deliver again.
ANSWER_SECONDS = 8.0
# What waits for the database at most, about two seconds' worth; more could not be answered in time.
_ROOM = 2000
# A larger body would keep those beside it waiting: it is checked and read by itself.
_SMALL = 262_144
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


@dataclass(frozen=True, slots=True)
class _Arrived:
    """A request with its headers in order and nothing else looked at."""

    name: str
    guid: str
    signed: bytes
    content_type: str
    raw: bytes


class Receiver:
    """Takes webhooks in. `threads` are where the database is waited for, one delivery at a time."""

    def __init__(
        self,
        database: Database,
        secrets: Sequence[bytes],
        bell: Bell,
        metrics: Metrics,
        threads: Executor,
        grace_seconds: float,
    ) -> None:
        self.metrics = metrics
        self._database = database
        self._secrets = secrets
        self._bell = bell
        self._threads = threads
        self._grace_seconds = grace_seconds
        # One: with more of them the groups are smaller, and each takes longer.
        self._groups = Groups(self._take_together, threads=1, room=_ROOM)
        self.start, self.stop = self._groups.start, self._groups.stop

    async def answer(self, request: Request) -> Response:
        """The answer to one request, whatever is in it, counted and timed."""
        with self.metrics.seconds.time():
            try:
                return await self._receive(request)
            except BadRequest as error:
                self.metrics.refused(error.status)
                log.warning("delivery.refused", status=error.status, why=str(error))
                return errors.answer(request, error)
            except (DBAPIError, PoolTimeout) as error:
                self.metrics.refused(503)
                return errors.answer(request, error)

    async def _receive(self, request: Request) -> Response:
        """Take one request in. BadRequest for what GitHub would not send; 503 as a response."""
        name, guid, signed = _headers(request)
        raw = await body.read(request)
        content_type = request.headers.get("content-type", "")
        try:
            async with asyncio.timeout(ANSWER_SECONDS):
                accepted = await self._take(_Arrived(name, guid, signed, content_type, raw))
        except Full:
            log.warning("delivery.put_off", delivery=guid)
            self.metrics.refused(503)
            return errors.unavailable("too many deliveries wait")
        except TimeoutError:
            # The thread may still commit: then the redelivery is a duplicate, and nothing is lost.
            log.error("database.slow", delivery=guid, seconds=ANSWER_SECONDS)
            return errors.unavailable(f"the database took over {ANSWER_SECONDS:.0f} s")
        if accepted.ring is not None:
            self._bell.press(accepted.ring)
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

    async def _take(self, arrived: _Arrived) -> intake.Accepted:
        """Store it, together with others where that may be."""
        if len(arrived.raw) <= _SMALL:
            accepted = await self._groups.ask(arrived)
            if accepted is not None:
                return accepted
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._threads, self._take_alone, arrived)

    def _take_alone(self, arrived: _Arrived) -> intake.Accepted:
        letter = self._open(arrived)
        grace = self._grace_seconds
        return intake.accept(
            self._database, letter.name, letter.guid, letter.payload, grace_seconds=grace
        )

    def _take_together(
        self, arrived: Sequence[_Arrived]
    ) -> list[intake.Accepted | Exception | None]:
        """For each what became of it, None if it has to be taken in alone, or why it is refused."""
        opened = [self._opened(one) for one in arrived]
        letters = [letter for letter in opened if isinstance(letter, Letter)]
        stored = iter(self._store(letters))
        return [next(stored) if isinstance(one, Letter) else one for one in opened]

    def _store(self, letters: Sequence[Letter]) -> list[intake.Accepted | None]:
        try:
            return accept_together(self._database, letters, grace_seconds=self._grace_seconds)
        except (DBAPIError, PoolTimeout):
            raise
        except Exception as error:  # noqa: BLE001 - it shows again, for the one it is about
            log.error("deliveries.parted", error=type(error).__name__)
            return [None] * len(letters)

    def _opened(self, arrived: _Arrived) -> Letter | Exception:
        try:
            return self._open(arrived)
        except Exception as error:  # noqa: BLE001 - it is raised again, where it belongs
            return error

    def _open(self, arrived: _Arrived) -> Letter:
        """The delivery in it. BadRequest if it is not one, or not from GitHub."""
        if not signature.verify(self._secrets, arrived.raw, arrived.signed):
            raise BadRequest(
                "the signature does not fit the body: is the webhook's secret the same here "
                "and on GitHub?",
                401,
            )
        payload = body.payload_of(arrived.content_type, arrived.raw)
        return Letter(arrived.name, arrived.guid, payload)


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


class Shortcut:
    """ASGI middleware that hands webhooks to the receiver; everything else goes to the router.

    The router and its layers would take longer than all of the receiver's own work.
    """

    def __init__(self, app: ASGIApp, receiver: Receiver) -> None:
        self._app = app
        self._receiver = receiver

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One connection's message, as ASGI has it."""
        if scope["type"] == "http" and scope["path"] == PATH and scope["method"] == "POST":
            response = await self._receiver.answer(Request(scope, receive))
            await response(scope, receive, send)
        else:
            await self._app(scope, receive, send)


def routes(receiver: Receiver) -> APIRouter:
    """The address to put into the App's webhook settings, as it is described to others."""
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
        return await receiver.answer(request)

    return router
