"""Which process serves a directory: a pid file that is locked for exactly as long as it lives.

The lock is a POSIX record lock: it survives `exec`, is not inherited by children, and the kernel
drops it with the process, however that ends. So a locked file names a living process, and a pid
that was given to somebody else meanwhile is never mistaken for ours.
"""

from __future__ import annotations

import errno
import fcntl
import os
import signal
import time
from pathlib import Path

from app.core.errors import ConfigProblem


class Held(ConfigProblem):
    """Another process holds the file. `pid` is its id."""

    def __init__(self, path: Path, pid: int) -> None:
        super().__init__(f"{path} is held by process {pid}, which is still running")
        self.pid = pid


def take(path: Path) -> int:
    """Lock `path` for this process and write its id there; Held if another process has it.

    Returns the descriptor. Keep it open: closing it, or any other descriptor of the same file in
    this process, gives the lock up. It stays open over `exec`.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    # Somebody may only be looking (`holder`), which takes microseconds.
    for _ in range(20):
        if _lock(descriptor, fcntl.LOCK_EX):
            break
        time.sleep(0.01)
    else:
        os.close(descriptor)
        raise Held(path, _pid_in(path))
    os.set_inheritable(descriptor, True)
    os.ftruncate(descriptor, 0)
    os.pwrite(descriptor, f"{os.getpid()}\n".encode(), 0)
    return descriptor


def holder(path: Path) -> int | None:
    """Id of the living process that holds `path`, None if nobody does."""
    try:
        descriptor = os.open(path, os.O_RDWR)
    except FileNotFoundError:
        return None
    try:
        free = _lock(descriptor, fcntl.LOCK_SH)
    finally:
        os.close(descriptor)
    return None if free else _pid_in(path)


def end(path: Path, grace: float) -> int | None:
    """End the process that holds `path`: asked first, killed after `grace` seconds.

    Returns its id, None if nobody held the file.
    """
    pid = holder(path)
    if pid is None:
        return None
    for how, patience in ((signal.SIGTERM, grace), (signal.SIGKILL, 10.0)):
        try:
            os.kill(pid, how)
        except ProcessLookupError:
            return pid
        deadline = time.monotonic() + patience
        while time.monotonic() < deadline:
            if holder(path) != pid:
                return pid
            time.sleep(0.05)
    raise ConfigProblem(f"process {pid} ({path}) does not end: kill it, then try again")


def _lock(descriptor: int, kind: int) -> bool:
    try:
        fcntl.lockf(descriptor, kind | fcntl.LOCK_NB)
    except OSError as error:
        if error.errno in (errno.EACCES, errno.EAGAIN):
            return False
        raise
    return True


def _pid_in(path: Path) -> int:
    for _ in range(100):
        # First wait: a holder that just locked the file has not replaced the old id yet.
        time.sleep(0.01)
        text = path.read_text(encoding="ascii").strip()
        if text:
            return int(text)
    raise ConfigProblem(f"{path} is locked and names no process: remove it, then try again")
