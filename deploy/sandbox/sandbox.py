"""A stand-in GitHub for tests: `with Sandbox() as github: github.open_issue(...)`."""

from __future__ import annotations

from functools import cache
from types import TracebackType
from typing import Self

from deploy.sandbox.remote import Remote
from deploy.sandbox.seed import APP_ID
from deploy.sandbox.server import ServerThread, listen
from deploy.sandbox.standin import StandIn, key_pair

SECRET = "a secret between two processes"  # noqa: S105 - of a server on localhost, for tests


@cache
def _keys() -> tuple[str, str]:
    """One pair for all sandboxes of a process: making it takes longer than most tests."""
    return key_pair()


class Sandbox(Remote):
    """A stand-in in a thread of this process, on a free port, with all of `Remote`'s methods.

    `standin.rest.observers` and `standin.hooks.observers` see every exchange and delivery; touch
    nothing else of `standin` from another thread.
    """

    def __init__(self, *, webhook_url: str = "", webhook_secret: str = SECRET) -> None:
        self._socket = listen("127.0.0.1", 0)
        super().__init__(f"http://127.0.0.1:{self._socket.getsockname()[1]}")
        self.private_key, self.public_key = _keys()
        self.app_id = APP_ID
        self.webhook_secret = webhook_secret
        self.standin = StandIn(
            self.url,
            self.public_key,
            webhook_url=webhook_url,
            webhook_secret=webhook_secret,
        )
        self.installation_id = next(iter(self.standin.world.installations))
        self.bot = self.standin.app.bot.login
        self._server = ServerThread(self.standin, self._socket)

    def start(self) -> Self:
        """Serve; returns once requests are answered."""
        self._server.start()
        return self

    def stop(self) -> None:
        """Stop serving."""
        self.close()
        self._server.stop()

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()
