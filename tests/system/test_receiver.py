"""The receiver as a real process: what it accepted survives its death, and it needs no broker."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest
from sqlalchemy import select

from app import queue
from app.core.settings import Settings
from app.db.session import Database
from app.db.tables import Delivery, IssueSnapshot, State
from app.queue import Task
from tests.fixtures_receiver import NO_BROKER
from tests.system.conftest import TRIORA
from tests.waiting import until
from tests.webhooks import SECRET, deliver, issue_event

Serve = Callable[..., "Served"]


class Served:
    """One `triora serve`, ready to take webhooks."""

    def __init__(self, environment: dict[str, str], log: Path) -> None:
        with socket.create_server(("127.0.0.1", 0)) as free:
            port = free.getsockname()[1]
        self.log = log
        with log.open("ab") as output:
            self.process = subprocess.Popen(
                [TRIORA, "serve", "--port", str(port)],
                env=os.environ | environment,
                cwd=log.parent,
                stdout=output,
                stderr=subprocess.STDOUT,
            )
        self.client = httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=60, trust_env=False)
        until(self._answers, f"the receiver to answer; see {log}")

    def _answers(self) -> bool:
        assert self.process.poll() is None, self.log.read_text()
        try:
            return self.client.get("/healthz").status_code == 200
        except httpx.TransportError:
            return False

    def end(self, how: signal.Signals) -> int:
        self.process.send_signal(how)
        self.client.close()
        return self.process.wait(timeout=60)


@pytest.fixture
def serve(tmp_path: Path) -> Iterator[Serve]:
    """`serve(database_url, broker_url=…)` starts a receiver; all are ended with the test."""
    started: list[Served] = []

    def start(database_url: str, broker_url: str = NO_BROKER) -> Served:
        environment = {
            "TRIORA_DATABASE_URL": database_url,
            "TRIORA_BROKER_URL": broker_url,
            "TRIORA_WEBHOOK_SECRET": SECRET,
            "TRIORA_DATA_DIR": str(tmp_path / "data"),
        }
        started.append(Served(environment, tmp_path / "receiver.log"))
        return started[-1]

    yield start
    for served in started:
        if served.process.poll() is None:
            served.end(signal.SIGKILL)


def kept(database: Database) -> tuple[set[str], list[int]]:
    """GUIDs of the stored deliveries, and the numbers of the issues that wait."""
    with database.reading() as session:
        guids = set(session.scalars(select(Delivery.guid)))
        waiting = session.scalars(
            select(IssueSnapshot.issue_number)
            .where(IssueSnapshot.state == State.PENDING)
            .order_by(IssueSnapshot.issue_number)
        )
        return guids, list(waiting)


def test_what_was_accepted_survives_sigkill_and_the_rest_is_delivered_again(
    serve: Serve, database_url: str, database: Database
) -> None:
    """Deliveries stream in on four connections; the process is killed in the middle of them."""
    numbers = range(1, 201)
    first = serve(database_url)
    kill_at = 50
    accepted: set[int] = set()

    def send(number: int) -> None:
        try:
            answer = deliver(first.client, "issues", issue_event(number=number), guid=f"g-{number}")
        except httpx.TransportError:
            return
        assert answer.status_code == 202
        accepted.add(number)
        if len(accepted) == kill_at:
            first.process.kill()

    with ThreadPoolExecutor(4) as senders:
        list(senders.map(send, numbers))
    first.process.wait(timeout=60)
    assert kill_at <= len(accepted) < len(numbers)

    guids, waiting = kept(database)
    assert {f"g-{number}" for number in accepted} <= guids
    # All or nothing: every stored delivery has its issue, also those whose answer was cut off.
    assert sorted(guids) == sorted(f"g-{number}" for number in waiting)

    second = serve(database_url)
    for number in numbers:
        answer = deliver(second.client, "issues", issue_event(number=number), guid=f"g-{number}")
        assert answer.status_code == 202
        assert answer.json()["duplicate"] is (f"g-{number}" in guids)
    assert kept(database)[1] == list(numbers)


def test_started_while_the_broker_is_down_it_accepts_and_rings_once_the_broker_is_up(
    serve: Serve, sqlite_url: str, sqlite_database: Database, tmp_path: Path, valkey_url: str
) -> None:
    path = Path(valkey_url.removeprefix("redis+socket://"))
    away = path.with_name("away.sock")
    path.rename(away)
    served = serve(sqlite_url, valkey_url)
    assert deliver(served.client, "issues", issue_event(number=1)).status_code == 202
    assert served.client.get("/readyz").json()["broker"]["ok"] is False
    assert kept(sqlite_database)[1] == [1]

    away.rename(path)
    assert deliver(served.client, "issues", issue_event(number=2)).status_code == 202
    celery = queue.build(Settings(_env_file=None, broker_url=valkey_url))
    until(lambda: queue.waiting(celery, Task.TRIAGE), "a ring")
    assert served.client.get("/readyz").json()["broker"]["ok"] is True
    assert kept(sqlite_database)[1] == [1, 2]


def test_started_while_the_database_is_down_it_asks_for_redelivery(serve: Serve) -> None:
    served = serve("postgresql+psycopg://nobody@127.0.0.1:1/nothing")
    assert deliver(served.client, "issues", issue_event()).status_code == 503
    assert served.client.get("/readyz").status_code == 503


def test_sigterm_ends_it_in_order(serve: Serve, sqlite_url: str) -> None:
    served = serve(sqlite_url)
    assert deliver(served.client, "issues", issue_event()).status_code == 202
    assert served.end(signal.SIGTERM) in (0, -signal.SIGTERM)
    log = served.log.read_text()
    assert "Traceback" not in log
    assert SECRET not in log


def test_log_has_ids_and_no_text_of_the_issue(serve: Serve, sqlite_url: str) -> None:
    served = serve(sqlite_url)
    event = issue_event(title="my secret title", body="my secret body")
    deliver(served.client, "issues", event, guid="guid-to-find")
    deliver(served.client, "issues", b'{"secret": "my secret', guid="guid-broken")
    until(lambda: "guid-to-find" in served.log.read_text(), "the delivery in the log")
    served.end(signal.SIGTERM)
    assert "my secret" not in served.log.read_text()
