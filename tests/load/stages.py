"""What is measured of one receiver: saturation, latency at half of it, memory, nothing lost."""

from __future__ import annotations

import gc
import sys
import threading
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

import uvloop

from tests.load.deliveries import Deliveries, Delivery
from tests.load.receivers import Receiver
from tests.load.sender import Sent, at_rate, send
from tests.webhooks import SECRET

FIRST_RATE, STEP = 250.0, 1.25
# It keeps up with a rate if so much of it is answered in the time it was sent in.
KEEPS_UP = 0.95
# Over such a latency it does not keep up either, whatever comes in the end.
SECONDS_AT_MOST = 2.0
# Once may be chance.
BEHIND = 2
ROUNDS = 5


@dataclass
class Measured:
    """One receiver on one database. Latencies in seconds, memory in MB."""

    name: str
    database: str
    processes: list[str]
    saturation: float = 0.0
    p50: float = 0.0
    p99: float = 0.0
    late: float = 0.0
    cpu: float = 0.0
    memory: list[float] = field(default_factory=list)
    delivered: int = 0
    overload: Counter[int] = field(default_factory=Counter)
    broken_word: int = 0
    lost: int = 0

    @property
    def growth(self) -> float:
        """MB by which memory at the end is over memory once everything was warm."""
        tenth = max(1, len(self.memory) // 10)
        return _middle(self.memory[-tenth:]) - _middle(self.memory[tenth : 2 * tenth])


class Load:
    """Sends to one receiver, every delivery another one."""

    def __init__(self, receiver: Receiver, say: Callable[[str], None]) -> None:
        self.receiver = receiver
        self._say = say
        self._address = ("127.0.0.1", receiver.port)
        self._deliveries = Deliveries(SECRET, receiver.path, f"127.0.0.1:{receiver.port}")
        self._next = 1

    def at(self, rate: float, seconds: float) -> tuple[Sent, range]:
        """New deliveries at a constant rate, and their numbers."""
        numbers = range(self._next, self._next + int(rate * seconds))
        self._next = numbers.stop
        return self._send(numbers, rate), numbers

    def again(self, numbers: Sequence[int], rate: float) -> Sent:
        """The same deliveries once more, as GitHub redelivers them."""
        return self._send(numbers, rate)

    def _send(self, numbers: Sequence[int], rate: float) -> Sent:
        made: Iterator[Delivery] = (self._deliveries.make(number) for number in numbers)
        gc.collect()
        gc.disable()
        try:
            return uvloop.run(send(self._address, made, at_rate(rate, len(numbers) / rate)))
        finally:
            gc.enable()

    def climb(self, seconds: float) -> float:
        """Rising rates until it falls behind at two in a row; the most answers a second of any."""
        self.at(FIRST_RATE / 2, seconds)
        rate, best, behind = FIRST_RATE, 0.0, 0
        while behind < BEHIND:
            sent, _ = self.at(rate, seconds)
            answered = taken(sent) / max(sent.last_answer, seconds)
            best = max(best, answered)
            self._say(
                f"{rate:6.0f}/s: {answered:6.0f}/s answered, p50 {1000 * sent.quantile(0.5):.1f} "
                f"ms, p99 {1000 * sent.quantile(0.99):.1f} ms, {_said(sent)}"
            )
            keeps_up = answered > KEEPS_UP * rate and sent.quantile(0.99) < SECONDS_AT_MOST
            behind = 0 if keeps_up else behind + 1
            rate *= STEP
        return best

    def half(self, measured: Measured, seconds: float) -> None:
        """Latency at half of saturation."""
        before = self.receiver.cpu()
        sent, numbers = self.at(measured.saturation / 2, seconds)
        measured.p50, measured.p99 = sent.quantile(0.5), sent.quantile(0.99)
        measured.late = sorted(sent.late)[int(0.99 * len(sent.late))]
        measured.cpu = (self.receiver.cpu() - before) / len(numbers)
        self._say(
            f"half load: p50 {1000 * measured.p50:.1f} ms, p99 {1000 * measured.p99:.1f} ms, "
            f"{1e6 * measured.cpu:.0f} us of CPU each, {_said(sent)}"
        )

    def soak(self, measured: Measured, deliveries: int) -> None:
        """Memory over so many deliveries, at seven tenths of saturation."""
        stop, samples = threading.Event(), measured.memory

        def sample() -> None:
            while not stop.wait(0.5):
                samples.append(self.receiver.memory())

        sampler = threading.Thread(target=sample)
        sampler.start()
        try:
            rate = 0.7 * measured.saturation
            sent, numbers = self.at(rate, deliveries / rate)
        finally:
            stop.set()
            sampler.join()
        measured.delivered = len(numbers)
        self._say(
            f"{deliveries} deliveries: {_middle(samples[-5:]):.0f} MB at the end, "
            f"{measured.growth:+.1f} MB since it was warm, {_said(sent)}"
        )

    def overload(self, measured: Measured, seconds: float) -> None:
        """Twice what it can take, then redelivery of what it did not take; then all are counted."""
        sent, numbers = self.at(2 * measured.saturation, seconds)
        measured.overload = Counter(sent.status)
        there = self.receiver.stored()
        measured.broken_word = broken(sent, numbers, there)
        missing = refused(sent, numbers)
        rate = measured.saturation
        for _ in range(ROUNDS):
            if not missing:
                break
            rate /= 2
            missing = refused(self.again(missing, rate), missing)
        measured.lost = len(set(numbers) - self.receiver.stored())
        self._say(
            f"overload at {2 * measured.saturation:.0f}/s: {_said(sent)}; after redelivery "
            f"{measured.lost} of {len(numbers)} lost"
        )


def measure(receiver: Receiver, database: str, *, seconds: float, deliveries: int) -> Measured:
    """All of it, in turn."""

    def say(line: str) -> None:
        sys.stdout.write(f"{receiver.name:7s} {database:10s} {line}\n")
        sys.stdout.flush()

    load = Load(receiver, say)
    measured = Measured(receiver.name, database, receiver.processes())
    measured.saturation = load.climb(seconds)
    load.half(measured, 4 * seconds)
    if deliveries:
        load.soak(measured, deliveries)
    load.overload(measured, 2 * seconds)
    return measured


def taken(sent: Sent) -> int:
    """How many were answered with 2xx."""
    return sum(200 <= status < 300 for status in sent.status)


def refused(sent: Sent, numbers: Sequence[int]) -> list[int]:
    """Numbers of those that GitHub would show as failed."""
    return [n for n, status in zip(numbers, sent.status, strict=True) if not 200 <= status < 300]


def broken(sent: Sent, numbers: Sequence[int], there: set[int]) -> int:
    """How many were answered with 2xx and are not in the database."""
    good = zip(numbers, sent.status, strict=True)
    return sum(200 <= status < 300 and n not in there for n, status in good)


def _said(sent: Sent) -> str:
    answers = sorted(Counter(sent.status).items())
    return ", ".join(f"{count} x {status or 'no answer'}" for status, count in answers)


def _middle(values: Sequence[float]) -> float:
    ordered = sorted(values)
    return ordered[len(ordered) // 2] if ordered else 0.0
