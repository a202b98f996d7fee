"""GitHub's clock and ours may be minutes apart."""

from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import httpx
import pytest

from app.github import failures


@pytest.mark.parametrize("ahead", [-300, 0, 300])
def test_a_rate_limit_ends_when_github_says_by_githubs_own_clock(ahead):
    theirs = datetime.now(UTC) + timedelta(seconds=ahead)
    headers = {
        "date": format_datetime(theirs.replace(microsecond=0), usegmt=True),
        "x-ratelimit-remaining": "0",
        "x-ratelimit-reset": str(int(theirs.timestamp()) + 60),
    }
    request = httpx.Request("GET", "https://api.github.com/user")
    answer = httpx.Response(
        403, headers=headers, json={"message": "API rate limit exceeded"}, request=request
    )
    error = failures.from_response(answer)
    waits = (error.retry_at - datetime.now(UTC)).total_seconds()
    assert 55 < waits < 65


def test_without_a_date_the_reset_is_taken_by_our_own_clock():
    headers = {
        "x-ratelimit-remaining": "0",
        "x-ratelimit-reset": str(int(datetime.now(UTC).timestamp()) + 60),
    }
    request = httpx.Request("GET", "https://api.github.com/user")
    error = failures.from_response(httpx.Response(429, headers=headers, request=request))
    assert 50 < (error.retry_at - datetime.now(UTC)).total_seconds() < 65
