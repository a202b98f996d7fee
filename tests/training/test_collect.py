from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from app.core.errors import ConfigProblem, GitHubUnavailable, Gone
from app.core.settings import load
from app.github.history import FiledBody, History, TimelineEvent, check_name
from app.github.models import Issue
from deploy.sandbox.sandbox import Sandbox
from tests.waiting import until
from training import dataset
from training.collect import Clock, Source, collect, state_path
from training.example import Example

# The stand-in's clock runs with ours; issues opened by a test were filed before this.
LATER = datetime.now(UTC) + timedelta(days=1)


def clock(waits: list[float] | None = None) -> Clock:
    """A clock that stands a day ahead and waits for nothing, but remembers."""
    return Clock(now=lambda: LATER, sleep=(waits if waits is not None else []).append)


def history(github: Sandbox) -> History:
    return History.with_token(github.token_of("mara"), github.api_url)


def rows(path: Path) -> list[Example]:
    return dataset.read(path).refuse_problems()


def gather(github: Sandbox, repository: str, out: Path, limit: int = 50) -> list[Example]:
    collect(lambda _: history(github), [repository], out, limit=limit, clock=clock())
    return rows(out)


def test_issues_are_kept_newest_first_without_pull_requests_and_bots(
    github: Sandbox, repository: str, tmp_path: Path
) -> None:
    github.open_issue("first", "one", repository=repository)
    path = f"/repositories/{repository}/pulls"
    github.control("POST", path, json={"title": "a change", "body": "", "author": "rita"})
    github.open_issue("by a bot", by="stale-bot[bot]", repository=repository)
    github.open_issue("second", "two", by="tom", repository=repository)
    out = tmp_path / "rows.jsonl"
    tally = collect(lambda _: history(github), [repository], out, limit=50, clock=clock())
    found = rows(out)
    assert [(e.title, e.body, e.author) for e in found] == [
        ("second", "two", "tom"),
        ("first", "one", "rita"),
    ]
    assert found[0].id == f"{repository}#{found[0].number}"
    assert found[0].filed_at is not None
    assert tally.left_out == {"pull requests": 1, "filed by bots": 1}


def test_no_more_than_the_limit_is_taken(github: Sandbox, repository: str, tmp_path: Path) -> None:
    for number in range(4):
        github.open_issue(f"issue {number}", repository=repository)
    found = gather(github, repository, tmp_path / "rows.jsonl", limit=2)
    assert [e.title for e in found] == ["issue 3", "issue 2"]


def test_the_title_is_the_one_first_written(
    github: Sandbox, repository: str, tmp_path: Path
) -> None:
    number = github.open_issue("Crash!!", repository=repository)["number"]
    github.edit_issue(number, title="Crash on start", repository=repository)
    github.edit_issue(number, title="[Linux] Crash on start", repository=repository)
    (found,) = gather(github, repository, tmp_path / "rows.jsonl")
    assert found.title == "Crash!!"
    # The stand-in tells no edits of bodies, so that nobody knows what the first one was.
    assert found.text_as_of == "collected"


def test_labels_are_kept_with_who_set_them_and_whether_it_was_a_bot(
    github: Sandbox, repository: str, tmp_path: Path
) -> None:
    number = github.open_issue(repository=repository)["number"]
    github.label(number, "crash", "stale", by="tom", repository=repository)
    github.label(number, "later", by="stale-bot[bot]", repository=repository)
    github.unlabel(number, "stale", by="mara", repository=repository)
    github.unlabel(number, "crash", by="mara", repository=repository)
    github.label(number, "crash", by="mara", repository=repository)
    (found,) = gather(github, repository, tmp_path / "rows.jsonl")
    assert [(x.name, x.by, x.by_type, x.at is not None) for x in found.github_labels] == [
        ("later", "stale-bot[bot]", "Bot", True),
        ("crash", "mara", "User", True),
    ]


def test_the_app_collects_through_its_installation(github: Sandbox, repository: str) -> None:
    github.open_issue("seen by the App", repository=repository)
    settings = load(
        app_id=github.app_id, private_key=github.private_key, github_api_url=github.api_url
    )
    assert [i.title for i in History.as_app(settings, repository).page(repository, 1)] == [
        "seen by the App"
    ]
    with pytest.raises(Gone):
        History.as_app(settings, "nobody/nothing")


class Stopped(BaseException):
    """As sudden as Ctrl-C."""


class Breaking:
    """A history that stops the process, so to speak, after so many timelines."""

    def __init__(self, inner: Source, after: int) -> None:
        self.inner = inner
        self.after = after
        self.asked: list[int] = []

    def page(self, repository: str, number: int) -> list[Issue]:
        return self.inner.page(repository, number)

    def timeline(self, repository: str, number: int) -> list[TimelineEvent]:
        if len(self.asked) == self.after:
            raise Stopped
        self.asked.append(number)
        return self.inner.timeline(repository, number)

    def filed_body(self, repository: str, number: int, body: str | None) -> FiledBody:
        return self.inner.filed_body(repository, number, body)


def test_a_resumed_collection_writes_what_an_unbroken_one_does_and_asks_for_no_row_twice(
    github: Sandbox, repository: str, tmp_path: Path
) -> None:
    for number in range(7):
        github.open_issue(f"issue {number}", repository=repository)
    whole, broken = tmp_path / "whole.jsonl", tmp_path / "broken.jsonl"
    gather(github, repository, whole)

    first = Breaking(history(github), after=3)
    with pytest.raises(Stopped):
        collect(lambda _: first, [repository], broken, limit=50, clock=clock())
    # A power cut in the middle of a line.
    with broken.open("ab") as stream:
        stream.write(b'{"id": "half a ro')
    # Opened meanwhile: not part of what was begun.
    github.skew(2 * 86400)
    github.open_issue("too late", repository=repository)

    second = Breaking(history(github), after=99)
    tally = collect(lambda _: second, [repository], broken, limit=50, clock=clock())
    assert broken.read_bytes() == whole.read_bytes()
    assert tally.resumed == 3
    assert set(first.asked).isdisjoint(second.asked)
    assert json.loads(state_path(broken).read_text())["finished"] is True


def test_a_collection_killed_with_sigkill_resumes_to_the_same_file(
    github: Sandbox, repository: str, tmp_path: Path
) -> None:
    for number in range(12):
        github.open_issue(f"issue {number}", repository=repository)
    command = [sys.executable, "-c", "from app.cli import main; main()", "collect", repository]
    environment = {
        **os.environ,
        "GITHUB_TOKEN": github.token_of("mara"),
        "TRIORA_GITHUB_API_URL": github.api_url,
        "TRIORA_DATA_DIR": str(tmp_path / "data"),
    }

    def start(out: Path) -> subprocess.Popen[bytes]:
        return subprocess.Popen(
            [*command, "--out", str(out)],
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
        )

    whole, killed = tmp_path / "whole.jsonl", tmp_path / "killed.jsonl"
    said, _ = start(whole).communicate(timeout=120)
    assert b"12 issues (0 from before" in said

    timelines = "GET /repos/*/*/issues/*/timeline"
    github.fault(timelines, "delay", times=None, seconds=0.2)
    process = start(killed)
    until(lambda: killed.exists() and killed.read_bytes().count(b"\n") >= 3, "three rows")
    process.send_signal(signal.SIGKILL)
    process.communicate(timeout=60)
    rows_before = killed.read_bytes().count(b"\n")
    assert rows_before < 12
    github.clear_faults()

    said, _ = start(killed).communicate(timeout=120)
    assert f"12 issues ({rows_before} from before".encode() in said
    assert killed.read_bytes() == whole.read_bytes()


def test_rate_limits_are_waited_out_until_the_time_github_names(
    github: Sandbox, repository: str, tmp_path: Path
) -> None:
    github.open_issue("patience", repository=repository)
    waits: list[float] = []

    def sleep(seconds: float) -> None:
        waits.append(seconds)
        github.clear_faults()

    github.limit(exhaust_seconds=1800)
    patient = Clock(now=lambda: datetime.now(UTC), sleep=sleep)
    github_history = history(github)
    # `until` must lie after the issue's time whatever the seconds' fractions are.
    patient_later = Clock(now=lambda: patient.now() + timedelta(seconds=2), sleep=sleep)
    out = tmp_path / "rows.jsonl"
    tally = collect(lambda _: github_history, [repository], out, limit=5, clock=patient_later)
    assert [e.title for e in rows(out)] == ["patience"]
    assert len(waits) == 1
    assert 1700 < waits[0] <= 1802
    assert tally.waited == waits[0]


def test_a_short_failure_is_tried_again_and_a_lasting_one_is_told(
    github: Sandbox, repository: str, tmp_path: Path
) -> None:
    github.open_issue("once more", repository=repository)
    github.fault("GET /repos/*/*/issues", "status", times=2, status=502)
    waits: list[float] = []
    out = tmp_path / "rows.jsonl"
    collect(lambda _: history(github), [repository], out, limit=5, clock=clock(waits))
    assert [e.title for e in rows(out)] == ["once more"]
    assert waits == [2, 4]

    github.fault("GET /repos/*/*/issues", "status", times=None, status=502)
    other = tmp_path / "other.jsonl"
    with pytest.raises(GitHubUnavailable, match="502"):
        collect(lambda _: history(github), [repository], other, limit=5, clock=clock(waits))


def test_a_repository_that_moved_is_one_clear_error(
    github: Sandbox, repository: str, tmp_path: Path
) -> None:
    github.change_repository(repository, name="renamed")
    with pytest.raises(ConfigProblem, match="has another name now"):
        gather(github, repository, tmp_path / "rows.jsonl")


def test_a_file_that_was_begun_otherwise_is_not_touched(
    github: Sandbox, repository: str, tmp_path: Path
) -> None:
    out = tmp_path / "rows.jsonl"
    gather(github, repository, out)
    with pytest.raises(ConfigProblem, match=r"was begun for .* --limit 50"):
        gather(github, repository, out, limit=7)
    mine = tmp_path / "mine.jsonl"
    mine.write_text("my own notes\n")
    with pytest.raises(ConfigProblem, match="is there already"):
        gather(github, repository, mine)
    assert mine.read_text() == "my own notes\n"
    state_path(out).write_text("{")
    with pytest.raises(ConfigProblem, match="is damaged"):
        gather(github, repository, out)


@pytest.mark.parametrize("name", ["godot", "a/b/c", "/b", "a/", "a b/c", "a/b?x=1", "a/../b"])
def test_what_is_no_repository_is_refused_before_any_request(name: str) -> None:
    with pytest.raises(ConfigProblem, match="write OWNER/REPO"):
        check_name(name)


class GraphQL(BaseHTTPRequestHandler):
    """Answers /api/graphql with the next answer of its server; keeps what was asked."""

    def do_POST(self) -> None:
        asked = self.rfile.read(int(self.headers["content-length"]))
        self.server.asked.append((self.path, json.loads(asked)))  # type: ignore[attr-defined]
        status, answer = self.server.answers.pop(0)  # type: ignore[attr-defined]
        body = json.dumps(answer).encode()
        self.send_response(status)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""


class Server(ThreadingHTTPServer):
    """A server with answers to give, and what it was asked."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), GraphQL)
        self.answers: list[tuple[int, Any]] = []
        self.asked: list[tuple[str, Any]] = []


@pytest.fixture
def edits() -> Iterator[tuple[Server, History]]:
    server = Server()
    thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    yield server, History.with_token("t", f"http://127.0.0.1:{server.server_port}/api/v3")
    server.shutdown()
    thread.join()
    server.server_close()


def issue(**fields: object) -> tuple[int, dict[str, Any]]:
    return 200, {"data": {"repository": {"issue": fields}}}


def kept(*bodies: str | None, deleted: str | None = None) -> dict[str, Any]:
    return {"nodes": [{"diff": body, "deletedAt": deleted} for body in bodies]}


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        (issue(lastEditedAt=None), FiledBody(True, "now")),
        (
            issue(lastEditedAt="2024", includesCreatedEdit=True, userContentEdits=kept("first")),
            FiledBody(True, "first"),
        ),
        (
            issue(lastEditedAt="2024", includesCreatedEdit=False, userContentEdits=kept("later")),
            FiledBody(False),
        ),
        (
            issue(
                lastEditedAt="2024",
                includesCreatedEdit=True,
                userContentEdits=kept(None, deleted="2024"),
            ),
            FiledBody(False),
        ),
        ((200, {"data": None, "errors": [{"type": "NOT_FOUND"}]}), FiledBody(False)),
    ],
    ids=["never edited", "edited", "first not kept", "first deleted", "refused"],
)
def test_the_first_body_is_told_where_github_kept_it(
    edits: tuple[Server, History], answer: tuple[int, Any], expected: FiledBody
) -> None:
    server, asking = edits
    server.answers.append(answer)
    assert asking.filed_body("a/b", 7, "now") == expected
    ((path, asked),) = server.asked
    assert path == "/api/graphql"
    assert asked["variables"] == {"owner": "a", "name": "b", "number": 7}


def test_a_limit_of_graphql_is_a_limit(edits: tuple[Server, History]) -> None:
    server, asking = edits
    server.answers.append((200, {"errors": [{"type": "RATE_LIMITED"}]}))
    with pytest.raises(GitHubUnavailable) as caught:
        asking.filed_body("a/b", 7, "now")
    assert caught.value.limited


def test_a_server_without_graphql_is_asked_once(edits: tuple[Server, History]) -> None:
    server, asking = edits
    server.answers.append((404, {"message": "Not Found"}))
    assert asking.filed_body("a/b", 7, "now") == FiledBody(False)
    assert asking.filed_body("a/b", 8, "now") == FiledBody(False)
    assert len(server.asked) == 1
