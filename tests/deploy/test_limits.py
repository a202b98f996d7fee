"""Rate limits: primary with its headers, secondary with and without."""

from __future__ import annotations

import time

import pytest

from deploy.sandbox.sandbox import Sandbox
from tests.deploy.app_client import REPO, call, installation_token

LABEL = {"name": "another", "color": "ffffff"}


@pytest.fixture
def token(github: Sandbox) -> str:
    return installation_token(github)


def test_every_answer_says_what_is_left(github: Sandbox, token: str) -> None:
    first, second = (call(github, "GET", REPO, token).headers for _ in range(2))
    assert first["x-ratelimit-limit"] == "5000"
    assert int(first["x-ratelimit-remaining"]) - int(second["x-ratelimit-remaining"]) == 1
    assert int(second["x-ratelimit-used"]) + int(second["x-ratelimit-remaining"]) == 5000
    assert first["x-github-request-id"] != second["x-github-request-id"]


@pytest.mark.parametrize("status", [403, 429])
def test_a_used_up_hour_refuses_until_the_reset_it_names(
    github: Sandbox, token: str, status: int
) -> None:
    github.limit(exhaust_seconds=90, status=status)
    answer = call(github, "GET", REPO, token)
    assert answer.status_code == status
    assert answer.headers["x-ratelimit-remaining"] == "0"
    assert "API rate limit exceeded" in answer.json()["message"]
    wait = int(answer.headers["x-ratelimit-reset"]) - time.time()
    assert 60 < wait <= 90
    github.skew(91)
    assert call(github, "GET", REPO, token).status_code == 200


def test_the_hour_is_counted_for_each_caller(github: Sandbox, token: str) -> None:
    github.limit(hourly=2)
    person = github.token_of("mara")
    assert [call(github, "GET", REPO, person).status_code for _ in range(3)] == [200, 200, 403]
    assert call(github, "GET", REPO, token).status_code == 200
    github.skew(3601)
    assert call(github, "GET", REPO, person).status_code == 200


@pytest.mark.parametrize(
    ("status", "retry_after", "header"), [(403, 30, "30"), (429, 7, "7"), (403, None, None)]
)
def test_a_secondary_limit_stops_writes_and_lets_reading_pass(
    github: Sandbox, token: str, status: int, retry_after: int | None, header: str | None
) -> None:
    github.limit(secondary={"status": status, "retry_after": retry_after, "times": 1})
    assert call(github, "GET", f"{REPO}/labels", token).status_code == 200
    refused = call(github, "POST", f"{REPO}/labels", token, json=LABEL)
    assert refused.status_code == status
    assert refused.headers.get("retry-after") == header
    assert "secondary rate limit" in refused.json()["message"]
    assert int(refused.headers["x-ratelimit-remaining"]) > 0
    assert call(github, "POST", f"{REPO}/labels", token, json=LABEL).status_code == 201


def test_too_much_content_in_a_minute_is_a_secondary_limit(github: Sandbox, token: str) -> None:
    github.limit(content_per_minute=2)
    answers = [
        call(github, "POST", f"{REPO}/labels", token, json={"name": f"n{i}", "color": "ffffff"})
        for i in range(3)
    ]
    assert [answer.status_code for answer in answers] == [201, 201, 403]
    assert 1 <= int(answers[2].headers["retry-after"]) <= 60


def test_clearing_brings_github_back_to_normal(github: Sandbox, token: str) -> None:
    github.limit(exhaust_seconds=3600)
    github.limit(secondary={})
    assert call(github, "GET", REPO, token).status_code == 403
    github.clear_faults()
    assert call(github, "POST", f"{REPO}/labels", token, json=LABEL).status_code == 201
