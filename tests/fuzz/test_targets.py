"""A short fuzz in the suite: every target with what it begins with, and the OpenAPI description."""

from __future__ import annotations

import subprocess
import sys

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.fuzz.targets import TARGETS


@pytest.mark.parametrize("name", TARGETS)
def test_a_parser_takes_whatever_comes(name: str) -> None:
    parse, starts = TARGETS[name]
    cut = st.sampled_from(starts).flatmap(
        lambda start: st.tuples(st.integers(0, len(start)), st.integers(0, len(start))).map(
            lambda ends: start[: ends[0]] + start[ends[1] :]
        )
    )

    @settings(max_examples=25, deadline=None, derandomize=True, database=None)
    @given(cut | st.binary(max_size=80))
    def try_one(raw: bytes) -> None:
        parse(raw)

    try_one()


def test_the_openapi_description_keeps_its_word() -> None:
    """A few examples of what `make fuzz` tries by the hundred."""
    done = subprocess.run(
        [sys.executable, "-W", "error", "-m", "tests.fuzz.openapi", "--examples", "10"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "POST /webhooks/github 202" in done.stdout
    assert "POST /webhooks/github 401" in done.stdout
