"""The load harness counts what it says it counts, and a short run of the receiver alone."""

from __future__ import annotations

import asyncio
import socket
from array import array
from collections import Counter
from contextlib import closing

import psutil
import pytest
from structlog.testing import capture_logs

from tests.fixtures_receiver import serve
from tests.load.deliveries import Delivery
from tests.load.receivers import Receiver
from tests.load.report import missed, table
from tests.load.sender import NO_ANSWER, Sent, at_rate, send
from tests.load.stages import Load, Measured, broken, refused
from tests.webhooks import PATH

REQUEST = b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\n"
ANSWER = b"HTTP/1.1 202 Accepted\r\nContent-Length: 0\r\n\r\n"


def deliveries():
    return iter(Delivery(str(n), 1, n, (REQUEST, b"{", b"}")) for n in range(1000))


def against(answer, plan, **options):
    """What the sender says of a server whose connections are served by `answer(reader, writer)`."""

    async def run():
        server = await asyncio.start_server(answer, "127.0.0.1", 0)
        async with server:
            address = server.sockets[0].getsockname()
            return await send(address, deliveries(), plan, **options)

    return asyncio.run(run())


class Clock:
    """The sender's time in these tests: it passes only when told, and at each look a little."""

    def __init__(self):
        self.seconds = 0.0

    def __call__(self):
        self.seconds += 1e-6
        return self.seconds


def test_latency_counts_from_the_planned_moment_for_all_that_wait_behind_a_stall():
    """One connection; the first answer takes 0.5 s, and four more were planned meanwhile."""
    clock = Clock()
    served = 0

    async def stalls_once(reader, writer):
        nonlocal served
        with closing(writer):
            while await reader.read(len(REQUEST) + 2):
                served += 1
                if served == 1:
                    clock.seconds += 0.5
                writer.write(ANSWER)

    plan = [0.0, 0.1, 0.2, 0.3, 0.4]
    sent = against(stalls_once, plan, connections=1, now=clock)
    assert [round(10 * seconds) for seconds in sent.latency] == [5, 4, 3, 2, 1]
    assert sent.count(202) == 5


def test_no_answer_is_no_success():
    async def hangs_up(reader, writer):
        await reader.read(10)
        writer.close()

    sent = against(hangs_up, at_rate(1000, 0.02))
    assert list(sent.status) == [NO_ANSWER] * 20


def test_a_refused_connection_is_no_success():
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = taken.getsockname()
    sent = asyncio.run(send(address, deliveries(), [0.0]))
    assert list(sent.status) == [NO_ANSWER]


def test_what_was_acknowledged_and_is_not_stored_is_counted():
    sent = Sent(status=array("H", [202, 202, 503, NO_ANSWER]))
    assert broken(sent, [1, 2, 3, 4], there={1, 4}) == 1
    assert refused(sent, [1, 2, 3, 4]) == [3, 4]


def one(name="Triora", **values):
    good = {"saturation": 1000.0, "p99": 0.01, "memory": [100.0] * 100}
    return Measured(name, "sqlite", ["x"], **(good | values))


@pytest.mark.parametrize(
    ("values", "why"),
    [
        ({"saturation": 700.0}, "100 too few"),
        ({"p99": 0.07}, "20.0 ms over"),
        ({"memory": [100.0 + n for n in range(100)]}, "memory grew"),
        ({"lost": 1}, "1 lost"),
        ({"broken_word": 2}, "2 answered"),
        ({"late": 0.5}, "too busy"),
    ],
)
def test_a_missed_goal_is_named_with_its_distance(values, why):
    rival = one("Probot", saturation=800.0, lost=5)
    assert missed([rival, one()]) == []
    [line] = missed([rival, one(**values)])
    assert why in line


def test_the_table_has_a_line_for_each():
    lines = table([one("Probot"), one(overload=Counter({202: 7, 503: 3}))]).splitlines()
    assert len(lines) == 4
    assert "7, 3" in lines[-1]
    assert len({line.count("|") for line in lines}) == 1


def test_a_short_run_stores_every_delivery_even_those_put_off(sqlite_url, monkeypatch):
    """Of a burst most are put off; redelivered, each is in the database once."""
    monkeypatch.setattr("app.web.webhooks._ROOM", 20)
    with capture_logs(), serve(sqlite_url) as client:
        numbers = "SELECT issue_number FROM issue_snapshot"
        us = psutil.Process()
        receiver = Receiver("Triora", client.base_url.port, PATH, us, sqlite_url, numbers)
        said: list[str] = []
        measured = Measured("Triora", "sqlite", [], saturation=800.0)
        Load(receiver, said.append).overload(measured, 0.125)
    assert measured.overload.total() == 200
    assert measured.overload[202] > 0
    assert (measured.lost, measured.broken_word) == (0, 0)
