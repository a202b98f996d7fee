"""The stand-in GitHub as fixtures."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from deploy.sandbox.sandbox import Sandbox


@pytest.fixture
def github() -> Iterator[Sandbox]:
    """A stand-in GitHub of its own for one test, on a free port."""
    with Sandbox() as sandbox:
        yield sandbox
