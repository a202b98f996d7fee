"""An open loop: deliveries leave when they are planned to, whatever became of those before.

Latency counts from the planned moment. So a receiver that stalls is charged for everything that
would have arrived meanwhile (no coordinated omission), and so is a sender that falls behind.
"""

from __future__ import annotations

import asyncio
import time
from array import array
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import cast

from httptools import HttpResponseParser

from tests.load.deliveries import Delivery

# GitHub hangs up after so long.
PATIENCE = 10.0
# Open at once; what comes while all are busy waits for one, and its latency counts.
CONNECTIONS = 1000
NO_ANSWER = 0


@dataclass
class Sent:
    """What became of each delivery, in the order of the plan. Times in seconds."""

    planned: array[float] = field(default_factory=lambda: array("d"))
    latency: array[float] = field(default_factory=lambda: array("d"))
    status: array[int] = field(default_factory=lambda: array("H"))
    # How long after its planned moment each was handed to a connection.
    late: array[float] = field(default_factory=lambda: array("d"))
    began: float = 0.0
    last_answer: float = 0.0

    def count(self, status: int) -> int:
        """How many were answered so."""
        return self.status.count(status)

    def quantile(self, q: float) -> float:
        """Of the latencies of all, also of those that nobody answered."""
        ordered = sorted(self.latency)
        return ordered[min(len(ordered) - 1, int(q * len(ordered)))] if ordered else 0.0


@dataclass(slots=True)
class _Waiting:
    place: int
    planned: float
    delivery: Delivery


class _Connection(asyncio.Protocol):
    """One keep-alive connection, with one request at a time."""

    def __init__(self, loop: _Loop) -> None:
        self._loop = loop
        self.transport: asyncio.Transport | None = None
        self.busy: _Waiting | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # Not isinstance: uvloop's transports are no subclass.
        self.transport = cast(asyncio.Transport, transport)
        self._loop.free(self)

    def send(self, waiting: _Waiting) -> None:
        assert self.transport is not None
        self.busy = waiting
        self._parser = HttpResponseParser(self)
        self.transport.writelines(waiting.delivery.parts)

    def data_received(self, data: bytes) -> None:
        self._parser.feed_data(data)

    def on_message_complete(self) -> None:
        assert self.busy is not None
        assert self.transport is not None
        waiting, self.busy = self.busy, None
        keep = self._parser.should_keep_alive()
        self._loop.answered(waiting, self._parser.get_status_code())
        if keep:
            self._loop.free(self)
        else:
            self.transport.close()

    def connection_lost(self, error: Exception | None) -> None:
        self._loop.lost(self)

    def give_up(self) -> None:
        assert self.transport is not None
        self.busy = None
        self.transport.abort()


class _Loop:
    def __init__(self, address: tuple[str, int], connections: int, patience: float) -> None:
        self._address, self._most, self._patience = address, connections, patience
        self._idle: list[_Connection] = []
        self._open: set[_Connection] = set()
        self._dialling: set[asyncio.Task[None]] = set()
        self._queue: deque[_Waiting] = deque()
        self._left = 0
        self._finished = asyncio.Event()
        self.sent = Sent()

    async def run(
        self,
        deliveries: Iterator[Delivery],
        plan: Iterable[float],
        now: Callable[[], float],
    ) -> Sent:
        self.sent.began = began = now()
        sweep = asyncio.create_task(self._sweep(now))
        self._now = now
        self._left = 1
        for place, offset in enumerate(plan):
            moment = began + offset
            while (ahead := moment - now()) > 0:
                await asyncio.sleep(ahead)
            self._left += 1
            self.sent.planned.append(offset)
            self.sent.latency.append(0.0)
            self.sent.late.append(0.0)
            self.sent.status.append(NO_ANSWER)
            self._hand_over(_Waiting(place, moment, next(deliveries)))
            if not place % 64:
                # A plan that is behind must not keep answers from being read.
                await asyncio.sleep(0)
        self._done_one()
        await self._finished.wait()
        sweep.cancel()
        for connection in list(self._open):
            if connection.transport is not None:
                connection.transport.close()
        for dialling in self._dialling:
            dialling.cancel()
        return self.sent

    def _hand_over(self, waiting: _Waiting) -> None:
        if self._idle:
            self._send(self._idle.pop(), waiting)
            return
        self._queue.append(waiting)
        if len(self._open) + len(self._dialling) < self._most:
            task = asyncio.create_task(self._dial())
            self._dialling.add(task)
            task.add_done_callback(self._dialling.discard)

    async def _dial(self) -> None:
        try:
            _, connection = await asyncio.get_running_loop().create_connection(
                lambda: _Connection(self), *self._address
            )
        except OSError:
            # Refused: what waits for a connection is not answered.
            if self._queue:
                self.answered(self._queue.popleft(), NO_ANSWER)
        else:
            self._open.add(connection)

    def _send(self, connection: _Connection, waiting: _Waiting) -> None:
        self.sent.late[waiting.place] = self._now() - waiting.planned
        connection.send(waiting)

    def free(self, connection: _Connection) -> None:
        if self._queue:
            self._send(connection, self._queue.popleft())
        else:
            self._idle.append(connection)

    def lost(self, connection: _Connection) -> None:
        self._open.discard(connection)
        if connection in self._idle:
            self._idle.remove(connection)
        if connection.busy is not None:
            self.answered(connection.busy, NO_ANSWER)

    def answered(self, waiting: _Waiting, status: int) -> None:
        now = self._now()
        self.sent.latency[waiting.place] = now - waiting.planned
        self.sent.status[waiting.place] = status
        self.sent.last_answer = now - self.sent.began
        self._done_one()

    def _done_one(self) -> None:
        self._left -= 1
        if not self._left:
            self._finished.set()

    async def _sweep(self, now: Callable[[], float]) -> None:
        while True:
            await asyncio.sleep(0.1)
            oldest = now() - self._patience
            while self._queue and self._queue[0].planned < oldest:
                self.answered(self._queue.popleft(), NO_ANSWER)
            for connection in [c for c in self._open if c.busy and c.busy.planned < oldest]:
                assert connection.busy is not None
                self.answered(connection.busy, NO_ANSWER)
                connection.give_up()


async def send(
    address: tuple[str, int],
    deliveries: Iterator[Delivery],
    plan: Iterable[float],
    *,
    connections: int = CONNECTIONS,
    patience: float = PATIENCE,
    now: Callable[[], float] = time.perf_counter,
) -> Sent:
    """Send one of `deliveries` at each moment of `plan` (rising seconds from the start).

    Returns when each was answered, or given up `patience` seconds after its planned moment.
    """
    return await _Loop(address, connections, patience).run(deliveries, plan, now)


def at_rate(rate: float, seconds: float) -> Iterator[float]:
    """Moments of a constant rate."""
    return (place / rate for place in range(int(rate * seconds)))
