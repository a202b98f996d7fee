"""The two receivers, each as its documentation says to run it, and what became of deliveries."""

from __future__ import annotations

import os
import socket
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx
import psutil
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from sqlalchemy import create_engine, make_url, text

from app.db.migrate import upgrade
from tests.load import node
from tests.system.conftest import TRIORA
from tests.webhooks import PATH, SECRET

START_SECONDS = 60


@dataclass(frozen=True)
class Receiver:
    """A running receiver on a database of its own."""

    name: str
    port: int
    path: str
    process: psutil.Process
    url: str
    numbers: str

    def memory(self) -> float:
        """Resident MB of all its processes."""
        family = [self.process, *self.process.children(recursive=True)]
        return sum(one.memory_info().rss for one in family) / 2**20

    def processes(self) -> list[str]:
        """Their names."""
        return [one.name() for one in [self.process, *self.process.children(recursive=True)]]

    def cpu(self) -> float:
        """Seconds of processor time its main process has used."""
        used = self.process.cpu_times()
        return float(used.user + used.system)

    def stored(self) -> set[int]:
        """Numbers of the issues in its database."""
        engine = create_engine(self.url)
        try:
            with engine.connect() as connection:
                return set(connection.scalars(text(self.numbers)))
        finally:
            engine.dispose()


@contextmanager
def triora(url: str, folder: Path) -> Iterator[Receiver]:
    """`triora serve`, with the embedded broker."""
    upgrade(url)
    port = _free_port()
    environment = {
        "TRIORA_DATABASE_URL": url,
        "TRIORA_DATA_DIR": str(folder / "data"),
        "TRIORA_WEBHOOK_SECRET": SECRET,
        "TRIORA_PORT": str(port),
    }
    with _running([TRIORA, "serve"], environment, folder, port, "/healthz") as process:
        numbers = "SELECT issue_number FROM issue_snapshot"
        yield Receiver("Triora", port, PATH, process, url, numbers)


@contextmanager
def probot(url: str, folder: Path) -> Iterator[Receiver]:
    """`probot run` with NODE_ENV=production."""
    app = node.ensure()
    port = _free_port()
    key = rsa.generate_private_key(65537, 2048).private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.TraditionalOpenSSL,
        serialization.NoEncryption(),
    )
    environment = {
        "NODE_ENV": "production",
        "APP_ID": "1",
        "PRIVATE_KEY": key.decode(),
        "WEBHOOK_SECRET": SECRET,
        "HOST": "127.0.0.1",
        "PORT": str(port),
        "DATABASE_URL": _for_node(url),
    }
    command = [str(node.node()), "node_modules/probot/bin/probot.js", "run", "./app.js"]
    with _running(command, environment, folder, port, "/ping", app) as process:
        numbers = "SELECT number FROM issue"
        yield Receiver("Probot", port, "/api/github/webhooks", process, url, numbers)


def _for_node(url: str) -> str:
    parsed = make_url(url)
    if parsed.get_backend_name() == "sqlite":
        return str(parsed.database)
    return f"postgres://{parsed.username}@/{parsed.database}?host={parsed.query['host']}"


@contextmanager
def _running(
    command: Sequence[str],
    environment: Mapping[str, str],
    folder: Path,
    port: int,
    page: str,
    where: Path | None = None,
) -> Iterator[psutil.Process]:
    folder.mkdir(parents=True, exist_ok=True)
    log = folder / "receiver.log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            command,
            env=os.environ | environment,
            cwd=where or folder,
            stdout=output,
            stderr=subprocess.STDOUT,
        )
    try:
        deadline = time.monotonic() + START_SECONDS
        while not _answers(port, page):
            if process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"{command[0]} did not start:\n{log.read_text()[-2000:]}")
            time.sleep(0.05)
        yield psutil.Process(process.pid)
    finally:
        process.terminate()
        try:
            process.wait(30)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _answers(port: int, page: str) -> bool:
    try:
        return httpx.get(f"http://127.0.0.1:{port}{page}", trust_env=False, timeout=5).is_success
    except httpx.HTTPError:
        return False


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as free:
        return int(free.getsockname()[1])
