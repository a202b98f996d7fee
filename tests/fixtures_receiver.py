"""A real receiver over HTTP on loopback: uvicorn in a thread of the test process."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import httpx
import pytest
import uvicorn
from pydantic import SecretStr

from app import broker
from app.core.settings import Settings
from app.web.server import create_app
from tests.waiting import until
from tests.webhooks import SECRET

# Nobody listens on port 1: a broker that is down.
NO_BROKER = "redis://127.0.0.1:1/0"

StartReceiver = Callable[..., httpx.Client]


@pytest.fixture
def start_receiver() -> Iterator[StartReceiver]:
    """`start_receiver(database_url, **settings)` -> a client of a running receiver."""
    with ExitStack() as running:

        def start(database_url: str, **values: object) -> httpx.Client:
            return running.enter_context(serve(database_url, **values))

        yield start


@pytest.fixture
def receiver(start_receiver: StartReceiver, database_url: str) -> httpx.Client:
    """A client of a receiver on each database; the broker is down."""
    return start_receiver(database_url)


@pytest.fixture
def sqlite_receiver(start_receiver: StartReceiver, sqlite_url: str) -> httpx.Client:
    """A client of a receiver on SQLite; the broker is down."""
    return start_receiver(sqlite_url)


@pytest.fixture
def valkey_url() -> Iterator[str]:
    """Broker URL of a running embedded Valkey."""
    # A socket's path has at most 107 characters; pytest's directories are longer.
    with TemporaryDirectory(prefix="triora-") as short:
        settings = Settings(_env_file=None, data_dir=Path(short))
        with broker.embedded(settings):
            yield settings.celery_broker_url


@contextmanager
def serve(database_url: str, **values: object) -> Iterator[httpx.Client]:
    """A client of a receiver that runs while the block does. `values` are further settings."""
    given = {"webhook_secret": SecretStr(SECRET), "broker_url": NO_BROKER} | values
    settings = Settings(_env_file=None, database_url=database_url, **given)
    with socket.create_server(("127.0.0.1", 0)) as listening:
        server = uvicorn.Server(
            uvicorn.Config(create_app(settings), log_config=None, access_log=False)
        )
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]})
        thread.start()
        try:
            until(lambda: server.started or not thread.is_alive(), "the receiver to start")
            address = f"http://127.0.0.1:{listening.getsockname()[1]}"
            # The time-out is generous: these tests share two cores with others.
            with httpx.Client(base_url=address, timeout=60, trust_env=False) as client:
                yield client
        finally:
            server.should_exit = True
            thread.join()
