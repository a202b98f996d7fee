"""20,000 issues that wait, through triage: `make backlog` prints time an issue, and memory.

The scorer knows nothing and costs nothing, so that what is timed is everything but the model.
Meanwhile a receiver in a process of its own takes deliveries in and shows its pages.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path

import httpx
import psutil
import structlog

from app import backlog
from app.core.decision import Thresholds
from app.core.settings import Settings
from app.core.taxonomy import DEFAULT_TAXONOMY
from app.db.session import Database
from tests.load.receivers import Receiver, triora
from tests.pile import pile_up
from tests.postgres_server import postgres_server
from tests.webhooks import deliver, issue_event, repository
from worker.model.query import Answer, Query
from worker.triage import Triage

PART = 1000
# Further than chance takes it from one thousand to another.
SLOWER, LARGER_MB = 1.3, 20.0
# What counts as quick, of nine in ten looks.
QUICK_SECONDS = 0.25


class Shrug:
    """Every label is as likely as any other."""

    def answer(self, queries: Sequence[Query]) -> list[Answer]:
        """The same for all."""
        return [self._answer(query) for query in queries]

    def _answer(self, query: Query) -> Answer:
        every = query.taxonomy.dimensions
        scores = {d.name: dict.fromkeys(d.names, 1 / len(d.names)) for d in every}
        return Answer("shrug", scores, Thresholds(default=0.5))


@dataclass(frozen=True)
class Part:
    """A thousand issues: milliseconds an issue, of these on the processor, and MB at the end."""

    done: int
    wall: float
    cpu: float
    memory: float


class Visitor:
    """Looks at everything a person or GitHub looks at, in turn, until told to stop."""

    def __init__(self, receiver: Receiver, database: Database, first: int) -> None:
        self._database = database
        self._client = httpx.Client(
            base_url=f"http://127.0.0.1:{receiver.port}", timeout=60, trust_env=False
        )
        self._number = first
        self._stop = threading.Event()
        self.put_off = 0
        self.seconds: dict[str, list[float]] = defaultdict(list)
        self._looks: Mapping[str, Callable[[], object]] = {
            "a delivery": self._deliver,
            "GET /metrics": lambda: self._client.get("/metrics").raise_for_status(),
            "GET /readyz": lambda: self._client.get("/readyz").raise_for_status(),
            "triora status": self._status,
        }

    def _deliver(self) -> None:
        self._number += 1
        payload = issue_event(
            number=self._number, installation=1, repository=repository(1, "octo1/game")
        )
        answer = deliver(self._client, "issues", payload)
        if answer.status_code == HTTPStatus.SERVICE_UNAVAILABLE:
            self.put_off += 1
        else:
            answer.raise_for_status()

    def _status(self) -> None:
        with self._database.reading() as session:
            backlog.status(session)

    def look(self) -> None:
        """Everything once."""
        for name, one in self._looks.items():
            began = time.monotonic()
            one()
            self.seconds[name].append(time.monotonic() - began)

    @contextmanager
    def around(self) -> Iterator[None]:
        """Look again and again while the block runs."""

        def run() -> None:
            while not self._stop.wait(0.1):
                self.look()

        thread = threading.Thread(target=run)
        thread.start()
        try:
            yield
        finally:
            self._stop.set()
            thread.join()
            self._client.close()


def main() -> int:
    """Fill, work it off, print; exit code 1 if anything got slower, larger or was slow."""
    reader = argparse.ArgumentParser(prog="make backlog", description=__doc__)
    reader.add_argument("--issues", type=int, default=20_000)
    reader.add_argument("--installations", type=int, default=3)
    reader.add_argument("--postgres", action="store_true")
    asked = reader.parse_args()
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(50))
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        if asked.postgres:
            with postgres_server() as url:
                return _measure(url, folder, asked.issues, asked.installations)
        url = f"sqlite:///{folder / 'triora.db'}"
        return _measure(url, folder, asked.issues, asked.installations)


def _measure(url: str, folder: Path, issues: int, installations: int) -> int:
    with triora(url, folder) as receiver:
        database = Database(url)
        pile_up(database, issues, installations=installations)
        say = f"{issues} issues of {installations} installations wait ({database.url.drivername})"
        print(say)  # noqa: T201
        before = Visitor(receiver, database, 10_000_000)
        for _ in range(20):
            before.look()
        during = Visitor(receiver, database, 20_000_000)
        with during.around():
            parts = list(_work_off(database))
        database.close()
    slow = _tell_looks("while all wait", before) + _tell_looks("while they are worked off", during)
    failures = slow + _tell_parts(parts)
    print("\n".join(f"MISSED {line}" for line in failures) or "constant, flat and quick")  # noqa: T201
    return 1 if failures else 0


def _work_off(database: Database) -> Iterator[Part]:
    triage = Triage(database, Shrug(), DEFAULT_TAXONOMY, Settings(_env_file=None))
    me = psutil.Process()
    print("issues done   ms an issue   memory MB")  # noqa: T201
    done, part, began, wall = 0, 0, time.process_time(), time.monotonic()
    claimed = 1
    while claimed:
        claimed = triage.run_batch().claimed
        done, part = done + claimed, part + claimed
        if part < PART and (claimed or not part):
            continue
        found = Part(
            done,
            1000 * (time.monotonic() - wall) / part,
            1000 * (time.process_time() - began) / part,
            me.memory_info().rss / 2**20,
        )
        print(  # noqa: T201
            f"{done:>11}   {found.wall:>6.2f} ({found.cpu:.2f} of CPU)   {found.memory:>7.1f}",
            flush=True,
        )
        if part >= PART:
            yield found
        part, began, wall = 0, time.process_time(), time.monotonic()


def _tell_looks(when: str, visitor: Visitor) -> list[str]:
    failures = []
    if visitor.put_off:
        failures.append(f"{visitor.put_off} deliveries {when} were answered with 503")
    for name, seconds in visitor.seconds.items():
        ordered = sorted(seconds)
        half, most = ordered[len(ordered) // 2], ordered[int(0.9 * (len(ordered) - 1))]
        said = f"{name:13s} {when}: median {1000 * half:.1f} ms, nine in ten {1000 * most:.1f} ms"
        print(said)  # noqa: T201
        if most > QUICK_SECONDS:
            failures.append(f"{said}: over {1000 * QUICK_SECONDS:.0f} ms")
    return failures


def _tell_parts(parts: Sequence[Part]) -> list[str]:
    if not parts:
        return []
    first, last = parts[0], parts[-1]
    print(  # noqa: T201
        f"an issue: {first.wall:.2f} ms ({first.cpu:.2f} of CPU) in the first {PART}, "
        f"{last.wall:.2f} ({last.cpu:.2f}) in the last; memory {first.memory:.1f} MB after the "
        f"first, {last.memory:.1f} after the last"
    )
    failures = []
    if last.cpu > SLOWER * first.cpu:
        failures.append(f"the last {PART} took {last.cpu / first.cpu:.2f} times the first's CPU")
    if last.memory > first.memory + LARGER_MB:
        failures.append(f"memory grew by {last.memory - first.memory:.1f} MB")
    return failures


if __name__ == "__main__":
    sys.exit(main())
