"""Every way GitHub can say no becomes the right error: wait, give up, or look again."""

from datetime import UTC, datetime, timedelta

import httpx
import pytest

from app.core.errors import GitHubUnavailable, Gone, NotPermitted, may_retry
from app.github.failures import Refused, RepositoryMoved, SecondaryLimit, from_response

NOW_SLACK = timedelta(seconds=30)


def answer(status, message="", **headers):
    return httpx.Response(
        status,
        json={"message": message},
        headers={name.replace("_", "-"): value for name, value in headers.items()},
        request=httpx.Request("GET", "https://api.github.com/x"),
    )


def wait_of(error):
    return error.retry_at - datetime.now(UTC)


@pytest.mark.parametrize("status", [403, 429])
def test_a_used_up_limit_waits_for_its_reset(status):
    reset = datetime.now(UTC) + timedelta(minutes=20)
    error = from_response(
        answer(
            status,
            "API rate limit exceeded",
            x_ratelimit_remaining="0",
            x_ratelimit_reset=str(int(reset.timestamp())),
        )
    )
    assert isinstance(error, GitHubUnavailable)
    assert error.limited
    assert reset - timedelta(seconds=1) <= error.retry_at <= reset + timedelta(seconds=2)


@pytest.mark.parametrize(
    "reply",
    [
        answer(403, "You have exceeded a secondary rate limit. Please wait a few minutes"),
        answer(403, "You have triggered an abuse detection mechanism"),
        answer(429, ""),
        answer(
            403,
            "You have exceeded a secondary rate limit",
            x_ratelimit_remaining="0",
            x_ratelimit_reset="1",
        ),
    ],
    ids=["by its words", "by its old words", "by its status", "with the primary limit's headers"],
)
def test_a_secondary_limit_without_a_time_waits_a_minute(reply):
    error = from_response(reply)
    assert isinstance(error, SecondaryLimit)
    assert timedelta(seconds=60) - NOW_SLACK < wait_of(error) <= timedelta(seconds=60)


def test_a_secondary_limit_waits_as_long_as_github_says():
    error = from_response(answer(403, "slow down", retry_after="300"))
    assert timedelta(seconds=300) - NOW_SLACK < wait_of(error) <= timedelta(seconds=300)


def test_a_secondary_limit_met_again_waits_longer_each_time_but_never_days():
    first = from_response(answer(403, "slow down", retry_after="100"))
    assert wait_of(first) < wait_of(first.again(1)) < wait_of(first.again(2))
    assert wait_of(first.again(50)) <= timedelta(hours=1)


def test_a_long_wait_that_github_asks_for_is_not_cut():
    day = from_response(answer(403, "slow down", retry_after="86400"))
    assert wait_of(day.again(3)) > timedelta(hours=23)


def test_a_retry_after_that_is_a_date_falls_back_to_a_minute():
    error = from_response(answer(429, retry_after="Wed, 21 Oct 2026 07:28:00 GMT"))
    assert timedelta(seconds=60) - NOW_SLACK < wait_of(error) <= timedelta(seconds=60)


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (301, RepositoryMoved),
        (307, RepositoryMoved),
        (401, Refused),
        (403, Refused),
        (404, Gone),
        (410, Gone),
        (422, NotPermitted),
        (500, GitHubUnavailable),
        (502, GitHubUnavailable),
        (503, GitHubUnavailable),
    ],
)
def test_each_status_has_its_meaning(status, kind):
    error = from_response(answer(status, "why"))
    assert type(error) is kind
    assert may_retry(error) is (status >= 500 or status < 400)


@pytest.mark.parametrize("status", [401, 403, 404, 422])
def test_no_token_for_an_installation_concerns_all_of_it(status):
    asked = httpx.Request("POST", "https://api.github.com/app/installations/5/access_tokens")
    error = from_response(httpx.Response(status, json={"message": "no"}, request=asked))
    assert isinstance(error, Refused)
    assert error.wide


def test_what_is_refused_on_one_issue_concerns_no_other():
    assert from_response(answer(403, "Resource not accessible by integration")).wide is False
    locked = from_response(answer(403, "Unable to create comment because issue is locked."))
    assert type(locked) is NotPermitted


def test_a_refusal_quotes_github_and_not_without_end():
    error = from_response(answer(403, "Resource not accessible by integration " + "x" * 9999))
    assert "Resource not accessible by integration" in str(error)
    assert len(str(error)) < 300


def test_bad_credentials_say_what_to_check():
    said = str(from_response(answer(401, "Bad credentials")))
    assert "TRIORA_PRIVATE_KEY" in said
    assert "clock" in said


def test_an_answer_that_is_no_json_is_still_an_answer():
    reply = httpx.Response(
        502, text="<html>", request=httpx.Request("GET", "https://api.github.com/x")
    )
    assert "502" in str(from_response(reply))
