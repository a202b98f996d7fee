"""A small disk for everything that a Triora keeps, which can be full for a while.

As root it is a file system of its own, in memory. Otherwise it is a directory, and full means that
no process may write any file beyond some length (RLIMIT_FSIZE), which databases meet soon.
"""

from __future__ import annotations

import contextlib
import errno
import os
import resource
import shutil
import subprocess
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil

_BALLAST = "ballast"
_LONGEST_FILE = 128 * 1024


class Disk:
    """`users` gives the ids of the processes that write here now."""

    def __init__(self, path: Path, *, mounted: bool) -> None:
        self.path = path
        self.mounted = mounted
        self.users: Callable[[], Iterable[int]] = tuple
        self._limited: list[psutil.Process] = []

    @property
    def how(self) -> str:
        """How it gets full, for the table."""
        return "own file system" if self.mounted else "file size limit"

    def fill(self) -> None:
        """From now on nothing more fits."""
        if not self.mounted:
            self._limit(_LONGEST_FILE)
            return
        with (self.path / _BALLAST).open("wb", buffering=0) as ballast:
            for size in (1 << 20, 1 << 12, 1):
                try:
                    while ballast.write(b"\0" * size):
                        pass
                except OSError as error:
                    if error.errno != errno.ENOSPC:
                        raise

    def free(self) -> None:
        """There is room again."""
        if self.mounted:
            (self.path / _BALLAST).unlink(missing_ok=True)
        else:
            self._limit(resource.RLIM_INFINITY)

    def _limit(self, length: int) -> None:
        for pid in self.users():
            with contextlib.suppress(psutil.Error):
                psutil.Process(pid).rlimit(psutil.RLIMIT_FSIZE, (length, resource.RLIM_INFINITY))


@contextmanager
def disk(path: Path, megabytes: int) -> Iterator[Disk]:
    """An empty disk at `path`, gone with the block."""
    path.mkdir()
    mounted = _mount(path, megabytes)
    try:
        yield Disk(path, mounted=mounted)
    finally:
        if mounted:
            # Lazily: a process that is about to end may still hold a file.
            subprocess.run(["umount", "--lazy", path], check=True)
        shutil.rmtree(path, ignore_errors=True)


def _mount(path: Path, megabytes: int) -> bool:
    if os.geteuid() != 0:
        return False
    options = f"size={megabytes}m,mode=755"
    done = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", options, "triora-chaos", path],
        check=False,
        capture_output=True,
    )
    return done.returncode == 0
