"""A whole run of all processes: no secret anywhere, no issue's text but where it is kept."""

from __future__ import annotations

import json
import os
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from sqlalchemy import select

from app import broker
from app.core.settings import Settings
from app.db import learning  # noqa: F401 - its tables belong to the base
from app.db.learning import Command
from app.db.session import Database
from app.db.tables import Application, Base
from deploy.sandbox.remote import PROJECT
from deploy.sandbox.sandbox import SECRET, Sandbox
from tests import webhooks
from tests.system.conftest import PATIENCE, TRIORA, stand_in
from tests.system.line import LABELS, TRIAGE, Line, line, save_small_model, worker_environment
from tests.waiting import until

PREVIOUS = "the-webhook-secret-before-this-one"
PASSWORD = "a-password-in-a-url"
# Stands in every text that a person writes.
MARK = "xyzzy"
# The only columns that hold what people wrote; an outcome quotes a command that made no sense.
KEPT = {
    ("issue_snapshot", "title"),
    ("issue_snapshot", "body"),
    ("command", "lines"),
    ("command", "outcome"),
}
# Installation tokens, personal tokens, and what an App signs in with.
TOKEN = re.compile(r"gh[opsur]_[A-Za-z0-9._-]{20,}|github_pat_\w{20,}|eyJ[A-Za-z0-9_-]{10,}\.")


def secrets(github: Sandbox) -> list[str]:
    """Everything nobody may read, also as JSON and URLs would spell it."""
    lines = [line for line in github.private_key.splitlines() if not line.startswith("-")]
    return [
        SECRET,
        json.dumps(SECRET)[1:-1],
        SECRET.replace(" ", "%20"),
        PREVIOUS,
        PASSWORD,
        *lines,
    ]


def leaks(text: str, github: Sandbox) -> list[str]:
    """What of it stands in a text."""
    found = [secret for secret in secrets(github) if secret in text]
    return found + [match[:12] for match in TOKEN.findall(text)]


def provoke(client: httpx.Client) -> Iterator[str]:
    """What the receiver says to whoever asks, and to those who ask for trouble."""
    marked = json.dumps({"action": MARK, "issue": {"title": MARK, "number": MARK}}).encode()
    forms = [
        (marked, {}),
        (marked[:-1], {}),
        (f"[{MARK}".encode(), {}),
        (marked, {"X-Hub-Signature-256": "sha256=" + "0" * 64}),
        (marked, {"X-Hub-Signature-256": webhooks.sign(MARK, marked)}),
        (marked, {"X-GitHub-Delivery": f"{MARK} {MARK}"}),
        (marked, {"Content-Type": f"text/{MARK}"}),
    ]
    for body, changed in forms:
        sent = webhooks.headers("issues", body, secret=SECRET) | changed
        try:
            answer = client.post(webhooks.PATH, content=body, headers=sent)
        except httpx.HTTPError:
            continue
        yield f"{answer.headers}{answer.text}"
    for path in ("/", "/healthz", "/readyz", "/metrics", "/openapi.json", "/docs", f"/{SECRET}"):
        answer = client.get(path)
        yield f"{answer.headers}{answer.text.replace(SECRET, '')}"
    yield client.delete(webhooks.PATH).text


def written(directory: Path, database: Path) -> Iterator[tuple[str, str]]:
    """Every file the run left behind but the key, the database and the model, with its text."""
    for folder, names, files in os.walk(directory):
        names[:] = [name for name in names if not Path(folder, name).is_symlink()]
        for path in (Path(folder, name) for name in files):
            kept = path.name.startswith(database.name) or path.suffix == ".pem"
            if path.is_file() and not kept:
                yield path.name, path.read_bytes().decode(errors="replace")


def stored(database: Database) -> Iterator[tuple[tuple[str, str], str]]:
    """Every value of every column of every table, as text."""
    with database.reading() as session:
        for table in Base.metadata.sorted_tables:
            for row in session.execute(select(table)):
                for column, value in row._mapping.items():
                    yield (table.name, str(column)), str(value)


def said(environment: dict[str, str], *arguments: str) -> subprocess.CompletedProcess[bytes]:
    """Run a command; what it prints is this test's own output, which is looked through too."""
    return subprocess.run([TRIORA, *arguments], env=environment, check=False)


def live(github: Sandbox, made: Line) -> None:
    """Issues with everything that leaves traces: labels, commands, outages, lost tokens."""
    made.start_receiver()
    made.start(TRIAGE)
    made.start(LABELS)
    github.fault("POST /repos/*/*/issues/*/labels", "status", status=500, times=1)
    number = github.open_issue(f"{MARK}-title", f"{MARK}-body", repository=PROJECT)["number"]
    made.wait_for(Application, "done")
    assert github.labels(number)
    github.revoke_tokens()
    github.comment(number, f"/severity critical {MARK}\n{MARK}")
    github.comment(number, "/triage explain")

    def answered() -> bool:
        with made.database.reading() as session:
            commands = list(session.scalars(select(Command)))
        return len(commands) == 2 and all(c.state == "done" for c in commands)

    until(answered, "both commands to be answered", PATIENCE)


def test_a_whole_run_tells_no_secret_and_no_text(
    tmp_path: Path, sqlite_url: str, capfd: pytest.CaptureFixture[str]
) -> None:
    model = save_small_model(tmp_path / "model")
    with stand_in(tmp_path) as (github, environment):
        settings = Settings(_env_file=None, data_dir=environment["TRIORA_DATA_DIR"])
        environment |= {
            "TRIORA_BROKER_URL": settings.celery_broker_url,
            "TRIORA_WEBHOOK_SECRET_PREVIOUS": PREVIOUS,
        }
        environment = worker_environment(environment, sqlite_url, model)
        with broker.embedded(settings), line(environment, tmp_path) as made:
            live(github, made)
            url = f"http://127.0.0.1:{environment['TRIORA_PORT']}"
            with httpx.Client(base_url=url, timeout=30, trust_env=False) as client:
                for page in provoke(client):
                    assert leaks(page, github) == []
                    assert MARK not in page
            for arguments in (("doctor",), ("predictions",), ("corrections", PROJECT)):
                assert said(made.environment, *arguments).returncode in (0, 1)
            # An address with a password in it, of a database that is not there.
            away = f"postgresql://triora:{PASSWORD}@127.0.0.1:1/triora"
            refused = said({**made.environment, "TRIORA_DATABASE_URL": away}, "migrate")
            assert refused.returncode == 2

            texts = dict(written(tmp_path, tmp_path / "triora.db"))
            assert "issue.labelled" in "".join(texts.values())
            assert "github.token_dropped" in "".join(texts.values())
            for name, text in texts.items():
                assert leaks(text, github) == [], name
                assert MARK not in text, name
            values = list(stored(made.database))
            assert [place for place, value in values if leaks(value, github)] == []
            assert {place for place, value in values if MARK in value} <= KEPT
            assert any(MARK in value for _, value in values)
    printed = "".join(capfd.readouterr())
    assert f'"{PROJECT}"' in printed
    assert leaks(printed, github) == []
    assert MARK not in printed
