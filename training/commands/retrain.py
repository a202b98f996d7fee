"""`triora retrain`: let a repository's model learn from what its maintainers corrected."""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING, Annotated

import typer

from app.cli import start
from app.core.errors import BadRequest, ConfigProblem
from worker.threads import wait_without_spinning

if TYPE_CHECKING:
    from app.core.settings import Settings
    from app.db.session import Database

POLL_SECONDS = 1.0


def register(cli: typer.Typer) -> None:
    """Add the command to `cli`."""
    cli.command("retrain")(retrain)


def retrain(
    repository: Annotated[str, typer.Argument(help="OWNER/NAME", metavar="OWNER/REPO")],
    now: Annotated[
        bool, typer.Option("--now", help="Train here, in this process; needs no worker.")
    ] = False,
    wait: Annotated[
        bool, typer.Option("--wait", help="Wait until a worker is through, and say what came of it")
    ] = False,
) -> None:
    """Train a new version from a repository's corrections; it serves only if the gate lets it."""
    # The sweep of a running Triora rings for it; nobody needs a broker to ask.
    if now and wait:
        raise ConfigProblem("--now trains here and waits by itself: leave --wait out")
    from app.db import retrainings, runs, work  # noqa: PLC0415 (imports SQLAlchemy)
    from app.db.learning import Retraining  # noqa: PLC0415
    from app.db.migrate import require_migrated  # noqa: PLC0415 (imports Alembic)
    from app.db.session import Database  # noqa: PLC0415

    settings = start()
    database = Database(settings.sql_url)
    require_migrated(database)
    with database.transaction() as session:
        repository_id = runs.repository_of(session, repository).id
        fresh = retrainings.ask(session, repository_id, "triora retrain")
        # One that an outage put off goes on now.
        work.hasten(session, Retraining, Retraining.repository_id == repository_id)
    if now:
        typer.echo(_train_here(database, settings, repository_id))
        return
    typer.echo(
        "a retraining is asked for; `triora worker --queue train` (or `triora up`) carries it out"
        if fresh
        else "a retraining waits or runs already",
        err=wait,
    )
    if wait:
        typer.echo(_outcome(database, repository_id))


def _train_here(database: Database, settings: Settings, repository_id: int) -> str:
    wait_without_spinning(os.environ)
    from training.background import retrain_quietly  # noqa: PLC0415 (imports torch)

    outcome = retrain_quietly(database, settings, repository_id)
    if outcome is None:
        raise ConfigProblem(
            "a retraining runs on this machine or for this repository already: wait for it with"
            " --wait"
        )
    return outcome


def _outcome(database: Database, repository_id: int) -> str:
    """Wait for the newest retraining; BadRequest with the reason if it failed."""
    from app.db import retrainings  # noqa: PLC0415
    from app.db.tables import State  # noqa: PLC0415

    while True:
        with database.reading() as session:
            newest = retrainings.latest(session, repository_id)
        if newest is not None and newest.state == State.DEAD:
            raise BadRequest(newest.error or "it failed")
        if newest is not None and newest.state != State.PENDING:
            return newest.outcome or ""
        time.sleep(POLL_SECONDS)
