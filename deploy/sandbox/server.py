"""Serve the stand-in: the HTTP protocol that faults can hang up on, and a server in a thread."""

from __future__ import annotations

import asyncio
import socket
import threading
from typing import Any

import uvicorn
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from deploy.sandbox.standin import StandIn


class Line(HttpToolsProtocol):
    """uvicorn's protocol, with the transport left where a fault finds it."""

    def connection_made(self, transport: Any) -> None:
        """Remember the transport for this connection's requests."""
        super().connection_made(transport)
        self.app_state = {**self.app_state, "transport": transport}


def listen(host: str, port: int) -> socket.socket:
    """A bound socket; port 0 takes a free one."""
    # asyncio switches Nagle's delay off only where the protocol is named.
    sock = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        sock.bind((host, port))
    except OSError:
        sock.close()
        raise
    return sock


class _Server(uvicorn.Server):
    """A server that lets go of the pages' open streams before it waits for connections."""

    def __init__(self, config: uvicorn.Config, standin: StandIn) -> None:
        super().__init__(config)
        self._standin = standin

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """End the streams, then all else."""
        self._standin.feed.close()
        await super().shutdown(sockets)


def build(standin: StandIn) -> uvicorn.Server:
    """A server for the stand-in, without a word of its own."""
    config = uvicorn.Config(
        standin.asgi,
        http=Line,
        ws="none",
        lifespan="on",
        log_config=None,
        interface="asgi3",  # a bound method is taken for the old interface otherwise
        access_log=False,
        # The stand-in tells its own time, which may be skewed.
        date_header=False,
        server_header=False,
        timeout_graceful_shutdown=1,
    )
    return _Server(config, standin)


class ServerThread:
    """A stand-in served from a thread, for tests. The thread's loop owns its world."""

    def __init__(self, standin: StandIn, sock: socket.socket) -> None:
        self._server = build(standin)
        self._sock = sock
        self._started = threading.Event()
        self._over = False
        standin.on_start.append(self._started.set)
        self._thread = threading.Thread(target=self._run, name="sandbox", daemon=True)

    def _run(self) -> None:
        try:
            asyncio.run(self._server.serve(sockets=[self._sock]))
        finally:
            self._over = True
            self._started.set()

    def start(self) -> None:
        """Return once requests are answered: the socket listens before the loop accepts."""
        self._sock.listen(128)
        self._thread.start()
        if not self._started.wait(30) or self._over:
            raise RuntimeError("the sandbox did not start; what its thread printed says why")

    def stop(self) -> None:
        """Stop serving; connections that are open are closed."""
        self._server.should_exit = True
        self._thread.join(30)
        self._sock.close()
