"""`triora backfill`, `undo` and `runs` at the command line."""

from datetime import timedelta

import pytest
import typer
from typer.testing import CliRunner

from app.core.errors import ConfigProblem
from app.db import retrainings, work
from app.db.learning import Retraining, Run
from tests.worker.conftest import T0
from worker import run_commands


@pytest.fixture
def triora(works, github, tmp_path, monkeypatch):
    """The command, on the test's database and stand-in; its output, or its TriageError."""
    cli = typer.Typer()
    run_commands.register(cli)
    for name, value in {
        "DATABASE_URL": works.store.database.url.render_as_string(),
        "DATA_DIR": str(tmp_path),
        "APP_ID": str(github.app_id),
        "PRIVATE_KEY": github.private_key,
        "GITHUB_API_URL": github.api_url,
    }.items():
        monkeypatch.setenv(f"TRIORA_{name}", value)

    def call(*words):
        result = CliRunner().invoke(cli, list(words))
        if isinstance(result.exception, ConfigProblem):
            raise result.exception
        assert result.exit_code == 0, result.output
        return result.output

    return call


def test_a_run_is_asked_for_shown_and_taken_back(works, triora):
    number = works.open("high")
    works.open("high", by="mara", labels=["component: ui"])
    assert "no runs yet" in triora("runs")
    would, skip = triora("backfill", works.repository, "--dry-run").splitlines()
    assert would == "would take in 1 of 2 open issues, in about 0.0 h"
    assert skip == "would skip: 1 (somebody labelled it)"
    assert works.store.rows(Run) == []
    said = triora("backfill", works.repository)
    run = works.store.one(Run)
    assert f"backfill {run.id} of {works.repository}: 400 issues an hour" in said
    assert "it begins when `triora up` runs" in said
    with pytest.raises(ConfigProblem, match="is not over"):
        triora("backfill", works.repository)
    works.finish(run.id)
    line = triora("runs", run.id[:5], "--wait")
    assert "1 of 2 issues taken in, 1 labelled, 0 left alone, 0 to come" in line
    assert "skipped 1 (somebody labelled it)" in line
    assert f"of run {run.id}" in triora("undo", run.id)
    undo = works.store.one(Run, Run.id != run.id)
    works.finish(undo.id)
    assert works.labels(number) == set()
    works.store.change(Run, run.id, created_at=T0 - timedelta(days=1))
    first, second = triora("runs").splitlines()
    assert f"of {run.id}: 1 labels taken back" in first
    assert works.repository in second


def test_mistakes_are_one_clear_line(triora):
    with pytest.raises(ConfigProblem, match="not installed on octo/none"):
        triora("backfill", "octo/none")
    with pytest.raises(ConfigProblem, match="no run begins with 'zz'"):
        triora("runs", "zz")
    for nothing in ("v9", "", "0000"):
        with pytest.raises(ConfigProblem, match="is neither a run"):
            triora("undo", nothing)


def test_retrainings_stand_among_the_runs_and_one_that_was_given_up_says_what_to_do(works, triora):
    database, here = works.store.database, works.store.repository_id
    with database.transaction() as session:
        retrainings.ask(session, here, "somebody")
    assert "waits      not begun" in triora("runs")
    # Its process is killed again and again.
    for beginning in range(1, 9):
        with database.transaction() as session:
            assert work.claim(session, Retraining, 1, 300, max_attempts=8)
        assert f"under way  beginning {beginning}" in triora("runs")
        works.store.make_due(Retraining)
    with database.transaction() as session:
        assert work.claim(session, Retraining, 1, 300, max_attempts=8) == []
    (line,) = triora("runs").splitlines()
    assert "given up   claimed 8 times and never finished: its worker died each time" in line
    assert f"`triora retrain {works.repository}` asks for it anew" in line
    with database.transaction() as session:
        assert retrainings.ask(session, here, "somebody")
    assert "waits      not begun" in triora("runs")
