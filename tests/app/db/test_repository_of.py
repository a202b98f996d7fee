"""Whoever names a repository means the one that the App is in now, in whatever case."""

import pytest
from typer.testing import CliRunner

from app.cli import cli
from app.core.errors import ConfigProblem
from app.db import runs
from app.db.clock import from_now
from app.db.tables import Installation, Repository


@pytest.fixture
def known(sqlite_database):
    """octo/game was left, deleted and made anew twice; the App was uninstalled from gone/game."""
    with sqlite_database.transaction() as session:
        session.add(Installation(id=1, account="octo", created_at=from_now()))
        session.add(
            Installation(id=2, account="gone", created_at=from_now(), deleted_at=from_now())
        )
        session.flush()
        for number, name, installation, left in (
            (1, "octo/game", 1, from_now()),
            (2, "Octo/Game", 1, None),
            (3, "octo/game", 1, from_now()),
            (4, "octo/old", 1, from_now(-60.0)),
            (5, "octo/old", 1, from_now()),
            (6, "gone/game", 2, None),
        ):
            home = {"installation_id": installation, "removed_at": left}
            session.add(Repository(id=number, full_name=name, private=False, **home))
    return sqlite_database


@pytest.mark.parametrize(
    ("name", "left", "found"),
    [
        ("OCTO/game", False, 2),
        ("octo/game", True, 2),
        ("octo/old", True, 5),
        ("gone/game", True, 6),
    ],
)
def test_the_covered_one_is_meant_and_else_the_newest_that_was_left(known, name, left, found):
    with known.reading() as session:
        assert runs.repository_of(session, name, left=left).id == found


@pytest.mark.parametrize("name", ["octo/old", "gone/game", "octo/none", "octo/gam_", "game"])
def test_what_the_app_is_not_in_is_named(known, name):
    with known.reading() as session, pytest.raises(ConfigProblem, match=f"installed on {name}"):
        runs.repository_of(session, name)


@pytest.mark.parametrize(
    "command", ["corrections", "predictions --repository", "replay --repository"]
)
def test_every_command_says_so_of_a_repository_it_does_not_know(known, command, monkeypatch):
    monkeypatch.setenv("TRIORA_DATABASE_URL", known.url.render_as_string(hide_password=False))
    done = CliRunner().invoke(cli, [*command.split(), "octo/none"])
    assert isinstance(done.exception, ConfigProblem), done.output
    assert "not installed on octo/none" in str(done.exception)
