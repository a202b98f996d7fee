"""One storm, from the first process to the count."""

from __future__ import annotations

import contextlib
import json
import logging
import shutil
import signal
import sys
import tempfile
import time
import traceback
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import structlog

from app import backlog
from app.core.settings import Settings
from app.db.session import Database as Store
from tests.system.chaos import cheap, databases, faults, lineup, skew, storm
from tests.system.chaos.disk import Disk, disk
from tests.system.chaos.estate import Estate, running
from tests.system.chaos.github import GitHub, github
from tests.system.chaos.verdict import Count, Key, count, read_books
from tests.system.conftest import free_port
from tests.waiting import until

log = structlog.get_logger()

MEGABYTES = 192
# After the last fault: so long everything may take before it counts as lost.
PATIENCE = 120.0
# The control arm has lost by then what it will lose: its last retry is over.
CONTROL_PATIENCE = 45.0
# Then nothing of ours may still be under way that would write once more.
QUIET = 60.0


@dataclass(frozen=True)
class Order:
    """What storm to make. `faults`: None draws them with the seed."""

    seed: int
    database: str = "sqlite"
    issues: int = 1000
    seconds: float = 45.0
    control: bool = False
    faults: tuple[faults.Fault, ...] | None = None
    keep: Path | None = None


@dataclass
class Outcome:
    """What came of it."""

    order: Order
    database: str
    count: Count
    kills: Counter[str]
    faults: Counter[str]
    fates: Counter[str]
    people: Counter[str]
    seconds: float
    # None where something was still missing at the end.
    converged: float | None
    skew: dict[str, float]
    surprises: Counter[tuple[str, int]] = field(default_factory=Counter)
    disk: str = ""

    @property
    def database_kills(self) -> int:
        """How often the database was killed."""
        return self.kills["database"]


def run(order: Order, tell: Callable[[str], None] = lambda _: None) -> Outcome:
    """Make the storm of `order`, and count. `tell` gets a line now and then."""
    with _place(order) as place, disk(place / "disk", MEGABYTES) as small:
        logs = place / "logs"
        logs.mkdir()
        port = free_port()
        opened = (
            databases.sqlite(small.path)
            if order.database == "sqlite"
            else databases.postgres(small.path, logs)
        )
        with github(place, port, order.seed) as hub, opened as database:
            hub.remote.limit(hourly=100_000, whom="installation")
            return _Storm(order, hub, database, small, logs, port, tell).run()


def attempt(order: Order, *, verbose: bool) -> Outcome | str:
    """`run`, in a process of its own; the traceback if the harness itself fails."""
    # Whoever ends us ends the processes of the storm, too.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    level = logging.INFO if verbose else logging.WARNING
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(level))
    try:
        return run(order, log.info)
    except Exception:  # noqa: BLE001 - the other storms go on
        return traceback.format_exc()


@contextmanager
def _place(order: Order) -> Iterator[Path]:
    place = Path(tempfile.mkdtemp(prefix="triora-chaos-"))
    # PostgreSQL runs as somebody else when we are root.
    place.chmod(0o755)
    try:
        yield place
    finally:
        if order.keep is not None:
            name = f"{'control' if order.control else order.database}-{order.seed}"
            shutil.copytree(place / "logs", order.keep / name, dirs_exist_ok=True)
        shutil.rmtree(place, ignore_errors=True)


class _Storm:
    def __init__(
        self,
        order: Order,
        hub: GitHub,
        database: databases.Database,
        small: Disk,
        logs: Path,
        port: int,
        tell: Callable[[str], None],
    ) -> None:
        self.order, self.hub, self.database, self.disk = order, hub, database, small
        self.logs, self.tell = logs, tell
        postgres = order.database != "sqlite"
        self.skew = lineup.skews(order.seed, apart=postgres)
        first = skew.library(logs) if postgres else None
        if postgres and first is None:
            self.skew = {}
        further = {
            name: skew.environment(first, ahead) for name, ahead in self.skew.items() if first
        }
        data = small.path / "data"
        data.mkdir()
        env = lineup.environment(hub, data, database.url, port)
        settings = Settings(_env_file=None, data_dir=data)
        if order.control:
            parts = lineup.control_parts(env, settings)
        else:
            parts = lineup.parts(env, settings, further)
        self.estate = Estate(parts, database, logs, settings, order.seed)
        small.users = self.estate.all_pids
        drawn = order.faults
        if drawn is None:
            drawn = tuple(
                faults.plan(
                    order.seed, order.seconds, lease=lineup.LEASE_SECONDS, postgres=postgres
                )
            )
        names = set(self.estate.parts)
        self.faults = [
            fault
            for fault in drawn
            if (not fault.part or fault.part in names)
            and not (order.control and fault.what in faults.OF_THE_DATABASE)
        ]

    def run(self) -> Outcome:
        began = time.monotonic()
        deeds = storm.plan(
            self.order.seed, self.order.issues, self.order.seconds, len(self.hub.repositories)
        )
        people = storm.Player(self.hub, deeds)
        with running(self.estate):
            self._wait_for_receiver()
            saboteur = faults.Saboteur(self.estate, self.hub, self.disk, self.faults)
            if "github" in self.skew:
                self.hub.remote.skew(self.skew["github"])
            people.start()
            saboteur.start()
            try:
                people.wait()
                self.tell(f"all people are through after {time.monotonic() - began:.0f} s")
                saboteur.wait()
            finally:
                people.stop()
                saboteur.stop()
            self.tell(f"the last fault was over after {saboteur.over_at - began:.0f} s")
            converged = self._converge(saboteur.over_at)
            if converged is not None and not self.order.control:
                self._calm_down()
        dead = [] if self.order.control else list(self._dead())
        return Outcome(
            order=self.order,
            database=self.database.name,
            count=self._count(dead),
            kills=self.estate.kills,
            faults=saboteur.done,
            fates=Counter(
                {str(k): n for p in (self.hub.api, self.hub.hooks) for k, n in p.hits.items()}
            ),
            people=Counter({str(kind): number for kind, number in people.done.items()}),
            seconds=time.monotonic() - began,
            converged=converged,
            skew=self.skew,
            surprises=self.estate.surprises,
            disk=self.disk.how,
        )

    def _wait_for_receiver(self) -> None:
        self.hub.remote.control("POST", "/hook/ping")
        until(lambda: any(d["status_code"] == 202 for d in self._pings()), "the receiver", 60)

    def _pings(self) -> list[dict[str, object]]:
        self.hub.remote.control("POST", "/hook/ping")
        return self.hub.remote.deliveries()

    def _count(self, dead: list[Key]) -> Count:
        entries, journal = self.hub.books(), self.hub.journal()
        # Beside the logs, for whoever wants to know how an issue got there.
        books = json.dumps({"issues": entries, "requests": journal})
        (self.logs / "books.json").write_text(books)
        return count(read_books(entries, journal), cheap.labels, dead)

    def _converge(self, since: float) -> float | None:
        """Seconds from `since` until nothing is missing any more; None if that did not come."""

        def settled() -> bool:
            return count(read_books(self.hub.books(), ()), cheap.labels).settled

        patience = CONTROL_PATIENCE if self.order.control else PATIENCE
        try:
            until(settled, "all labels", patience, every=0.5)
        except AssertionError:
            return None
        return max(0.0, time.monotonic() - since)

    def _calm_down(self) -> None:
        """Wait until no row of Triora's would still write: leases it lost have run out by then."""
        store = Store(self.database.url)
        try:
            with contextlib.suppress(AssertionError):
                until(lambda: not self._pending(store), "an empty backlog", QUIET)
        finally:
            store.close()
        self.hub.remote.settle(60)

    def _pending(self, store: Store) -> int:
        with store.reading() as session:
            work = backlog.status(session).work
        return sum(work[name].pending for name in ("issues", "labels") if name in work)

    def _dead(self) -> Iterator[Key]:
        store = Store(self.database.url)
        with store.reading() as session:
            found = list(backlog.dead(session, backlog.Choice()))
        store.close()
        for line in found:
            if line.issue is not None:
                yield line.repository.partition("/")[0], line.issue
