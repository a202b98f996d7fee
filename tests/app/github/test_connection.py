"""Answers that no GitHub should give, from a server that gives them, end in a clear error."""

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from githubkit.auth import TokenAuthStrategy

from app.core.errors import GitHubUnavailable
from app.github.client import InstallationClient
from app.github.connection import PER_PAGE, Connection


class Odd(BaseHTTPRequestHandler):
    """Answers 200 with the server's `body` and `link`; keeps what it was asked."""

    def do_GET(self):
        self.server.asked.append((self.path, self.headers.get("authorization")))
        body = self.server.body.encode()
        self.send_response(200)
        self.send_header("content-length", str(len(body)))
        if self.server.link:
            self.send_header("link", self.server.link)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        """Say nothing."""


@pytest.fixture
def odd_servers():
    running = []

    def start(body, link=""):
        server = ThreadingHTTPServer(("127.0.0.1", 0), Odd)
        server.body = body if isinstance(body, str) else json.dumps(body)
        server.link, server.asked = link, []
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
