from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
import pytest

from app import broker, pidfile, queue
from app.core.errors import ConfigProblem
from app.core.settings import SOCKET_BYTES, Settings
from tests.waiting import until

USER = """
import sys
from app import broker
from app.core.settings import Settings

with broker.embedded(Settings(data_dir=sys.argv[1])):
    print("in", flush=True)
    sys.stdin.readline()
"""


@pytest.fixture
def settings(tmp_path: Path) -> Iterator[Settings]:
    settings = Settings(data_dir=tmp_path / "data")
    yield settings
    pidfile.end(broker.pid_path(settings), grace=5)
    if settings.broker_socket.parent != settings.data_dir.resolve():
        settings.broker_socket.unlink(missing_ok=True)


@contextmanager
def another_process(settings: Settings) -> Iterator[subprocess.Popen[str]]:
    """A process that uses the broker until it reads a line."""
    with subprocess.Popen(
        [sys.executable, "-c", USER, str(settings.data_dir)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            assert process.stdout is not None
            assert "in\n" in process.stdout
            yield process
        finally:
            process.kill()


def leave(process: subprocess.Popen[str]) -> None:
    process.communicate("out\n", timeout=60)
    assert process.returncode == 0


def server(settings: Settings) -> int | None:
    return pidfile.holder(broker.pid_path(settings))


def sent_and_waiting(settings: Settings) -> int:
    celery = queue.build(settings)
    with celery.connection_for_write() as connection:
        channel = connection.default_channel
        return int(channel._size(str(queue.Queue.TRIAGE)))


def test_starts_in_the_data_directory_and_ends_with_its_only_user(settings: Settings) -> None:
    with broker.embedded(settings):
        assert broker.answers(settings.celery_broker_url) is None
        pid = server(settings)
        assert pid is not None
        assert not psutil.Process(pid).net_connections("tcp")
        assert settings.broker_socket.parent == settings.data_dir.resolve()
    assert not psutil.pid_exists(pid)
    assert server(settings) is None


def test_messages_outlive_the_server(settings: Settings) -> None:
    with broker.embedded(settings):
        assert queue.ring(queue.build(settings), queue.Task.TRIAGE)
    with broker.embedded(settings):
        assert sent_and_waiting(settings) == 1


def test_the_last_user_ends_the_server_not_the_one_that_started_it(settings: Settings) -> None:
    with another_process(settings) as first, another_process(settings) as second:
        pid = server(settings)
        leave(first)
        assert server(settings) == pid
        assert broker.answers(settings.celery_broker_url) is None
        leave(second)
        assert server(settings) is None


def test_the_server_of_a_killed_user_is_adopted(settings: Settings) -> None:
    with another_process(settings) as process:
        pid = server(settings)
        process.kill()
        process.wait()
    assert server(settings) == pid
    with broker.embedded(settings):
        assert server(settings) == pid
    assert server(settings) is None


def test_a_killed_server_is_started_again_by_the_next_user(settings: Settings) -> None:
    with another_process(settings):
        pid = server(settings)
        assert pid is not None
        os.kill(pid, signal.SIGKILL)
        until(lambda: server(settings) is None, "the server's end")
        with broker.embedded(settings):
            assert server(settings) not in (None, pid)
            assert broker.answers(settings.celery_broker_url) is None


def test_a_data_directory_too_deep_for_a_socket_gets_a_private_short_path(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    with tempfile.TemporaryDirectory(prefix="t") as short:
        monkeypatch.setattr(tempfile, "tempdir", short)
        deep = settings.model_copy(update={"data_dir": settings.data_dir / ("d" * 110)})
        with broker.embedded(deep):
            directory = deep.broker_socket.parent
            assert directory.parent == Path(short)
            assert directory.stat().st_mode & 0o777 == 0o700
            assert broker.answers(deep.celery_broker_url) is None
        other = settings.model_copy(update={"data_dir": settings.data_dir / ("e" * 110)})
        assert other.broker_socket != deep.broker_socket


def test_a_socket_directory_open_to_others_is_refused(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    with tempfile.TemporaryDirectory(prefix="t") as short:
        monkeypatch.setattr(tempfile, "tempdir", short)
        deep = settings.model_copy(update={"data_dir": settings.data_dir / ("d" * 110)})
        deep.broker_socket.parent.mkdir()
        deep.broker_socket.parent.chmod(0o777)
        with (
            pytest.raises(ConfigProblem, match="does not belong to this user alone"),
            broker.embedded(deep),
        ):
            pass


@pytest.mark.parametrize("name", ["a b", "50% off", "what?#", "ünï"])
def test_celery_reaches_it_whatever_the_directory_is_called(tmp_path: Path, name: str) -> None:
    settings = Settings(data_dir=tmp_path / name)
    assert len(os.fsencode(settings.broker_socket)) <= SOCKET_BYTES
    with broker.embedded(settings):
        assert broker.answers(settings.celery_broker_url) is None
        assert queue.ring(queue.build(settings), queue.Task.LABEL)


def test_an_own_broker_is_left_alone(tmp_path: Path) -> None:
    settings = Settings(data_dir=tmp_path, broker_url="redis://127.0.0.1:1/0")
    with broker.embedded(settings):
        assert server(settings) is None
    problem = broker.answers(settings.celery_broker_url)
    assert problem is not None
    assert "ConnectionError" in problem


def test_a_server_that_cannot_start_is_a_clear_error(settings: Settings) -> None:
    damaged = settings.data_dir / "valkey" / "appendonlydir"
    damaged.parent.mkdir(parents=True)
    damaged.write_text("not a directory")
    with pytest.raises(ConfigProblem, match=r"broker\.log"), broker.embedded(settings):
        pass
