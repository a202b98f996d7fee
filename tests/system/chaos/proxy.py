"""A line between two programs that speak HTTP/1.1, which does to messages what networks do.

It delays, drops, resets and truncates, answers 5xx by itself, and hands a request over and then
loses the answer. Nothing goes wrong until `weather` says so.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
import socket
import struct
import threading
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

LARGEST_HEAD = 256 * 1024
ANSWER_SECONDS = 15.0
_ERROR = b"<html><body><h1>502 Bad Gateway</h1></body></html>"


class Fate(StrEnum):
    """What becomes of a request. The first three never reach the other side."""

    ERROR = "5xx"
    DROP = "dropped"
    RESET = "reset"
    DROP_AFTER = "applied, then dropped"
    RESET_AFTER = "applied, then reset"
    TRUNCATE = "truncated"
    DELAY = "delayed"

    @property
    def before(self) -> bool:
        """True when the request is not handed over."""
        return self in (Fate.ERROR, Fate.DROP, Fate.RESET)


@dataclass(frozen=True)
class Weather:
    """Share of the requests that each fate hits; delayed ones wait up to `seconds`."""

    shares: Mapping[Fate, float] = field(default_factory=dict)
    seconds: float = 0.0

    def draw(self, chance: random.Random) -> tuple[Fate | None, float]:
        """The fate of one request, and how long it waits before it is handed over."""
        roll = chance.random()
        for fate, share in self.shares.items():
            if roll < share:
                if fate is Fate.DELAY:
                    return None, chance.random() * self.seconds
                return fate, 0.0
            roll -= share
        return None, 0.0


CALM = Weather()


class _Broken(Exception):
    """One of the two sides went away in the middle of a message."""


class Proxy:
    """Listens on a free port of this machine and passes requests on to `port`, in a thread."""

    def __init__(self, port: int, seed: int) -> None:
        self.target = port
        self.weather = CALM
        self.hits: Counter[Fate] = Counter()
        self._chance = random.Random(seed)
        self._lines: set[asyncio.Task[None] | None] = set()
        self._socket = socket.create_server(("127.0.0.1", 0), backlog=256)
        self.port: int = self._socket.getsockname()[1]
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._run, name="proxy", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Stop listening and hang up."""
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        server = self._loop.run_until_complete(
            asyncio.start_server(self._serve, sock=self._socket, limit=LARGEST_HEAD)
        )
        self._loop.run_forever()
        server.close()
        while tasks := asyncio.all_tasks(self._loop):
            for task in tasks:
                task.cancel()
            self._loop.run_until_complete(asyncio.gather(*tasks, return_exceptions=True))
        self._loop.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        line = _Line(self, reader, writer)
        # The loop itself keeps only weak references.
        task = asyncio.current_task()
        self._lines.add(task)
        try:
            # Whoever went away went away: that is what this program is about.
            with contextlib.suppress(_Broken, OSError, asyncio.IncompleteReadError):
                while await line.exchange():
                    pass
        except asyncio.CancelledError:
            pass
        finally:
            await line.close()
            self._lines.discard(task)

    def draw(self) -> tuple[Fate | None, float]:
        """What happens to the next request; counted."""
        fate, seconds = self.weather.draw(self._chance)
        if fate is not None or seconds:
            self.hits[fate or Fate.DELAY] += 1
        return fate, seconds


class _Line:
    """One connection of a client, and the one to the server that goes with it."""

    def __init__(
        self, proxy: Proxy, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        self._proxy, self._reader, self._writer = proxy, reader, writer
        self._up: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    async def exchange(self) -> bool:
        """One request and its answer; False when the connection is over."""
        head = await _head(self._reader)
        if not head:
            return False
        request = head + await _body(head, self._reader)
        fate, seconds = self._proxy.draw()
        if seconds:
            await asyncio.sleep(seconds)
        if fate is Fate.ERROR:
            await self._answer(_bad_gateway())
            return True
        if fate is not None and fate.before:
            return self._hang_up(reset=fate is Fate.RESET)
        # Whoever asked has given up by then; so does a proxy.
        async with asyncio.timeout(ANSWER_SECONDS):
            answer, close = await self._pass_on(request)
        if fate is not None:
            if fate is Fate.TRUNCATE:
                await self._answer(answer[: len(answer) - max(1, _length(answer) // 2)])
            return self._hang_up(reset=fate is Fate.RESET_AFTER)
        await self._answer(answer)
        return not close

    async def _pass_on(self, request: bytes) -> tuple[bytes, bool]:
        if self._up is not None and self._up[0].at_eof():
            # It had nothing to say for a while; a proxy connects again.
            self._up[1].close()
            self._up = None
        if self._up is None:
            self._up = await asyncio.open_connection(
                "127.0.0.1", self._proxy.target, limit=LARGEST_HEAD
            )
        reader, writer = self._up
        writer.write(request)
        await writer.drain()
        head = await _head(reader)
        if not head:
            raise _Broken
        empty = head.startswith((b"HTTP/1.1 204", b"HTTP/1.1 304")) or request[:5] == b"HEAD "
        body = b"" if empty else await _body(head, reader)
        return head + body, b"connection: close" in head.lower()

    async def _answer(self, data: bytes) -> None:
        self._writer.write(data)
        await self._writer.drain()

    def _hang_up(self, *, reset: bool) -> bool:
        if reset:
            sock = self._writer.get_extra_info("socket")
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            self._writer.transport.abort()
        return False

    async def close(self) -> None:
        """Hang up on both sides."""
        for writer in (self._writer, *(self._up[1:] if self._up else ())):
            writer.close()
            try:
                async with asyncio.timeout(1.0):
                    await writer.wait_closed()
            except (OSError, TimeoutError, asyncio.CancelledError):
                writer.transport.abort()


async def _head(reader: asyncio.StreamReader) -> bytes:
    """Everything up to the empty line; empty when the other side has closed."""
    try:
        return await reader.readuntil(b"\r\n\r\n")
    except asyncio.IncompleteReadError as error:
        if error.partial:
            raise _Broken from error
        return b""


async def _body(head: bytes, reader: asyncio.StreamReader) -> bytes:
    return await reader.readexactly(_length(head))


def _length(message: bytes) -> int:
    """Content-Length of a message. Neither side here sends chunks."""
    head = message.partition(b"\r\n\r\n")[0].lower()
    for line in head.split(b"\r\n")[1:]:
        name, _, value = line.partition(b":")
        if name == b"content-length":
            return int(value)
        if name == b"transfer-encoding":
            raise _Broken
    return 0


def _bad_gateway() -> bytes:
    head = f"HTTP/1.1 502 Bad Gateway\r\ncontent-type: text/html\r\ncontent-length: {len(_ERROR)}"
    return head.encode() + b"\r\n\r\n" + _ERROR
