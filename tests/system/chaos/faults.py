"""What goes wrong in a storm: drawn with a seed, then done to processes, network and GitHub."""

from __future__ import annotations

import random
import threading
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import structlog

from tests.system.chaos.databases import Postgres
from tests.system.chaos.disk import Disk
from tests.system.chaos.estate import Estate
from tests.system.chaos.github import GitHub
from tests.system.chaos.proxy import CALM, Fate, Weather

log = structlog.get_logger()

# Of Triora; the database comes apart.
KILLED = ("triage-1", "triage-2", "labels", "scheduler", "receiver", "valkey")
STOPPABLE = ("triage-1", "triage-2", "labels", "scheduler", "receiver", "valkey")
HOLDS_LEASES = ("triage-1", "triage-2", "labels")
DATABASE_KILLS = 4
OF_THE_DATABASE = ("kill the database", "kill a backend", "stop the database")
# GitHub's own least for a secondary limit that names no time.
SECONDARY_SECONDS = 60.0

_BAD_API = Weather(
    {
        Fate.ERROR: 0.10,
        Fate.DROP: 0.05,
        Fate.RESET: 0.05,
        Fate.DROP_AFTER: 0.08,
        Fate.RESET_AFTER: 0.04,
        Fate.TRUNCATE: 0.06,
        Fate.DELAY: 0.25,
    },
    seconds=1.0,
)
_BAD_HOOKS = Weather(
    {
        Fate.ERROR: 0.06,
        Fate.DROP: 0.06,
        Fate.RESET: 0.04,
        Fate.DROP_AFTER: 0.08,
        Fate.TRUNCATE: 0.04,
        Fate.DELAY: 0.30,
    },
    seconds=2.0,
)
_ONLY_APPLIED = Weather({Fate.DROP_AFTER: 0.5, Fate.RESET_AFTER: 0.5})


@dataclass(frozen=True, order=True)
class Fault:
    """One fault at `at` seconds, for `seconds`, on the part named (or on none)."""

    at: float
    what: str
    part: str = ""
    seconds: float = 0.0


def plan(seed: int, seconds: float, *, lease: float, postgres: bool) -> list[Fault]:
    """The faults of a seed within `seconds`. Pure. `lease`: what a claim of Triora holds."""
    chance = random.Random(f"faults {seed}")

    def somewhen(first: float = 0.05, last: float = 1.0) -> float:
        return seconds * (first + chance.random() * (last - first))

    found = [Fault(somewhen(), "kill", name) for name in KILLED]
    for number in range(DATABASE_KILLS):
        backend = postgres and number % 2
        found.append(Fault(somewhen(), "kill a backend" if backend else "kill the database"))
    # The last moment for a long stop is such that it ends with the storm.
    past = lease * 1.25
    found += [
        Fault(somewhen(), "stop", chance.choice(STOPPABLE), 1 + chance.random() * 3),
        Fault(somewhen(), "stop", chance.choice(STOPPABLE), 1 + chance.random() * 3),
        Fault(somewhen(0.05, 0.7), "stop past its lease", chance.choice(HOLDS_LEASES), past),
    ]
    if postgres:
        found.append(Fault(somewhen(), "stop the database", seconds=1 + chance.random() * 3))
    found += [
        Fault(somewhen(), "bad API", seconds=4.0),
        Fault(somewhen(), "bad API", seconds=4.0),
        Fault(somewhen(), "applied, then dropped", seconds=1.5),
        Fault(somewhen(), "bad webhooks", seconds=6.0),
        Fault(somewhen(), "primary limit", seconds=4.0),
        Fault(somewhen(), "secondary limit", seconds=3.0),
        Fault(somewhen(), "tokens revoked"),
        Fault(somewhen(), "tokens revoked"),
        Fault(somewhen(), "tokens that expire", seconds=6.0),
        Fault(somewhen(), "rename"),
        Fault(somewhen(), "full disk", seconds=3.0),
    ]
    if seconds > SECONDARY_SECONDS / 2:
        # Early, since it lasts for a minute whatever we do.
        at = seconds * 0.02
        found.append(Fault(at, "secondary limit without a word", seconds=SECONDARY_SECONDS))
    return sorted(found)


class Saboteur:
    """Does the faults from a thread each, and knows when the last one was over."""

    def __init__(self, estate: Estate, github: GitHub, disk: Disk, faults: Sequence[Fault]) -> None:
        self.done: Counter[str] = Counter()
        self.over_at = time.monotonic()
        self.problem: BaseException | None = None
        self._estate, self._github, self._disk = estate, github, disk
        self._faults = faults
        self._end = threading.Event()
        self._note = threading.Lock()
        self._threads: list[threading.Thread] = []

    def start(self) -> None:
        """Begin."""
        began = time.monotonic()
        for fault in self._faults:
            thread = threading.Thread(target=self._run, args=(fault, began), daemon=True)
            self._threads.append(thread)
            thread.start()

    def wait(self) -> None:
        """Until nothing goes wrong any more; raises what was not planned to."""
        for thread in self._threads:
            thread.join()
        if self.problem is not None:
            raise self.problem

    def stop(self) -> None:
        """End early."""
        self._end.set()
        for thread in self._threads:
            thread.join()

    def _run(self, fault: Fault, began: float) -> None:
        if self._end.wait(max(0.0, began + fault.at - time.monotonic())):
            return
        try:
            happened = self._do(fault)
        except Exception as error:  # noqa: BLE001 - told by whoever waits for the threads
            self.problem = error
            return
        with self._note:
            self.over_at = max(self.over_at, time.monotonic())
            if happened:
                self.done[fault.what] += 1
            log.info("fault", what=fault.what, part=fault.part, happened=happened)

    def _do(self, fault: Fault) -> bool:
        remote = self._github.remote
        match fault.what:
            case "kill" if fault.part == "valkey":
                self._estate.forget_broker()
            case "kill":
                self._estate.kill(fault.part)
            case "kill the database":
                return self._estate.kill_database(seconds=10.0)
            case "kill a backend":
                return self._kill_backend()
            case "stop" | "stop past its lease":
                self._during(
                    fault.seconds,
                    lambda: self._estate.stop(fault.part),
                    lambda: self._estate.resume(fault.part),
                )
            case "stop the database":
                stopped = self._estate.stop_database()
                self._end.wait(fault.seconds)
                for process in stopped:
                    if process.is_running():
                        process.resume()
            case "bad API" | "applied, then dropped":
                bad = _BAD_API if fault.what == "bad API" else _ONLY_APPLIED
                self._weather(self._github.api, bad, fault.seconds)
            case "bad webhooks":
                self._weather(self._github.hooks, _BAD_HOOKS, fault.seconds)
            case "primary limit":
                remote.limit(exhaust_seconds=fault.seconds)
                # It ends with a whole second.
                self._end.wait(fault.seconds + 1)
            case "secondary limit":
                limit = {"status": 429, "retry_after": int(fault.seconds), "times": 1}
                remote.limit(secondary=limit)
                self._end.wait(fault.seconds)
            case "secondary limit without a word":
                remote.limit(secondary={"status": 403, "retry_after": None, "times": 1})
                self._end.wait(fault.seconds)
            case "tokens revoked":
                remote.revoke_tokens()
            case "tokens that expire":
                remote.token_lifetime(2.0)
                self._end.wait(fault.seconds)
                remote.token_lifetime(3600.0)
            case "rename":
                self._rename()
            case "full disk":
                self._during(fault.seconds, self._disk.fill, self._disk.free)
            case unknown:
                raise ValueError(unknown)
        return True

    def _during(self, seconds: float, begin: Callable[[], None], end: Callable[[], None]) -> None:
        begin()
        try:
            self._end.wait(seconds)
        finally:
            end()

    def _weather(self, proxy: object, weather: Weather, seconds: float) -> None:
        def turn(to: Weather) -> None:
            proxy.weather = to  # type: ignore[attr-defined]

        self._during(seconds, lambda: turn(weather), lambda: turn(CALM))

    def _kill_backend(self) -> bool:
        database = self._estate.database
        if not isinstance(database, Postgres) or database.kill_backend() is None:
            return False
        self._estate.kills["database"] += 1
        return True

    def _rename(self) -> None:
        """The last repository gets another name; people use the new one at once."""
        names = self._github.repositories
        owner = names[-1].partition("/")[0]
        with self._github.acting:
            self._github.remote.change_repository(names[-1], name="game-two")
            names[-1] = f"{owner}/game-two"
