"""Fixtures for every test; each part registers its module here."""

pytest_plugins = [
    "tests.fixtures_database",
    "tests.fixtures_logging",
    "tests.fixtures_receiver",
    "tests.fixtures_signals",
    "tests.fixtures_github",
    "tests.fixtures_sandbox",
]
