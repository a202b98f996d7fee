"""The stage of the demo: a stand-in GitHub and `triora up`, started, awaited and ended together."""

from __future__ import annotations

import json
import secrets
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import httpx

from deploy.sandbox.demo.processes import Process
from deploy.sandbox.remote import Remote

T = TypeVar("T")
HOST = "127.0.0.1"
# What a person may want to try out in the demo; every other TRIORA_ setting is the demo's own.
KEPT = ("MODEL", "ADAPTER", "DEVICE", "BATCH_SIZE", "LOG_LEVEL")
Progress = Callable[[str], None]


class DemoFailed(Exception):
    """The demo cannot go on; the text says why, with the last lines of who failed."""


@dataclass(frozen=True)
class Stage:
    """What runs: the stand-in (played through `github`) and Triora."""

    github: Remote
    processes: tuple[Process, Process]
    environment: Mapping[str, str]
    directory: Path
    # From the start of `triora up` until its model was loaded.
    loading_seconds: float

    def check(self) -> None:
        """DemoFailed when a process has ended by itself."""
        for process in self.processes:
            if process.ended is not None:
                raise DemoFailed(
                    f"{process.name} ended with exit code {process.ended}. "
                    f"Its last lines ({process.log}):\n{process.last_lines}"
                )

    def predictions(self) -> list[dict[str, Any]]:
        """What Triora stored, an entry an issue, through its own command."""
        done = subprocess.run(
            [_triora(), "predictions"],
            env=dict(self.environment),
            cwd=self.directory,
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode:
            raise DemoFailed(f"triora predictions: {done.stderr.strip()}")
        return [json.loads(line) for line in done.stdout.splitlines()]


@contextmanager
def standing(
    data_dir: Path,
    environment: Mapping[str, str],
    *,
    port: int = 0,
    receiver_port: int = 0,
    patience: float,
    progress: Progress,
) -> Iterator[Stage]:
    """Both processes, ready for issues; none of them is left when the block is over.

    The database is a fresh one, since the stand-in begins afresh too; converted weights stay in
    `data_dir`. DemoFailed when a process ends or needs longer than `patience` seconds.
    """
    data_dir = data_dir.resolve()
    receiver = receiver_port or _free_port()
    with ExitStack() as stack:
        fresh = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="triora-demo-")))
        secret = secrets.token_hex(32)
        progress("Starting a stand-in GitHub")
        standin = stack.enter_context(
            Process(
                "the stand-in GitHub",
                [
                    *(sys.executable, "-m", "deploy.sandbox"),
                    *("--port", str(port)),
                    *("--webhook-url", f"http://{HOST}:{receiver}/webhooks/github"),
                    *("--private-key-out", str(fresh / "app.pem")),
                ],
                {**environment, "SANDBOX_WEBHOOK_SECRET": secret},
                data_dir / "logs" / "github.log",
            )
        )
        told = json.loads(_wait(standin, lambda: standin.said('"api_url"'), patience))
        github = Remote(told["url"])
        stack.callback(github.close)
        ours = _settings(environment, data_dir, fresh, told, receiver, secret)
        progress("Starting Triora: database, broker, receiver and workers")
        begun = time.monotonic()
        triora = stack.enter_context(
            Process("triora up", [_triora(), "up"], ours, data_dir / "logs" / "triora.log", fresh)
        )
        _wait(triora, lambda: _answers(f"http://{HOST}:{receiver}/healthz"), patience)
        progress("Loading the language model (the first time its weights are converted)")
        _wait(triora, lambda: triora.said("model.ready"), patience)
        yield Stage(github, (standin, triora), ours, fresh, time.monotonic() - begun)


def _settings(
    environment: Mapping[str, str],
    data_dir: Path,
    fresh: Path,
    told: Mapping[str, Any],
    receiver: int,
    secret: str,
) -> dict[str, str]:
    inherited = {k: v for k, v in environment.items() if not k.startswith("TRIORA_")}
    kept = {f"TRIORA_{name}": environment.get(f"TRIORA_{name}") for name in KEPT}
    return {
        **inherited,
        **{name: value for name, value in kept.items() if value},
        # Every dimension gets its best guess: the demo shows what the model thinks.
        "TRIORA_THRESHOLD": "0",
        "TRIORA_APP_ID": str(told["app_id"]),
        "TRIORA_PRIVATE_KEY": str(fresh / "app.pem"),
        "TRIORA_WEBHOOK_SECRET": secret,
        "TRIORA_GITHUB_API_URL": told["api_url"],
        "TRIORA_DATABASE_URL": f"sqlite:///{fresh / 'demo.db'}",
        "TRIORA_DATA_DIR": str(data_dir),
        "TRIORA_HOST": HOST,
        "TRIORA_PORT": str(receiver),
        # The stand-in's limits are those of GitHub, its patience is not.
        "TRIORA_WRITE_SPACING_SECONDS": "0",
    }


def _triora() -> str:
    return str(Path(sys.executable).with_name("triora"))


def _free_port() -> int:
    with socket.create_server((HOST, 0)) as probe:
        return int(probe.getsockname()[1])


def _answers(url: str) -> bool:
    try:
        return httpx.get(url, timeout=5, trust_env=False).is_success
    except httpx.HTTPError:
        return False


def _wait(process: Process, condition: Callable[[], T | None], patience: float) -> T:
    deadline = time.monotonic() + patience
    while not (value := condition()):
        if process.ended is not None:
            raise DemoFailed(
                f"{process.name} ended with exit code {process.ended}:\n{process.last_lines}"
            )
        if time.monotonic() > deadline:
            raise DemoFailed(
                f"{process.name} was not ready within {patience:.0f} s:\n{process.last_lines}"
            )
        time.sleep(0.1)
    return value
