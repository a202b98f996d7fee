from __future__ import annotations

import json
import os
import re
import socket
import subprocess
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import psutil
import pytest

from app import pidfile
from app.db.migrate import upgrade
from app.db.session import Database
from app.db.tables import Application, Decision, Installation, IssueSnapshot, Prediction, Repository
from deploy.sandbox.standin import key_pair
from tests.waiting import until

TRIORA = str(Path(sys.executable).with_name("triora"))
T0 = datetime(2026, 11, 1, 12, tzinfo=UTC)
Command = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def triora(tmp_path: Path) -> Command:
    """Runs the command in an empty directory, with the settings given as keywords and no others."""

    def run(*arguments: str, **settings: object) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [TRIORA, *arguments],
            cwd=tmp_path,
            env=environment(**settings),
            capture_output=True,
            text=True,
            check=False,
        )

    return run


def environment(**settings: object) -> dict[str, str]:
    clean = {k: v for k, v in os.environ.items() if not k.startswith("TRIORA_")}
    return clean | {f"TRIORA_{name.upper()}": str(value) for name, value in settings.items()}


def one_line(done: subprocess.CompletedProcess[str]) -> str:
    """The one line a mistake is worth."""
    assert done.returncode == 2, done.stderr
    assert done.stdout == ""
    (line,) = done.stderr.splitlines()
    assert line.startswith("triora: ")
    return line


@pytest.mark.parametrize(
    ("command", "settings", "said"),
    [
        ("serve", {}, "TRIORA_WEBHOOK_SECRET is not set"),
        ("up", {}, "TRIORA_APP_ID is not set"),
        ("up", {"app_id": 1}, "TRIORA_PRIVATE_KEY is not set"),
        ("up", {"app_id": 1, "private_key": "no.pem"}, "TRIORA_PRIVATE_KEY is neither PEM text"),
        (
            "up",
            {"app_id": 1, "private_key": "-----BEGIN RSA PRIVATE KEY-----\nx"},
            "TRIORA_PRIVATE_KEY is not a PEM private key",
        ),
        (
            "up",
            {
                "app_id": 1,
                "private_key": key_pair()[0],
                "webhook_secret": "s" * 32,
                "broker_url": "redis://:topsecret@127.0.0.1:1/0",
            },
            "the broker does not answer",
        ),
        ("serve", {"port": "http"}, "TRIORA_PORT: Input should be a valid integer"),
        ("migrate", {"port": 99999}, "TRIORA_PORT: Input should be less than or equal to 65535"),
        ("migrate", {"database_url": "mysql://u:topsecret@db/x"}, "mysql is not supported"),
        ("migrate", {"data_dir": "/proc/nowhere"}, "TRIORA_DATA_DIR /proc/nowhere cannot be made"),
        (
            "migrate",
            {"database_url": "postgresql://u:topsecret@127.0.0.1:1/x"},
            "does not answer",
        ),
        ("predictions", {}, "run `triora migrate`"),
        ("worker", {}, "run `triora migrate`"),
        ("doctor", {"port": "x"}, ""),
    ],
)
def test_a_mistake_is_one_line_that_names_the_setting(
    triora: Command, command: str, settings: dict[str, object], said: str
) -> None:
    done = triora(command, **settings)
    if command == "doctor":
        assert done.returncode == 1
        assert "TRIORA_PORT" in done.stdout
        assert done.stderr == ""
        return
    assert said in one_line(done)
    assert "topsecret" not in done.stderr


def test_a_port_in_use_is_named(triora: Command) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        said = one_line(triora("serve", "--port", str(port), webhook_secret="s" * 32))
    assert f"127.0.0.1 port {port}" in said


def test_a_broken_env_file_is_one_line(triora: Command, tmp_path: Path) -> None:
    (tmp_path / ".env").write_bytes(b"TRIORA_APP_ID=\xff\xfe")
    assert ".env cannot be read" in one_line(triora("migrate"))


def test_the_receiver_runs_alone_until_it_is_asked_to_end(tmp_path: Path) -> None:
    settings = environment(webhook_secret="s" * 32, data_dir=tmp_path / "data")
    with subprocess.Popen(
        [TRIORA, "serve", "--port", "0"], env=settings, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stderr is not None
        address = next(line for line in process.stderr if line.startswith("listening on"))
        host, port = re.findall(r"http://(.*):(\d+)", address)[0]
        with socket.create_connection((host, int(port))) as connection:
            connection.sendall(b"GET /healthz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
            assert connection.makefile("rb").readline() == b"HTTP/1.1 200 OK\r\n"
        valkey = until(
            lambda: [p for p in psutil.Process(process.pid).children() if "valkey" in p.name()],
            "the embedded broker",
        )
        process.terminate()
        process.stderr.read()
        assert process.wait() == 0
    assert not any(p.is_running() for p in valkey)


def test_up_refuses_beside_a_receiver_and_leaves_its_broker_alone(
    triora: Command, tmp_path: Path
) -> None:
    ours = {"webhook_secret": "s" * 32, "data_dir": tmp_path / "data"}
    with subprocess.Popen(
        [TRIORA, "serve", "--port", "0"],
        env=environment(**ours),
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stderr is not None
        assert any(line.startswith("listening on") for line in process.stderr)
        held = tmp_path / "data" / "run" / "broker.pid"
        pid = pidfile.holder(held)
        done = triora("up", "--port", "0", app_id=1, private_key=key_pair()[0], **ours)
        assert "`triora serve` or `triora worker` uses" in one_line(done)
        assert pid is not None
        assert pidfile.holder(held) == pid
        process.terminate()
        process.stderr.read()


def test_up_on_a_taken_port_ends_nothing_left_over(triora: Command, tmp_path: Path) -> None:
    stray = tmp_path / "data" / "run" / "triage.pid"
    with (
        subprocess.Popen(
            [sys.executable, "-m", "app.launch", str(stray), sys.executable, "-c", "input()"],
            stdin=subprocess.PIPE,
        ) as process,
        socket.create_server(("127.0.0.1", 0)) as taken,
    ):
        until(lambda: pidfile.holder(stray), "the process left over")
        said = one_line(
            triora(
                "up",
                app_id=1,
                private_key=key_pair()[0],
                webhook_secret="s" * 32,
                data_dir=tmp_path / "data",
                port=taken.getsockname()[1],
            )
        )
        assert "cannot listen" in said
        assert pidfile.holder(stray) == process.pid
        process.communicate(b"\n")


def test_nobody_else_reads_what_is_written(triora: Command, tmp_path: Path) -> None:
    done = triora("migrate", data_dir="kept/here")
    assert done.returncode == 0, done.stderr
    made = [path for path in tmp_path.rglob("*") if path.is_relative_to(tmp_path / "kept")]
    assert tmp_path / "kept/here/triora.db" in made
    assert {path.name: oct(path.stat().st_mode & 0o077) for path in made} == dict.fromkeys(
        (path.name for path in made), "0o0"
    )


def test_migrating_twice_changes_nothing(triora: Command) -> None:
    first = triora("migrate", data_dir="here")
    second = triora("migrate", data_dir="here")
    assert first.returncode == second.returncode == 0
    assert first.stdout == second.stdout != ""


def test_the_command_itself_imports_nothing_that_only_one_command_needs() -> None:
    heavy = {"alembic", "githubkit", "sqlalchemy", "celery", "fastapi", "uvicorn", "torch"}
    script = "import sys, app.cli; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert heavy & set(done.stdout.split()) == set()
    assert "app.cli" in done.stdout


def test_help_lists_the_commands_of_every_package(triora: Command) -> None:
    done = triora("--help", COLUMNS=100)
    for command in ("up", "serve", "worker", "migrate", "doctor", "classify", "predictions"):
        assert re.search(rf"\b{command}\b", done.stdout), command
    assert done.stderr == ""


def test_predictions_tell_what_was_decided_and_written(triora: Command, tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'triora.db'}"
    upgrade(url)
    database = Database(url)
    with database.transaction() as session:
        session.add(Installation(id=1, account="octo", created_at=T0))
        session.flush()
        session.add(Repository(id=1, installation_id=1, full_name="octo/game", private=False))
        session.flush()
        for number, state in ((1, "superseded"), (1, "done"), (2, "pending"), (3, "dead")):
            session.add(_snapshot(number, state))
        session.flush()
        prediction = Prediction(
            snapshot_id=2,
            dimension="severity",
            model_version="m/1",
            scores={"high": 0.75, "low": 0.25},
            created_at=T0,
        )
        session.add(prediction)
        session.flush()
        session.add(
            Decision(
                prediction_id=prediction.id,
                action="apply",
                labels=["high"],
                reason="confident",
                created_at=T0,
            )
        )
        session.add(
            Application(
                snapshot_id=2,
                model_version="m/1",
                run_id="r",
                state="done",
                due_at=T0,
                wanted={"severity": ["severity: high"]},
                written=["severity: high"],
                created_at=T0,
                applied_at=T0,
            )
        )
    database.close()
    done = triora("predictions", database_url=url)
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    assert [(line["number"], line["stage"]) for line in lines] == [
        (1, "done"),
        (2, "waiting"),
        (3, "dead"),
    ]
    assert lines[0]["dimensions"]["severity"] == {
        "probabilities": {"high": 0.75, "low": 0.25},
        "shifted": None,
        "action": "apply",
        "labels": ["high"],
        "reason": "confident",
    }
    assert lines[0]["written"] == ["severity: high"]
    assert lines[0]["labelled_at"] == "2026-11-01T12:00:00Z"
    assert lines[2]["error"] == "Gone: it is not there"
    assert triora("predictions", "--repository", "octo/else", database_url=url).stdout == ""


def _snapshot(number: int, state: str) -> IssueSnapshot:
    return IssueSnapshot(
        repository_id=1,
        issue_number=number,
        author="rita",
        title="a title",
        body="",
        content_hash=f"{number}{state}",
        observed_at=T0,
        created_at=T0,
        due_at=T0,
        state=state,
        error="Gone: it is not there" if state == "dead" else None,
    )


def test_an_environment_without_secrets_in_what_is_printed(triora: Command) -> None:
    key, _ = key_pair()
    done = triora(
        "doctor",
        private_key=key,
        app_id=1,
        webhook_secret="a-very-secret-secret",
        github_api_url="http://127.0.0.1:1/api/v3",
        broker_url="redis://:brokerpass@127.0.0.1:1/0",
        database_url="postgresql://u:dbpass@127.0.0.1:1/x",
    )
    assert done.returncode == 1
    said = done.stdout + done.stderr
    for secret in ("a-very-secret", "brokerpass", "dbpass", key.splitlines()[1]):
        assert secret not in said
