"""News for open pages: every change under a topic, as server-sent events."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator


class Feed:
    """Topics are paths: a page that listens to /lantern hears of /lantern/emberfall too."""

    def __init__(self) -> None:
        self._listeners: dict[asyncio.Event, tuple[str, ...]] = {}
        self._closed = False

    def publish(self, topic: str) -> None:
        """Wake the pages that show something under the topic."""
        for woken, topics in self._listeners.items():
            if any(topic.startswith(mine) for mine in topics):
                woken.set()

    async def listen(self, topics: tuple[str, ...]) -> AsyncIterator[dict[str, str]]:
        """One message for each burst of changes; several changes at once are one message."""
        woken = asyncio.Event()
        self._listeners[woken] = topics
        try:
            yield {"event": "ready", "data": ""}
            while not self._closed:
                await woken.wait()
                woken.clear()
                if not self._closed:
                    yield {"event": "changed", "data": ""}
        finally:
            del self._listeners[woken]

    def close(self) -> None:
        """End every open page's stream, so that the server can stop."""
        self._closed = True
        for woken in self._listeners:
            woken.set()
