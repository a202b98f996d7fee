"""The REST API as one ASGI application: identify, limit, answer, and let faults have their way."""

from __future__ import annotations

import asyncio
import hashlib
import re
import secrets
import socket
import struct
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from email.utils import format_datetime
from typing import Any
from urllib.parse import parse_qsl

from starlette.types import Receive, Scope, Send

from deploy.sandbox.rest.auth import Actor, Tokens, identify
from deploy.sandbox.rest.exchange import Exchange, Refusal, Reply, not_found
from deploy.sandbox.rest.faults import Fault, Faults, Kind
from deploy.sandbox.rest.limits import Limits
from deploy.sandbox.rest.routing import ANYBODY, APP, Call, Route, Routes
from deploy.sandbox.world.state import World

PREFIX = "/api/v3"
KEPT = 100_000
_BY_NUMBER = re.compile(r"/repositories/(\d+)(/.*)?")
# Signing and redelivering are no content.
_NO_CONTENT = re.compile(r"/app/.*|/installation/token")


@dataclass
class Request:
    """What came in, with the path as the routes know it."""

    method: str
    path: str
    query: str
    headers: dict[str, str]
    body: bytes
    route: Route | None
    params: dict[str, str]

    @property
    def writes(self) -> bool:
        """True for what GitHub counts as creating content."""
        return self.method != "GET" and not _NO_CONTENT.fullmatch(self.path)


class Rest:
    """The API under /api/v3. `observers` see every finished exchange."""

    def __init__(self, world: World, tokens: Tokens, routes: Routes) -> None:
        self.world = world
        self.tokens = tokens
        self.routes = routes
        self.limits = Limits(world)
        self.faults = Faults()
        self.observers: list[Callable[[Exchange], None]] = []
        self.journal: deque[dict[str, Any]] = deque(maxlen=KEPT)
        self._count = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request. The server mounts this under PREFIX."""
        request = self._request(scope, await _read(receive))
        seconds, fault = self.faults.strike(request.method, request.path)
        if seconds:
            await asyncio.sleep(seconds)
        if fault is not None and fault.kind.before:
            await self._fail(request, fault, scope, send)
            return
        actor, reply = self.answer(request)
        if fault is None:
            self._record(request, actor, reply)
            await _send(send, reply, request.method)
            return
        self._record(request, actor, reply, fate=fault.kind)
        if fault.kind is Kind.TRUNCATE:
            await _send_half(send, reply)
        _hang_up(scope)

    def _request(self, scope: Scope, body: bytes) -> Request:
        raw = scope.get("raw_path", scope["path"].encode()).decode("ascii")
        path = self._by_name(raw.partition("?")[0].removeprefix(PREFIX).rstrip("/") or "/")
        method = "GET" if scope["method"] == "HEAD" else scope["method"]
        found = self.routes.find(method, path)
        return Request(
            method=scope["method"],
            path=path,
            query=scope["query_string"].decode(),
            headers={k.decode().lower(): v.decode("latin-1") for k, v in scope["headers"]},
            body=body,
            route=found[0] if found else None,
            params=found[1] if found else {},
        )

    def _by_name(self, path: str) -> str:
        """/repositories/{id}/… is the same as /repos/{owner}/{name}/…, for ever."""
        match = _BY_NUMBER.fullmatch(path)
        repository = self.world.repositories.get(int(match[1])) if match else None
        if match is None or repository is None:
            return path
        return f"/repos/{repository.full_name}{match[2] or ''}"

    # The answer

    def answer(self, request: Request) -> tuple[str, Reply]:
        """Who asked, and what they get."""
        caller = "anonymous"
        try:
            actor = self._identify(request)
            caller = actor.name
            self.limits.charge(caller, write=request.writes)
            reply = self._call(request, actor)
        except Refusal as refusal:
            reply = refusal.reply
        self._validate(request, reply, caller)
        reply.headers |= self._standard_headers(caller)
        return caller, reply

    def _identify(self, request: Request) -> Actor:
        if not request.headers.get("user-agent"):
            raise Refusal(
                403,
                "Request forbidden by administrative rules. Please make sure your request has a"
                " User-Agent header.",
            )
        wants_app = request.route is not None and request.route.caller == APP
        return identify(
            self.world,
            self.tokens,
            request.headers.get("authorization", ""),
            wants_app=wants_app,
        )

    def _call(self, request: Request, actor: Actor) -> Reply:
        route = request.route
        if route is None:
            raise not_found()
        if route.caller != ANYBODY and actor.account is None:
            raise Refusal(401, "Requires authentication")
        query = dict(parse_qsl(request.query, keep_blank_values=True))
        path = request.path
        call = Call(self.world, self.tokens, actor, path, request.params, query, request.body)
        return route.function(call)

    def _validate(self, request: Request, reply: Reply, caller: str) -> None:
        """Turn an unchanged GET into a 304."""
        if request.method not in ("GET", "HEAD") or reply.status != 200:
            return
        tag = hashlib.sha256(caller.encode() + reply.body()).hexdigest()
        etag = f'W/"{tag}"'
        reply.headers |= {"etag": etag, "cache-control": "private, max-age=60, s-maxage=60"}
        known = request.headers.get("if-none-match", "")
        if tag in known:
            reply.status, reply.data = 304, None
            if caller != "anonymous":
                self.limits.refund(caller)

    def _standard_headers(self, caller: str) -> dict[str, str]:
        return {
            "content-type": "application/json; charset=utf-8",
            "x-github-media-type": "github.v3; format=json",
            "x-github-request-id": secrets.token_hex(16).upper(),
            "date": format_datetime(self.world.now(), usegmt=True),
            **self.limits.headers(caller),
        }

    # What is kept, and what goes wrong

    def _record(
        self,
        request: Request,
        actor: str,
        reply: Reply,
        *,
        fate: str = "answered",
        applied: bool = True,
    ) -> None:
        self._count += 1
        exchange = Exchange(
            number=self._count,
            method=request.method,
            path=request.path,
            query=request.query,
            template=request.route.template if request.route else None,
            request_headers=request.headers,
            request_body=request.body,
            actor=actor,
            status=reply.status,
            response_headers=reply.headers,
            response_body=reply.body(),
            fate=fate,
            applied=applied,
            at=self.world.now().isoformat(),
            mark=self.world.new_id(),
        )
        self.journal.append(exchange.summary())
        for observer in self.observers:
            observer(exchange)

    async def _fail(self, request: Request, fault: Fault, scope: Scope, send: Send) -> None:
        status = fault.status if fault.kind is Kind.STATUS else 0
        headers = {"content-type": "text/html; charset=utf-8"}
        self._record(request, "", Reply(status), fate=fault.kind, applied=False)
        if fault.kind is Kind.STATUS:
            await _send_bytes(send, status, headers, fault.body.encode())
        else:
            _hang_up(scope, reset=fault.kind is Kind.RESET)


async def _read(receive: Receive) -> bytes:
    body = b""
    while True:
        message = await receive()
        body += bytes(message.get("body", b""))
        if not message.get("more_body"):
            return body


async def _send(send: Send, reply: Reply, method: str) -> None:
    body = b"" if method == "HEAD" else reply.body()
    await _send_bytes(send, reply.status, reply.headers, body)


async def _send_bytes(send: Send, status: int, headers: dict[str, str], body: bytes) -> None:
    if status not in (204, 304):
        headers = headers | {"content-length": str(len(body))}
    raw = [(name.encode(), value.encode("latin-1")) for name, value in headers.items()]
    await send({"type": "http.response.start", "status": status, "headers": raw})
    await send({"type": "http.response.body", "body": body})


async def _send_half(send: Send, reply: Reply) -> None:
    body = reply.body()
    headers = reply.headers | {"content-length": str(len(body))}
    raw = [(name.encode(), value.encode("latin-1")) for name, value in headers.items()]
    await send({"type": "http.response.start", "status": reply.status, "headers": raw})
    half = {"type": "http.response.body", "body": body[: len(body) // 2], "more_body": True}
    await send(half)


def _hang_up(scope: Scope, *, reset: bool = False) -> None:
    """Close the caller's connection under it; `reset` sends RST instead of FIN."""
    transport = scope["state"]["transport"]
    if reset:
        sock = transport.get_extra_info("socket")
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        transport.abort()
    else:
        transport.close()
