"""Faults on a route: what the caller sees, and whether anything was applied."""

from __future__ import annotations

import httpx
import pytest

from deploy.sandbox.sandbox import Sandbox
from tests.deploy.app_client import REPO, call, installation_token

ROUTE = "POST /repos/*/*/issues/*/labels"
LABEL = {"labels": ["bug"]}


@pytest.fixture
def token(github: Sandbox) -> str:
    github.open_issue()
    return installation_token(github)


def label(github: Sandbox, token: str) -> httpx.Response:
    return call(github, "POST", f"{REPO}/issues/1/labels", token, json=LABEL)


def fates(github: Sandbox) -> list[tuple[str, bool]]:
    lines = github.requests("POST", "/repos/{owner}/{repo}/issues/{issue_number}/labels")
    return [(line["fate"], line["applied"]) for line in lines]


def test_an_error_status_applies_nothing_and_ends_after_its_count(
    github: Sandbox, token: str
) -> None:
    github.fault(ROUTE, "status", status=503, body="<h1>Unicorn</h1>", times=2)
    assert [label(github, token).status_code for _ in range(2)] == [503, 503]
    assert github.labels(1) == []
    assert label(github, token).status_code == 200
    assert fates(github) == [("status", False), ("status", False), ("answered", True)]


@pytest.mark.parametrize("kind", ["drop", "reset"])
def test_a_broken_connection_before_applies_nothing(github: Sandbox, token: str, kind: str) -> None:
    github.fault(ROUTE, kind)
    with pytest.raises((httpx.RemoteProtocolError, httpx.ReadError)):
        label(github, token)
    assert github.labels(1) == []
    assert fates(github) == [(kind, False)]
    assert label(github, token).status_code == 200


@pytest.mark.parametrize("kind", ["drop-after", "truncate"])
def test_applied_then_dropped_has_applied(github: Sandbox, token: str, kind: str) -> None:
    github.fault(ROUTE, kind)
    with pytest.raises((httpx.RemoteProtocolError, httpx.ReadError)):
        label(github, token)
    assert github.labels(1) == ["bug"]
    assert fates(github) == [(kind, True)]


def test_a_delay_holds_the_answer_back(github: Sandbox, token: str) -> None:
    github.fault(ROUTE, "delay", seconds=60)
    with pytest.raises(httpx.ReadTimeout):
        call(github, "POST", f"{REPO}/issues/1/labels", token, json=LABEL, timeout=0.3)
    assert github.control("GET", "/faults") == []
    assert label(github, token).status_code == 200


def test_a_delay_and_a_drop_can_meet(github: Sandbox, token: str) -> None:
    github.fault(ROUTE, "delay", seconds=0.05)
    github.fault(ROUTE, "drop")
    with pytest.raises((httpx.RemoteProtocolError, httpx.ReadError)):
        label(github, token)
    assert github.control("GET", "/faults") == []


def test_a_fault_hits_its_route_only_and_can_let_some_pass_first(
    github: Sandbox, token: str
) -> None:
    github.fault(ROUTE, "status", skip=1, times=1)
    github.fault("GET /repos/{owner}/{repo}/labels", "status", times=None)
    assert [label(github, token).status_code for _ in range(3)] == [200, 502, 200]
    assert [call(github, "GET", f"{REPO}/labels", token).status_code for _ in range(3)] == [502] * 3
    assert call(github, "GET", f"{REPO}/labels/bug", token).status_code == 200
    github.clear_faults()
    assert call(github, "GET", f"{REPO}/labels", token).status_code == 200


@pytest.mark.parametrize(
    ("route", "kind"), [("/repos", "drop"), (ROUTE, "explode"), ("POST repos", "drop")]
)
def test_a_fault_that_means_nothing_is_refused(github: Sandbox, route: str, kind: str) -> None:
    with pytest.raises(httpx.HTTPStatusError, match="422"):
        github.fault(route, kind)


def test_the_journal_counts_repeated_writes_and_keeps_no_secret(
    github: Sandbox, token: str
) -> None:
    for _ in range(3):
        label(github, token)
    lines = github.requests("POST", "/repos/{owner}/{repo}/issues/{issue_number}/labels")
    assert [(line["status"], line["actor"], line["body"]) for line in lines] == [
        (200, f"installation {github.installation_id}", LABEL)
    ] * 3
    assert token not in str(github.requests())
