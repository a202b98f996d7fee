"""Calls that arrive while one is under way are worked on together, by the next free thread.

Nobody waits for company: with one caller at a time every group has one. Under load the groups grow,
and with them what a thread gets done. What cannot be worked on soon is refused at once, so that
those who wait are answered in time.
"""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")

# How many a thread takes at once. More gain little, and the last waits for all.
LARGEST = 64


class Full(Exception):
    """So many wait already that this one was not taken."""


@dataclass(frozen=True, slots=True)
class _Asked(Generic[Item, Result]):
    item: Item
    answer: asyncio.Future[Result]


class Groups(Generic[Item, Result]):
    """`work(items)` runs in one of `threads` threads; a result for each, or what it raises.

    All are of one event loop. It may raise for all of them. No more than `room` wait; those whose
    caller left are dropped.
    """

    def __init__(
        self,
        work: Callable[[Sequence[Item]], Sequence[Result | Exception]],
        *,
        threads: int,
        room: int,
    ) -> None:
        self._work = work
        self._room = room
        self._changed = threading.Condition()
        self._waiting: deque[_Asked[Item, Result]] = deque()
        self._stopping = False
        self._threads = [
            threading.Thread(target=self._run, name=f"groups-{n}", daemon=True)
            for n in range(threads)
        ]

    def start(self) -> None:
        """Begin to work."""
        for thread in self._threads:
            thread.start()

    async def ask(self, item: Item) -> Result:
        """The result for `item`, or its exception. Raises Full when too many wait."""
        asked: _Asked[Item, Result] = _Asked(item, asyncio.get_running_loop().create_future())
        with self._changed:
            if self._stopping or len(self._waiting) >= self._room:
                raise Full
            self._waiting.append(asked)
            self._changed.notify()
        return await asked.answer

    def stop(self) -> None:
        """End after what is under way. Who still waits is never answered: nothing was begun."""
        with self._changed:
            self._stopping = True
            self._changed.notify_all()

    def _run(self) -> None:
        while group := self._next():
            try:
                results = self._work([asked.item for asked in group])
            except Exception as error:  # noqa: BLE001 - it is raised again where it was asked for
                results = [error] * len(group)
            answers = [asked.answer for asked in group]
            # One wake-up for all of them. At the end of the process nobody may be left to hear it.
            with contextlib.suppress(RuntimeError):
                answers[0].get_loop().call_soon_threadsafe(_tell, answers, results)

    def _next(self) -> list[_Asked[Item, Result]]:
        """Those to work on, once there are any; empty at the end."""
        with self._changed:
            while True:
                self._changed.wait_for(lambda: self._waiting or self._stopping)
                if self._stopping:
                    return []
                group = [
                    asked
                    for asked in (
                        self._waiting.popleft() for _ in range(min(LARGEST, len(self._waiting)))
                    )
                    if not asked.answer.cancelled()
                ]
                if group:
                    return group


def _tell(answers: Sequence[asyncio.Future[Result]], results: Sequence[Result | Exception]) -> None:
    for answer, result in zip(answers, results, strict=True):
        if answer.done():
            continue
        if isinstance(result, Exception):
            answer.set_exception(result)
        else:
            answer.set_result(result)
