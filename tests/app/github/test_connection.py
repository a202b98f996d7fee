"""Answers that no GitHub should give, from a server that gives them, end in a clear error."""

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from githubkit.auth import TokenAuthStrategy

from app.core.errors import GitHubUnavailable
from app.github.client import InstallationClient
from app.github.connection import PER_PAGE, Connection
from app.github.failures import RepositoryMoved


class Odd(BaseHTTPRequestHandler):
    """Answers with the server's status, `body` and `link`; keeps what it was asked."""

    def answer(self):
        self.server.asked.append((self.path, self.headers.get("authorization")))
        body = self.server.body.encode()
        self.send_response(self.server.status)
        self.send_header("content-length", str(len(body)))
        if self.server.link:
            self.send_header("link", self.server.link)
        if self.server.location:
            self.send_header("location", self.server.location)
        self.end_headers()
        self.wfile.write(body)

    def do_GET(self):
        self.answer()

    def do_POST(self):
        self.answer()

    def log_message(self, *_):
        """Say nothing."""


@pytest.fixture
def odd_servers():
    running = []

    def start(body, link="", status=200, location=""):
        server = ThreadingHTTPServer(("127.0.0.1", 0), Odd)
        server.body = body if isinstance(body, str) else json.dumps(body)
        server.link, server.asked = link, []
        server.status, server.location = status, location
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        running.append((server, thread))
        return server

    yield start
    for server, thread in running:
        server.shutdown()
        server.server_close()
        thread.join()


def connect(server):
    port = server.server_address[1]
    return Connection(TokenAuthStrategy("a-token"), f"http://127.0.0.1:{port}/api/v3")


def test_an_answer_that_is_no_json_is_worth_another_try(odd_servers):
    with pytest.raises(GitHubUnavailable, match="read"):
        connect(odd_servers("<html>maintenance</html>")).get("/x")


def test_an_answer_without_what_we_need_names_the_fields_and_not_the_text(odd_servers):
    client = InstallationClient(connect(odd_servers({"title": "a secret"})))
    with pytest.raises(GitHubUnavailable, match="number") as caught:
        client.issue("octo/game", 1)
    assert "secret" not in str(caught.value)


def test_unknown_and_missing_optional_fields_do_no_harm(odd_servers):
    answer = {
        "number": 1,
        "created_at": "2026-11-01T00:00:00Z",
        "updated_at": "2026-11-01T00:00:00Z",
        "labels": ["a bare name", {"name": "x", "invented": 1}],
        "invented": {"deeply": ["nested"]},
    }
    issue = InstallationClient(connect(odd_servers(answer))).issue("octo/game", 1)
    assert [label.name for label in issue.labels] == ["a bare name", "x"]


def test_a_list_that_continues_on_another_host_gets_no_token(odd_servers):
    elsewhere = odd_servers([])
    target = f"http://127.0.0.1:{elsewhere.server_address[1]}/api/v3/x?page=2"
    lure = odd_servers([{"id": 1}], link=f'<{target}>; rel="next"')
    with pytest.raises(GitHubUnavailable, match="another host"):
        list(connect(lure).items("/x"))
    assert elsewhere.asked == []
    assert lure.asked == [(f"/api/v3/x?per_page={PER_PAGE}", "token a-token")]


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_nobody_is_followed_to_another_host(odd_servers, status):
    elsewhere = odd_servers([])
    target = f"http://127.0.0.1:{elsewhere.server_address[1]}/api/v3/x"
    connection = connect(odd_servers({}, status=status, location=target))
    with pytest.raises(RepositoryMoved):
        connection.get("/x")
    with pytest.raises(RepositoryMoved):
        connection.send("POST", "/x", {"labels": ["high"]})
    assert elsewhere.asked == []


def test_a_list_without_end_is_cut(odd_servers):
    server = odd_servers([{"id": 1}])
    server.link = f'<http://127.0.0.1:{server.server_address[1]}/api/v3/x>; rel="next"'
    assert len(list(connect(server).items("/x", max_pages=7))) == 7


def test_nobody_listening_is_worth_another_try(odd_servers):
    server = odd_servers([])
    server.shutdown()
    server.server_close()
    with pytest.raises(GitHubUnavailable, match="ConnectError"):
        connect(server).get("/x")
