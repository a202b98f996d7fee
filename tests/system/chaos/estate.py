"""The processes of one Triora: started, killed, stopped, and started again when they end."""

from __future__ import annotations

import contextlib
import os
import random
import shutil
import signal
import subprocess
import threading
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import psutil
import structlog

from app import broker
from app.core.settings import Settings
from tests.system.chaos.databases import Database

log = structlog.get_logger()

# Supervisor and systemd start a process again after about a second.
LONGEST_REST = 1.5
TICK = 0.05


@dataclass
class Part:
    """One process that should run."""

    name: str
    command: Sequence[str]
    environment: Mapping[str, str]
    process: subprocess.Popen[bytes] | None = None
    due: float = 0.0
    stopped: bool = False
    # Ours, by SIGKILL; what ended without it ended by itself.
    killed: bool = False
    ended: list[int] = field(default_factory=list)

    @property
    def pid(self) -> int | None:
        """Its id while it runs."""
        return self.process.pid if self.runs and self.process else None

    @property
    def runs(self) -> bool:
        """True from its start to its end, stopped or not."""
        return self.process is not None and self.process.poll() is None

    def start(self, logs: Path) -> None:
        """Start it; what it says goes to a file."""
        with (logs / f"{self.name}.log").open("ab") as output:
            self.process = subprocess.Popen(
                self.command,
                env=self.environment,
                cwd=logs,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                process_group=0,
            )
        self.killed = self.stopped = False

    def signal(self, number: int) -> None:
        """Send a signal, to a process that may just have ended."""
        if self.pid is not None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.pid, number)


class Estate:
    """All parts, and the thread that starts again what ended."""

    def __init__(
        self,
        parts: Sequence[Part],
        database: Database,
        logs: Path,
        settings: Settings,
        seed: int,
    ) -> None:
        self.parts = {part.name: part for part in parts}
        self.database = database
        self.logs = logs
        self.settings = settings
        self.kills: Counter[str] = Counter()
        # Processes that ended though nobody killed them: name and exit code.
        self.surprises: Counter[tuple[str, int]] = Counter()
        self._chance = random.Random(seed)
        self._lock = threading.RLock()
        self._over = threading.Event()
        self._keeper = threading.Thread(target=self._keep, name="keeper", daemon=True)

    def start(self) -> None:
        """Start everything, and keep it running."""
        self._keeper.start()

    def _keep(self) -> None:
        while not self._over.wait(TICK):
            with self._lock:
                self.database.tick()
                for part in self.parts.values():
                    self._tend(part)

    def _tend(self, part: Part) -> None:
        if part.runs:
            return
        now = time.monotonic()
        if part.process is not None:
            code = part.process.wait()
            part.process = None
            part.due = now + self._chance.random() * LONGEST_REST
            if not part.killed:
                self.surprises[part.name, code] += 1
        if now >= part.due:
            part.start(self.logs)

    # What happens to them

    def pids(self, *besides: str) -> set[int]:
        """The ids of the parts that run, without those named."""
        with self._lock:
            return {p.pid for p in self.parts.values() if p.pid and p.name not in besides}

    def all_pids(self) -> set[int]:
        """Those of the parts and of the database."""
        return self.pids() | {process.pid for process in self.database.processes()}

    def kill(self, name: str) -> None:
        """SIGKILL. Waits until it runs if it is about to be started."""
        with self._lock:
            part = self.parts[name]
            if part.pid is None:
                part.due = 0.0
                self._tend(part)
            part.killed = True
            part.signal(signal.SIGKILL)
            self.kills[name] += 1

    def forget_broker(self, name: str = "valkey") -> None:
        """Kill the broker, and its memory with it."""
        with self._lock:
            self.kill(name)
            part = self.parts[name]
            if part.process is not None:
                part.process.wait()
            shutil.rmtree(self.settings.data_dir / "valkey", ignore_errors=True)
            broker.command(self.settings)

    def kill_database(self, seconds: float) -> bool:
        """Kill the database (of SQLite whoever writes to it); False if nobody wrote to it."""
        writers = self.pids("valkey")
        gone = self.database.kill(writers, seconds)
        with self._lock:
            for part in self.parts.values():
                if gone is not None and part.process is not None and part.process.pid == gone:
                    part.killed = True
        if gone is not None:
            self.kills["database"] += 1
        return gone is not None

    def stop(self, name: str) -> None:
        """SIGSTOP."""
        with self._lock:
            part = self.parts[name]
            part.stopped = True
            part.signal(signal.SIGSTOP)

    def resume(self, name: str) -> None:
        """SIGCONT."""
        with self._lock:
            self.parts[name].stopped = False
            self.parts[name].signal(signal.SIGCONT)

    def stop_database(self) -> list[psutil.Process]:
        """SIGSTOP to every process of the database; what was stopped."""
        found = self.database.processes()
        for process in found:
            with contextlib.suppress(psutil.Error):
                process.suspend()
        return found

    def end(self) -> None:
        """Kill everything for good."""
        self._over.set()
        self._keeper.join()
        for part in self.parts.values():
            part.signal(signal.SIGKILL)
            if part.process is not None:
                part.process.wait()


@contextmanager
def running(estate: Estate) -> Iterator[Estate]:
    """The estate, ended with the block."""
    try:
        estate.start()
        yield estate
    finally:
        estate.end()
