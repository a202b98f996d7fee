"""The stand-in GitHub as fixtures, every exchange with it held against GitHub's description."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from deploy.sandbox.sandbox import Sandbox
from tests.contract.judge import Judge, judged


@pytest.fixture
def contract(sandbox: Sandbox) -> Iterator[Judge]:
    """The judge of this test; the test fails where a request or an answer breaks the contract."""
    with judged(sandbox) as judge:
        yield judge


@pytest.fixture
def sandbox() -> Iterator[Sandbox]:
    """The server behind `github`, unjudged: ask for `github` instead."""
    with Sandbox() as sandbox:
        yield sandbox


@pytest.fixture
def github(sandbox: Sandbox, contract: Judge) -> Sandbox:
    """A stand-in GitHub of its own for one test, on a free port."""
    return sandbox
