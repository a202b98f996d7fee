"""Logging is process-wide: whatever a test configures ends with it."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
import structlog


@contextmanager
def _as_it_was() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    if root.handlers != handlers or root.level != level:
        root.handlers[:] = handlers
        root.setLevel(level)
        structlog.reset_defaults()


@pytest.fixture(autouse=True)
def _logging_of_a_test() -> Iterator[None]:
    with _as_it_was():
        yield


@pytest.fixture(autouse=True, scope="module")
def _logging_of_a_module() -> Iterator[None]:
    # What a module's own fixtures configure, a command they run say, is there before any test.
    with _as_it_was():
        yield
