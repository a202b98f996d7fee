"""Wake workers from a thread of its own: no request ever waits for the broker.

Rings are merged while one is under way. That loses nothing, since every commit is followed by a
ring that began after it, and a ring carries no data.
"""

from __future__ import annotations

import threading
from collections.abc import Callable

from app.queue import Task

# A broker that hangs gives up after 3 s; whoever stops us need not wait for it.
_STOP_SECONDS = 1.0
# After a ring; one a delivery would be most of the work under load, and the first is not put off.
_REST_SECONDS = 0.05


class Bell:
    """`press` returns at once; a daemon thread calls `ring(task)`, which must not raise."""

    def __init__(self, ring: Callable[[Task], object]) -> None:
        self._ring = ring
        self._changed = threading.Condition()
        self._wanted: set[Task] = set()
        self._stopping = False
        self._thread = threading.Thread(target=self._run, name="bell", daemon=True)

    def start(self) -> None:
        """Begin to ring."""
        self._thread.start()

    def press(self, task: Task) -> None:
        """Have a worker woken for `task` soon."""
        with self._changed:
            self._wanted.add(task)
            self._changed.notify()

    def stop(self) -> None:
        """Ring what is still wanted, if the broker takes it, and end."""
        with self._changed:
            self._stopping = True
            self._changed.notify()
        self._thread.join(_STOP_SECONDS)

    def _run(self) -> None:
        while tasks := self._next():
            for task in sorted(tasks):
                self._ring(task)
            with self._changed:
                self._changed.wait_for(lambda: self._stopping, _REST_SECONDS)

    def _next(self) -> set[Task]:
        """What to ring, once there is anything; empty at the end."""
        with self._changed:
            self._changed.wait_for(lambda: self._wanted or self._stopping)
            wanted, self._wanted = self._wanted, set()
            return wanted
