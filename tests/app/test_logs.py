from __future__ import annotations

import logging

import pytest
import structlog

from app import logs


@pytest.mark.parametrize(
    "secret",
    [
        "ghs_" + "a1B2.c3_d-" * 52,
        "ghp_" + "x" * 36,
        "github_pat_" + "Y" * 82,
        "-----BEGIN RSA PRIVATE KEY-----\nMIIE\n-----END RSA PRIVATE KEY-----",
        "-----BEGIN PRIVATE KEY-----\ncut off here",
    ],
)
def test_secrets_never_reach_the_log(secret: str, capsys: pytest.CaptureFixture[str]) -> None:
    logs.configure("INFO")
    structlog.get_logger().info("some.event", detail=f"got {secret}")
    logging.getLogger("some.library").warning("refused: %s", secret)
    try:
        raise ValueError(secret)
    except ValueError:
        logging.getLogger("some.library").exception("failed")
    said = capsys.readouterr().err
    assert said.count("[blanked]") >= 3
    assert secret not in said
    assert secret[-12:] not in said


def test_the_password_of_a_url_is_blanked_and_its_host_is_not() -> None:
    said = logs.blank("postgresql+psycopg://triora:p%40ss@db.internal:5432/triora refused")
    assert said == "postgresql+psycopg://[blanked]@db.internal:5432/triora refused"
    assert logs.blank("redis://:word@cache/0") == "redis://[blanked]@cache/0"
    assert logs.blank("http://127.0.0.1:8000/x@y") == "http://127.0.0.1:8000/x@y"


def test_an_event_is_one_line_with_time_level_and_name_first(
    capsys: pytest.CaptureFixture[str],
) -> None:
    logs.configure("INFO")
    structlog.get_logger().info("issue.triaged", issue=3, title_is="two\nlines")
    captured = capsys.readouterr()
    assert captured.out == ""
    (line,) = captured.err.splitlines()
    at, level, event, *_ = line.split(" ")
    assert at.startswith("at=2")
    assert (level, event) == ("level=info", "event=issue.triaged")
    assert "issue=3" in line


def test_levels_below_the_chosen_one_are_silent(capsys: pytest.CaptureFixture[str]) -> None:
    logs.configure("WARNING")
    structlog.get_logger().info("quiet.event")
    logging.getLogger("httpx").info("GET https://api.github.com/repos/private/name")
    assert capsys.readouterr().err == ""
