"""The two databases of a storm, each with its way to die.

PostgreSQL is a server of its own, killed and started again. SQLite has no process: whoever is in
the middle of a write transaction is killed there.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import pwd
import shutil
import signal
import struct
import subprocess
import time
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Protocol

import psutil
import psycopg

from app.db.migrate import upgrade
from tests.postgres_server import SUPERUSER, binaries, environment, owner
from tests.waiting import until

# The byte of the -shm file that a writer locks: see "WAL-mode File Format" of SQLite.
_WRITE_LOCK = 120
_FLOCK = struct.Struct("hhqqi")
PATIENCE = 60.0


class Database(Protocol):
    """What a storm needs of a database."""

    name: str
    url: str

    def tick(self) -> None:
        """Start it again if it should run and does not."""
        ...

    def processes(self) -> list[psutil.Process]:
        """The processes of the database itself, if it has any."""
        ...

    def kill(self, pids: Collection[int], seconds: float) -> int | None:
        """Kill it; the id of what was killed. None if there was no chance within `seconds`."""
        ...


class Sqlite:
    """A file in the data directory."""

    name = "SQLite"

    def __init__(self, path: Path) -> None:
        self.path = path
        self.url = f"sqlite:///{path}"

    def tick(self) -> None:
        """There is no process to be started."""

    def processes(self) -> list[psutil.Process]:
        """None: it lives in those of Triora."""
        return []

    def kill(self, pids: Collection[int], seconds: float) -> int | None:
        """SIGKILL to one of `pids` that is in the middle of a write transaction.

        It is stopped first, and looked at again: so what dies is surely within its transaction.
        """
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            # The file goes with the last connection, and comes anew with the next one.
            with contextlib.suppress(FileNotFoundError), self._index.open("rb+") as index:
                until = time.monotonic() + 0.2
                while time.monotonic() < until:
                    pid = _holder(index.fileno())
                    if pid in pids and _kill_inside(index.fileno(), pid):
                        return pid
        return None

    @property
    def _index(self) -> Path:
        return self.path.with_name(f"{self.path.name}-shm")


def _kill_inside(descriptor: int, pid: int) -> bool:
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, signal.SIGSTOP)
        inside = _holder(descriptor) == pid
        os.kill(pid, signal.SIGKILL if inside else signal.SIGCONT)
        return inside
    return False


def _holder(descriptor: int) -> int:
    """The process that writes to the database now; 0 if nobody does."""
    asked = _FLOCK.pack(fcntl.F_WRLCK, os.SEEK_SET, _WRITE_LOCK, 1, 0)
    kind, *_, pid = _FLOCK.unpack(fcntl.fcntl(descriptor, fcntl.F_GETLK, asked))
    return 0 if kind == fcntl.F_UNLCK else int(pid)


class Postgres:
    """A server whose files lie on the storm's disk."""

    name = "PostgreSQL"

    def __init__(self, home: Path, log: Path, program: Path) -> None:
        self.home = home
        self.url = f"postgresql+psycopg://{SUPERUSER}@/postgres?host={home}"
        self.wanted = True
        self._log = log
        self._program = program
        self._server: subprocess.Popen[bytes] | None = None
        self._started: list[int] = []

    def tick(self) -> None:
        """Start the postmaster, also again and again while the children of a dead one live."""
        if not self.wanted or (self._server is not None and self._server.poll() is None):
            return
        with self._log.open("ab") as log:
            self._server = subprocess.Popen(
                [self._program, "-D", self.home / "db", "-k", self.home],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                process_group=0,
                user=owner(),
                cwd=self.home,
                env=environment(),
            )

    def processes(self) -> list[psutil.Process]:
        """Postmaster and backends."""
        if self._server is None or self._server.poll() is not None:
            return []
        with contextlib.suppress(psutil.Error):
            postmaster = psutil.Process(self._server.pid)
            return [postmaster, *postmaster.children(recursive=True)]
        return []

    def kill(self, pids: Collection[int], seconds: float) -> int | None:
        """SIGKILL to the postmaster and all it started, as when a machine loses its power."""
        del pids, seconds
        found = self.processes()
        for process in found:
            with contextlib.suppress(psutil.Error):
                process.kill()
        if self._server is not None:
            self._server.wait()
        return found[0].pid if found else None

    def kill_backend(self) -> int | None:
        """SIGKILL to one backend: the server throws all others out and recovers by itself."""
        for process in self.processes()[1:]:
            with contextlib.suppress(psutil.Error):
                if "[local]" in " ".join(process.cmdline()):
                    process.kill()
                    return process.pid
        return None

    def answers(self) -> bool:
        """True when it takes connections."""
        self.tick()
        with contextlib.suppress(psycopg.OperationalError):
            psycopg.connect(host=str(self.home), user=SUPERUSER, dbname="postgres").close()
            return True
        return False

    def end(self) -> None:
        """Stop it, the fast way."""
        self.wanted = False
        self.kill((), 0)


@contextmanager
def sqlite(directory: Path) -> Iterator[Sqlite]:
    """A migrated file on the disk at `directory`."""
    made = Sqlite(directory / "triora.db")
    upgrade(made.url)
    yield made


@contextmanager
def postgres(directory: Path, logs: Path) -> Iterator[Postgres]:
    """A migrated server whose files are on the disk at `directory`."""
    home = directory / "pg"
    home.mkdir(mode=0o700)
    who = owner()
    if who is not None:
        os.chown(home, pwd.getpwnam(who).pw_uid, -1)
    programs = binaries(home, who)
    subprocess.run(
        [
            *(programs / "initdb", "-D", home / "db", "-U", SUPERUSER, "-A", "trust"),
            *("-E", "UTF8", "--locale=C", "--no-instructions", "--wal-segsize=1"),
            *("-c", "listen_addresses=", "-c", "max_wal_size=24MB", "-c", "min_wal_size=4MB"),
            *("-c", "shared_buffers=16MB"),
        ],
        check=True,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        user=who,
        cwd=home,
        env=environment(),
    )
    made = Postgres(home, logs / "postgres.log", programs / "postgres")
    try:
        until(made.answers, "PostgreSQL", PATIENCE)
        upgrade(made.url)
        yield made
    finally:
        made.end()
        shutil.rmtree(home, ignore_errors=True)
