"""The demo's processes: real ones, whose lines are kept, and which end with the demo."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import threading
from collections import deque
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

STOP_SECONDS = 90.0
KEPT_LINES = 1000
SHOWN_LINES = 15


class Process:
    """A child in a session of its own, so that Ctrl-C reaches the demo and nobody else.

    Every line it prints goes to `log`; the last ones are kept. Use as a context manager: leaving
    asks it to end, and kills it if it does not.
    """

    def __init__(
        self,
        name: str,
        command: Sequence[str],
        environment: Mapping[str, str],
        log: Path,
        directory: Path | None = None,
    ) -> None:
        self.name = name
        self.log = log
        self._command = command
        self._environment = environment
        self._directory = directory
        self._said: deque[str] = deque(maxlen=KEPT_LINES)
        self._lock = threading.Lock()

    def __enter__(self) -> Self:
        self._process = subprocess.Popen(
            self._command,
            env=dict(self._environment),
            cwd=self._directory,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            start_new_session=True,
        )
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._process.terminate()
        try:
            self._process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()
        self._reader.join(timeout=5)

    @property
    def ended(self) -> int | None:
        """The exit code of a process that has ended, None while it runs."""
        return self._process.poll()

    @property
    def last_lines(self) -> str:
        """What it said last."""
        with self._lock:
            return "\n".join(list(self._said)[-SHOWN_LINES:])

    def said(self, text: str) -> str | None:
        """The last line with `text` in it, None if there was none yet."""
        with self._lock:
            return next((line for line in reversed(self._said) if text in line), None)

    def _read(self) -> None:
        assert self._process.stdout is not None  # noqa: S101 (for the type checker)
        self.log.parent.mkdir(parents=True, exist_ok=True)
        with self._process.stdout as output, self.log.open("w", encoding="utf-8") as file:
            for line in output:
                file.write(line)
                file.flush()
                with self._lock:
                    self._said.append(line.rstrip())
