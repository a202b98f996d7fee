"""Where webhooks arrive: a real HTTP server that keeps what it got and answers as told."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest


@dataclass(frozen=True)
class Arrival:
    """One POST: its headers, lower-case, and its raw body."""

    headers: dict[str, str]
    body: bytes


class Receiver:
    """Keeps `arrivals` in order; answers `status`, and nothing while `gate` is not set."""

    def __init__(self) -> None:
        self.arrivals: list[Arrival] = []
        self.status = 202
        self.gate = threading.Event()
        self.gate.set()
        outer = self

        class Answer(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["content-length"]))
                headers = {name.lower(): value for name, value in self.headers.items()}
                outer.arrivals.append(Arrival(headers, body))
                outer.gate.wait(60)
                self.send_response(outer.status)
                self.send_header("content-length", "2")
                self.end_headers()
                self.wfile.write(b"ok")

            def log_message(self, format: str, *args: object) -> None:
                """Keep the test's output clean."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Answer)
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}/webhooks/github"
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Answer nothing any more."""
        self.gate.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join(10)


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    """A receiver for one test."""
    made = Receiver()
    yield made
    made.stop()
