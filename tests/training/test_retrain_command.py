"""`triora retrain`: clear words for who asks in vain."""

from __future__ import annotations

import pytest
from sqlalchemy import select

from app.core.errors import ConfigProblem
from app.db.learning import Retraining
from app.db.session import Database
from tests.training import taught
from training.commands.retrain import retrain


@pytest.fixture
def database(sqlite_url, tmp_path, monkeypatch):
    monkeypatch.setenv("TRIORA_DATABASE_URL", sqlite_url)
    monkeypatch.setenv("TRIORA_DATA_DIR", str(tmp_path))
    opened = Database(sqlite_url)
    taught.repository(opened)
    yield opened
    opened.close()


def test_a_repository_is_asked_for_by_its_name_whatever_its_case(database, capsys):
    retrain("Octo/Game")
    assert "a retraining is asked for" in capsys.readouterr().out
    retrain("octo/game")
    assert "waits or runs already" in capsys.readouterr().out
    with database.reading() as session:
        assert session.scalars(select(Retraining)).one().asked_by == "triora retrain"


def test_a_repository_without_the_app_is_named(database):
    with pytest.raises(ConfigProblem, match="not installed on octo/other"):
        retrain("octo/other")


def test_training_here_needs_no_waiting(database):
    with pytest.raises(ConfigProblem, match="leave --wait out"):
        retrain("octo/game", now=True, wait=True)
