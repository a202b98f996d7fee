"""The stand-in GitHub as fixtures, every exchange with it held against GitHub's description."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from deploy.sandbox.sandbox import Sandbox
from tests.contract import fetch
from tests.contract.judge import Judge


@pytest.fixture
def contract() -> Iterator[Judge]:
    """The judge of this test; the test fails where a request or an answer breaks the contract."""
    fetch.load()  # here, where a missing npm is an error of the fixture
    judge = Judge()
    yield judge
    assert not judge.violations, "against GitHub's description:\n" + "\n".join(judge.violations)


@pytest.fixture
def github(contract: Judge) -> Iterator[Sandbox]:
    """A stand-in GitHub of its own for one test, on a free port."""
    sandbox = Sandbox()
    sandbox.standin.rest.observers.append(contract.exchange)
    sandbox.standin.hooks.observers.append(contract.delivery)
    with sandbox:
        yield sandbox
