"""POST /webhooks/github over real HTTP: what GitHub gets to hear, and what is stored."""

import json
import shutil
import socket
from urllib.parse import urlencode

import pytest
from sqlalchemy import func, select, text
from structlog.testing import capture_logs

from app.db.migrate import upgrade
from app.db.session import Database
from app.db.tables import Delivery, IssueSnapshot
from tests.fixtures_receiver import serve
from tests.waiting import until
from tests.webhooks import PATH, SECRET, deliver, headers, issue_event, sign

MEGABYTE = 1024 * 1024


@pytest.fixture(scope="module")
def shared_url(migrated, tmp_path_factory):
    return f"sqlite:///{shutil.copy(migrated('sqlite'), tmp_path_factory.mktemp('shared'))}"


@pytest.fixture(scope="module")
def shared(shared_url):
    """A client of one receiver for all tests that leave nothing behind for the next."""
    with serve(shared_url) as client:
        yield client


@pytest.fixture
def unchanged(shared_url):
    """Holds the test to storing nothing."""
    database = Database(shared_url)
    before = stored(database)
    yield
    assert stored(database) == before
    database.close()


def stored(database, table=Delivery):
    with database.reading() as session:
        return session.scalar(select(func.count()).select_from(table))


def test_issue_is_stored_and_accepted_while_the_broker_is_down(receiver, database):
    answer = deliver(receiver, "issues", issue_event(), guid="g-1")
    assert answer.status_code == 202
    assert answer.json() == {
        "delivery": "g-1",
        "outcome": "triage",
        "reason": "the issue was opened",
        "duplicate": False,
    }
    assert (stored(database), stored(database, IssueSnapshot)) == (1, 1)


def test_duplicate_is_accepted_and_makes_no_second_job(receiver, database):
    deliver(receiver, "issues", issue_event(), guid="g-1")
    again = deliver(receiver, "issues", issue_event(), guid="g-1")
    assert (again.status_code, again.json()["duplicate"]) == (202, True)
    assert (stored(database), stored(database, IssueSnapshot)) == (1, 1)


@pytest.mark.parametrize("event", ["ping", "push", "issue_comment"])
def test_unused_event_is_accepted_and_recorded_as_ignored(receiver, database, event):
    answer = deliver(receiver, event, {"zen": "Keep it logically awesome."})
    assert (answer.status_code, answer.json()["outcome"]) == (202, "ignored")
    assert answer.json()["reason"]
    assert stored(database) == 1


def test_unexpected_shape_of_an_event_we_use_is_accepted_and_ignored(receiver):
    payload = issue_event()
    del payload["issue"]["updated_at"]
    answer = deliver(receiver, "issues", payload)
    assert (answer.status_code, answer.json()["outcome"]) == (202, "ignored")
    assert "issue.updated_at" in answer.json()["reason"]


# Who is it?


@pytest.mark.parametrize("name", ["X-GitHub-Event", "X-GitHub-Delivery", "X-Hub-Signature-256"])
def test_missing_header_is_named(shared, unchanged, name):
    answer = deliver(shared, "issues", issue_event(), **{name: None})
    assert answer.status_code == 400
    assert name in answer.json()["error"]


@pytest.mark.parametrize(
    "signature",
    [
        "sha256=" + "0" * 64,
        "sha1=" + "0" * 40,
        "",
        "sha256=",
        b"sha256=\xff\xfe\xe9",
        "sha256=" + "z" * 64,
        sign(SECRET, b"another body"),
    ],
)
def test_wrong_signature_is_refused_and_nothing_is_stored(shared, unchanged, signature):
    body = json.dumps(issue_event()).encode()
    sent = headers("issues", body) | {"X-Hub-Signature-256": signature}
    answer = shared.post(PATH, content=body, headers=sent)
    assert answer.status_code == 401
    assert "secret" in answer.json()["error"]
    assert SECRET not in answer.text


def test_both_secrets_are_accepted_during_a_rotation(start_receiver, sqlite_url):
    client = start_receiver(sqlite_url, webhook_secret="new", webhook_secret_previous="old")
    assert deliver(client, "ping", {}, secret="new").status_code == 202
    assert deliver(client, "ping", {}, secret="old").status_code == 202
    assert deliver(client, "ping", {}, secret="older").status_code == 401


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("X-GitHub-Event", ""),
        ("X-GitHub-Event", "issues; drop"),
        ("X-GitHub-Event", "x" * 101),
        ("X-GitHub-Delivery", ""),
        ("X-GitHub-Delivery", "g" * 65),
        ("X-GitHub-Delivery", "a b"),
        ("X-GitHub-Delivery", b"\xe9"),
    ],
)
def test_header_that_is_not_githubs_is_named(shared, unchanged, name, value):
    answer = deliver(shared, "issues", issue_event(), **{name: value})
    assert answer.status_code == 400
    assert name in answer.json()["error"]


# What does it say?


@pytest.mark.parametrize(
    ("body", "why"),
    [
        (b"", "not JSON"),
        (b"{", "not JSON"),
        (b"\xff\xfe", "not JSON"),
        (b'{"action": "opened",}', "not JSON"),
        (b"[" * 100_000, "not JSON"),
        (b"[]", "not an object"),
        (b'"text"', "not an object"),
        (b"null", "not an object"),
    ],
)
@pytest.mark.parametrize("event", ["issues", "ping"])
def test_malformed_payload_is_refused_with_the_reason(shared, unchanged, event, body, why):
    answer = deliver(shared, event, body)
    assert answer.status_code == 400
    assert why in answer.json()["error"]


def test_the_log_tells_a_duplicate_from_a_new_delivery(shared):
    with capture_logs() as logged:
        for _ in range(2):
            deliver(shared, "issues", issue_event(number=77), guid="twice")
    accepted = [line for line in logged if line["event"] == "delivery.accepted"]
    assert [(line["delivery"], line["duplicate"]) for line in accepted] == [
        ("twice", False),
        ("twice", True),
    ]


def test_form_encoded_payload_is_understood(sqlite_receiver, sqlite_database):
    payload = json.dumps(issue_event(title="a+b & c=d %41 é"))
    answer = deliver(
        sqlite_receiver,
        "issues",
        urlencode({"payload": payload}).encode(),
        content_type="application/x-www-form-urlencoded",
    )
    assert (answer.status_code, answer.json()["outcome"]) == (202, "triage")
    with sqlite_database.reading() as session:
        assert session.scalar(select(IssueSnapshot.title)) == "a+b & c=d %41 é"


def test_form_without_a_payload_is_refused_with_the_reason(shared, unchanged):
    answer = deliver(shared, "issues", b"x=1", content_type="application/x-www-form-urlencoded")
    assert answer.status_code == 400
    assert "payload" in answer.json()["error"]


def test_other_content_type_is_refused_and_says_what_to_choose(shared, unchanged):
    answer = deliver(shared, "issues", b"<xml/>", content_type="text/xml")
    assert answer.status_code == 415
    assert "application/json" in answer.json()["error"]


def test_charset_beside_the_content_type_is_fine(shared):
    answer = deliver(
        shared, "issues", issue_event(), content_type="Application/JSON; charset=utf-8"
    )
    assert answer.status_code == 202


# How large is it?


def test_body_of_just_under_the_cap_is_accepted(shared):
    event = issue_event()
    event["padding"] = "x" * (25 * MEGABYTE - 2000)
    assert deliver(shared, "issues", event).status_code == 202


def test_body_announced_over_the_cap_is_refused_unread(shared, unchanged):
    """Only the headers are sent: an answer means that the body was not waited for."""
    request = _raw_head(shared, f"Content-Length: {25 * MEGABYTE + 1}")
    with _connected(shared) as connection:
        connection.sendall(request)
        assert b" 413 " in connection.recv(4096)


def test_body_that_grows_over_the_cap_is_refused_before_its_end(shared, unchanged):
    """Chunked, without a length, and never ended: an answer means that it was cut off."""
    chunk = b"100000\r\n" + b"x" * MEGABYTE + b"\r\n"
    with _connected(shared) as connection:
        connection.sendall(_raw_head(shared, "Transfer-Encoding: chunked"))
        for _ in range(26):
            connection.sendall(chunk)
        assert b" 413 " in connection.recv(4096)


@pytest.mark.parametrize("length", ["-1", "1e9", "99999999999999999999999999", "٣"])
def test_nonsense_length_is_an_error_of_the_caller(shared, length):
    with _connected(shared) as connection:
        connection.sendall(_raw_head(shared, f"Content-Length: {length}"))
        assert connection.recv(4096).split(b" ")[1][:1] == b"4"
    assert shared.get("/healthz").status_code == 200


def test_caller_that_hangs_up_in_the_body_does_no_harm(sqlite_receiver, sqlite_database):
    with _connected(sqlite_receiver) as connection:
        connection.sendall(_raw_head(sqlite_receiver, "Content-Length: 1000") + b"x")
    assert deliver(sqlite_receiver, "issues", issue_event()).status_code == 202
    assert stored(sqlite_database) == 1


def _connected(client):
    connection = socket.create_connection((client.base_url.host, client.base_url.port))
    connection.settimeout(60)
    return connection


def _raw_head(client, *lines):
    sent = headers("issues", b"") | {"Host": client.base_url.host}
    return "\r\n".join(
        [f"POST {PATH} HTTP/1.1", *(f"{k}: {v}" for k, v in sent.items()), *lines, "", ""]
    ).encode()


def test_slow_body_is_given_up(start_receiver, sqlite_url, monkeypatch):
    monkeypatch.setattr("app.web.body.read.__defaults__", (25 * MEGABYTE, 0.1))
    client = start_receiver(sqlite_url)
    with _connected(client) as connection:
        connection.sendall(_raw_head(client, "Content-Length: 10") + b"12345")
        assert b" 408 " in connection.recv(4096)


# The database is down


def test_database_down_is_503_and_the_redelivery_is_taken(start_receiver, tmp_path):
    url = f"sqlite:///{tmp_path / 'later' / 'triora.db'}"
    client = start_receiver(url)
    answer = deliver(client, "issues", issue_event(), guid="g-1")
    assert answer.status_code == 503
    assert int(answer.headers["Retry-After"]) > 0
    assert "again" in answer.json()["error"]
    upgrade(url)
    again = deliver(client, "issues", issue_event(), guid="g-1")
    assert (again.status_code, again.json()["duplicate"]) == (202, False)


@pytest.mark.parametrize(
    "url", ["postgresql+psycopg://me:hunter2@127.0.0.1:1/x", "sqlite:////proc/none/triora.db"]
)
def test_unreachable_database_is_503_without_secrets(start_receiver, url):
    answer = deliver(start_receiver(url), "issues", issue_event())
    assert answer.status_code == 503
    assert "hunter2" not in answer.text
    assert "sqlite" not in answer.text.lower()


def test_database_nobody_migrated_is_503_and_says_what_to_run(start_receiver, empty_url):
    with capture_logs() as logged:
        client = start_receiver(empty_url)
        warned = until(
            lambda: [line for line in logged if line["event"] == "database.not_ready"],
            "the warning at the start",
        )
        answer = deliver(client, "issues", issue_event())
    assert "run `triora migrate`" in warned[0]["why"]
    assert answer.status_code == 503
    assert "lacks tables" in answer.json()["error"]
    assert "run `triora migrate`" in answer.json()["error"]


def test_table_that_vanishes_is_503_and_comes_back(receiver, database):
    with database.transaction() as session:
        session.execute(text("ALTER TABLE delivery RENAME TO hidden"))
    assert deliver(receiver, "issues", issue_event(), guid="g-1").status_code == 503
    with database.transaction() as session:
        session.execute(text("ALTER TABLE hidden RENAME TO delivery"))
    assert deliver(receiver, "issues", issue_event(), guid="g-1").status_code == 202
    assert (stored(database), stored(database, IssueSnapshot)) == (1, 1)


def test_database_that_hangs_is_503_and_probes_still_answer(
    start_receiver, sqlite_url, sqlite_database, monkeypatch
):
    monkeypatch.setattr("app.web.webhooks.ANSWER_SECONDS", 0.2)
    client = start_receiver(sqlite_url)
    with sqlite_database.transaction() as session:
        # Another process keeps the write lock for longer than a caller waits.
        session.execute(text("SELECT 1"))
        answer = deliver(client, "issues", issue_event(), guid="g-1")
        assert answer.status_code == 503
        assert client.get("/healthz").status_code == 200


def test_more_than_can_wait_is_503_and_the_redelivery_is_taken(
    start_receiver, sqlite_url, sqlite_database, monkeypatch
):
    monkeypatch.setattr("app.web.webhooks._ROOM", 0)
    full = deliver(start_receiver(sqlite_url), "issues", issue_event(), guid="g-1")
    assert full.status_code == 503
    assert int(full.headers["Retry-After"]) > 0
    assert stored(sqlite_database) == 0
    monkeypatch.undo()
    assert deliver(start_receiver(sqlite_url), "issues", issue_event(), guid="g-1").is_success


def test_an_unforeseen_error_meets_only_the_delivery_it_is_about(receiver, database, monkeypatch):
    monkeypatch.setattr("app.web.webhooks.accept_together", lambda *_, **__: 1 / 0)
    assert deliver(receiver, "issues", issue_event()).status_code == 202
    assert stored(database) == 1


# The rest of the address


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE", "PATCH"])
def test_other_methods_are_not_allowed(shared, method):
    assert shared.request(method, PATH).status_code == 405


def test_openapi_names_every_answer_and_the_signed_headers(shared):
    spec = shared.get("/openapi.json").json()
    operation = spec["paths"][PATH]["post"]
    assert {"202", "400", "401", "408", "413", "415", "503"} <= operation["responses"].keys()
    assert {p["name"] for p in operation["parameters"]} == {
        "X-GitHub-Event",
        "X-GitHub-Delivery",
        "X-Hub-Signature-256",
    }
    assert set(operation["requestBody"]["content"]) == {
        "application/json",
        "application/x-www-form-urlencoded",
    }
    assert set(spec["paths"]) == {PATH, "/healthz", "/readyz", "/metrics", "/schema/triora.json"}
