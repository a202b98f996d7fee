"""What people corrected can be read by people, scripts and Prometheus."""

import json
from datetime import UTC, datetime, timedelta

import pytest
from prometheus_client import generate_latest
from typer.testing import CliRunner

from app import corrected
from app.cli import cli
from app.core.corrections import Change
from app.core.errors import ConfigProblem
from app.db.clock import from_now
from app.db.learning import Correction
from app.db.tables import Installation, Repository
from app.web.metrics import Metrics

T0 = datetime(2026, 11, 1, 12, tzinfo=UTC)


@pytest.fixture
def corrections(sqlite_database):
    """Two corrections, one in quarantine, and a confirmation of octo/game."""
    with sqlite_database.transaction() as session:
        session.add(Installation(id=1, account="octo", created_at=from_now()))
        session.add(Repository(id=1, installation_id=1, full_name="octo/Game", private=False))
        session.flush()
        for number, (change, labels, quarantine) in enumerate(
            [
                (Change.REPLACED, ["low"], None),
                (Change.REMOVED, [], "more than 1 an hour by one person"),
                (Change.CONFIRMED, ["high"], None),
            ],
            1,
        ):
            session.add(
                Correction(
                    repository_id=1,
                    issue_number=number,
                    dimension="severity",
                    change=change,
                    labels=labels,
                    predicted=["high"],
                    model_version="m-1",
                    actor_id=5,
                    actor="tom",
                    happened_at=T0 + timedelta(minutes=number),
                    quarantine=quarantine,
                )
            )
    return sqlite_database


def test_the_table_says_what_became_of_the_bots_word_and_what_teaches(corrections):
    with corrections.reading() as session:
        lines = list(corrected.table(corrected.of(session, "octo/game")))
    assert " ".join(lines[0].split()) == "#1 severity high -> low replaced tom 2026-11-01 12:01"
    said, _, why = " ".join(lines[1].split()).partition(" quarantine: ")
    assert said == "#2 severity high -> nothing removed tom 2026-11-01 12:02"
    assert why == "more than 1 an hour by one person"
    assert lines[-1] == "2 corrections, 1 confirmations, 1 in quarantine"


def test_the_command_prints_json_and_knows_no_other_repositories(corrections, monkeypatch):
    url = corrections.url.render_as_string(hide_password=False)
    monkeypatch.setenv("TRIORA_DATABASE_URL", url)
    done = CliRunner().invoke(cli, ["corrections", "octo/game", "--json"])
    said = [json.loads(line) for line in done.stdout.splitlines()]
    assert [(x["issue"], x["change"], x["labels"]) for x in said] == [
        (1, "replaced", ["low"]),
        (2, "removed", []),
        (3, "confirmed", ["high"]),
    ]
    failed = CliRunner().invoke(cli, ["corrections", "octo/else"])
    assert isinstance(failed.exception, ConfigProblem)
    assert "octo/else" in str(failed.exception)


def test_prometheus_sees_them_by_change(corrections):
    figures = generate_latest(Metrics(corrections).registry).decode()
    assert 'triora_corrections{change="replaced",quarantine="false"} 1.0' in figures
    assert 'triora_corrections{change="removed",quarantine="true"} 1.0' in figures
