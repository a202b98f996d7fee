"""Real processes, as a person starts them: a stand-in GitHub and `triora up`."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping
from pathlib import Path

import httpx
import psutil
import pytest

from deploy.sandbox.sandbox import SECRET, Sandbox
from tests.contract.judge import judged
from tests.waiting import until

ROOT = Path(__file__).parents[2]
TRIORA = str(Path(sys.executable).with_name("triora"))
# Loading a model on a busy machine takes its time; nothing below asserts how long.
PATIENCE = 170.0


class Up:
    """One `triora up` in a DATA_DIR, and what it prints."""

    def __init__(self, environment: Mapping[str, str], directory: Path) -> None:
        self.environment = dict(environment)
        self.lines: list[str] = []
        self.process = subprocess.Popen(
            [TRIORA, "up"],
            env=self.environment,
            cwd=directory,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        assert self.process.stdout is not None
        with self.process.stdout as output:
            self.lines.extend(line.rstrip("\n") for line in output)

    def said(self, text: str) -> str | None:
        """The last line with `text` in it."""
        return next((line for line in reversed(list(self.lines)) if text in line), None)

    def wait_for(self, text: str) -> str:
        """Wait for a line; fails at once when the process ends without saying it."""

        def heard() -> str | None:
            ended = self.process.poll() is not None
            line = self.said(text)
            assert line or not ended, "ended:\n" + "\n".join(self.lines[-20:])
            return line

        return until(heard, repr(text), PATIENCE)

    def pid(self, name: str) -> int | None:
        """Process id of a part, as the pid file has it; None before it is written."""
        path = Path(self.environment["TRIORA_DATA_DIR"]) / "run" / f"{name}.pid"
        try:
            return int(path.read_text())
        except (FileNotFoundError, ValueError):
            return None

    def healthy(self) -> bool:
        """True when the receiver answers."""
        url = f"http://127.0.0.1:{self.environment['TRIORA_PORT']}/healthz"
        with contextlib.suppress(httpx.HTTPError):
            return httpx.get(url, trust_env=False, timeout=5).is_success
        return False

    def end(self) -> int:
        """SIGTERM; the exit code."""
        self.process.send_signal(signal.SIGTERM)
        code = self.process.wait(PATIENCE)
        self._reader.join()
        return code


def processes_of(data_dir: str) -> list[psutil.Process]:
    """Every living process that was started with this DATA_DIR."""
    found = []
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error):
            # Valkey writes its title over its environment; the title names its socket.
            ours = process.environ().get("TRIORA_DATA_DIR") == data_dir
            if (ours or f"{data_dir}/" in " ".join(process.cmdline())) and (
                process.status() != psutil.STATUS_ZOMBIE
            ):
                found.append(process)
    return found


def free_port() -> int:
    """A port nobody listens on right now."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return int(probe.getsockname()[1])


@contextlib.contextmanager
def stand_in(directory: Path) -> Iterator[tuple[Sandbox, dict[str, str]]]:
    """A stand-in GitHub, and the environment of a Triora that serves it."""
    port = free_port()
    data_dir = directory / "data"
    data_dir.mkdir()
    # Converted once for all tests and all runs.
    weights = ROOT / ".cache" / "models"
    weights.mkdir(parents=True, exist_ok=True)
    (data_dir / "models").symlink_to(weights)
    with Sandbox(webhook_url=f"http://127.0.0.1:{port}/webhooks/github") as github, judged(github):
        key = directory / "app.pem"
        key.write_text(github.private_key)
        yield (
            github,
            {
                **{k: v for k, v in os.environ.items() if not k.startswith("TRIORA_")},
                "TRIORA_APP_ID": str(github.app_id),
                "TRIORA_PRIVATE_KEY": str(key),
                "TRIORA_WEBHOOK_SECRET": SECRET,
                "TRIORA_GITHUB_API_URL": github.api_url,
                "TRIORA_DATA_DIR": str(data_dir),
                "TRIORA_PORT": str(port),
                "TRIORA_THRESHOLD": "0",
                "TRIORA_WRITE_SPACING_SECONDS": "0",
                "TRIORA_SWEEP_SECONDS": "1",
            },
        )
    for process in processes_of(str(data_dir)):
        process.kill()


@pytest.fixture(scope="module")
def standing(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Sandbox, Up]]:
    """Everything running with the model loaded, shared by the tests of a module."""
    directory = tmp_path_factory.mktemp("up")
    with stand_in(directory) as (github, environment):
        up = Up(environment, directory)
        try:
            up.wait_for("model.ready")
            until(up.healthy, "the receiver", PATIENCE)
            yield github, up
        finally:
            up.end()
