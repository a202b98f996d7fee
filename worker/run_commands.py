"""`triora backfill`, `triora undo` and `triora runs`: runs over many issues, asked for and watched.

The commands write a row and ring; the worker does the work, also when this process is long gone.
"""

from __future__ import annotations

import getpass
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Any

import typer

from app.core.settings import Settings

if TYPE_CHECKING:
    from app.db.learning import Retraining, Run
    from app.db.session import Database

WATCH_SECONDS = 1.0
Wait = Annotated[bool, typer.Option("--wait", help="Stay until it is over, and say how far it is.")]


def register(cli: typer.Typer) -> None:
    """Add the commands."""
    cli.command("backfill")(backfill)
    cli.command("undo")(undo)
    cli.command("runs")(list_runs)


def backfill(
    repository: Annotated[str, typer.Argument(metavar="OWNER/REPO")],
    limit: Annotated[
        int | None, typer.Option(min=1, help="Take in at most so many, the newest first.")
    ] = None,
    since: Annotated[
        datetime | None,
        typer.Option(formats=["%Y-%m-%d"], help="Only issues opened since then (UTC)."),
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Count what would be taken in; write nothing.")
    ] = False,
    wait: Wait = False,
) -> None:
    """Label the open issues of a repository that nobody labelled yet, slowly and silently.

    `triora runs` shows how far it is, `triora undo RUN` takes it back.
    """
    from app.db import runs  # noqa: PLC0415 (imports SQLAlchemy)

    settings, database = _open()
    opened = since.replace(tzinfo=UTC) if since is not None else None
    if dry_run:
        return _count(settings, database, repository, limit, opened)
    with database.transaction() as session:
        run = runs.ask_backfill(
            session,
            runs.repository_of(session, repository),
            limit=limit,
            since=opened,
            asked_by=_somebody(),
        )
    typer.echo(f"backfill {run.id} of {repository}: {settings.backfill_per_hour:g} issues an hour")
    return _begin(settings, database, [run], wait)


def undo(
    target: Annotated[str, typer.Argument(metavar="RUN|VERSION")],
    wait: Wait = False,
) -> None:
    """Take back the labels that a run, or a model version, wrote and nobody touched since.

    RUN is (the beginning of) an id that `triora runs` shows.
    """
    from app.db import runs  # noqa: PLC0415 (imports SQLAlchemy)

    settings, database = _open()
    with database.transaction() as session:
        asked = runs.ask_undo(session, target, asked_by=_somebody())
    for run in asked:
        typer.echo(f"undo {run.id} of {run.options['what']} {run.target}")
    return _begin(settings, database, asked, wait)


def list_runs(
    run: Annotated[str | None, typer.Argument(metavar="[RUN]", help="Only this one.")] = None,
    limit: Annotated[int, typer.Option(min=1, help="At most so many, the newest first.")] = 20,
    wait: Wait = False,
) -> None:
    """List backfills, catch-ups, undos and retrainings: how far they are, what came of them."""
    from app.db import retrainings, runs  # noqa: PLC0415 (imports SQLAlchemy)

    _, database = _open()
    if run is not None:
        with database.reading() as session:
            found = runs.find(session, run)
        if wait:
            _watch(database, [found])
        else:
            typer.echo(_told(database, found))
        return
    with database.reading() as session:
        found_runs = runs.newest(session, limit)
        found_retrainings = retrainings.newest(session, limit)
    rows = [(row.created_at, _told(database, row), name) for row, name in found_runs]
    rows += [(row.created_at, _told_retraining(row, name), name) for row, name in found_retrainings]
    for at, told, name in sorted(rows, reverse=True)[:limit]:
        typer.echo(f"{told}  {name}, {at:%Y-%m-%d %H:%M}")
    if not rows:
        typer.echo("no runs yet: `triora backfill OWNER/REPO` makes one")


def _open() -> tuple[Settings, Database]:
    from app.cli import start  # noqa: PLC0415 (it loads this module)
    from app.db.migrate import require_migrated  # noqa: PLC0415 (imports Alembic)
    from app.db.session import Database  # noqa: PLC0415

    settings = start()
    database = Database(settings.sql_url)
    require_migrated(database)
    return settings, database


def _begin(settings: Settings, database: Database, asked: list[Run], wait: bool) -> None:
    from app.queue import Task, build, ring  # noqa: PLC0415 (imports Celery)

    if not ring(build(settings), Task.RUN):
        typer.echo("no broker answers: it begins when `triora up` runs", err=True)
    if wait:
        _watch(database, asked)


def _count(
    settings: Settings, database: Database, name: str, limit: int | None, since: datetime | None
) -> None:
    from app.db import configs, runs  # noqa: PLC0415 (imports SQLAlchemy)
    from app.github.client import AppClient  # noqa: PLC0415 (imports githubkit)
    from worker import backfill as walking  # noqa: PLC0415

    with database.reading() as session:
        repository = runs.repository_of(session, name)
        config = configs.in_force(session, repository.id).config
    options = {"limit": limit, "since": since.isoformat() if since is not None else None}
    with AppClient.from_settings(settings).installation(repository.installation_id) as client:
        walk = walking.preview(client, repository.full_name, config, options)
    hours = walk.taken / settings.backfill_per_hour
    typer.echo(f"would take in {walk.taken} of {walk.seen} open issues, in about {hours:.1f} h")
    typer.echo(f"would skip: {_listed(walk.skipped)}")


def _watch(database: Database, asked: list[Run]) -> None:
    """Say how far the runs are whenever it changed, until all are over."""
    from app.db.learning import Run  # noqa: PLC0415
    from app.db.tables import State  # noqa: PLC0415

    said: dict[str, str] = {}
    going = list(asked)
    with suppress(KeyboardInterrupt):
        while going:
            for run in list(going):
                with database.reading() as session:
                    now = session.get_one(Run, run.id)
                line = _told(database, now)
                if said.get(run.id) != line:
                    typer.echo(line)
                said[run.id] = line
                if now.state != State.PENDING:
                    going.remove(run)
            if going:
                time.sleep(WATCH_SECONDS)


def _told(database: Database, run: Run) -> str:
    """One line about a run as it is now."""
    from app.db.learning import RunKind  # noqa: PLC0415

    tell: Callable[[Database, Run], str] = (
        _told_undo if run.kind == RunKind.UNDO else _told_backfill
    )
    stage = {"pending": "under way", "superseded": "stopped"}.get(run.state, str(run.state))
    line = f"{run.id}  {run.kind:<8}  {stage:<9}  {tell(database, run)}"
    return f"{line} ({run.error})" if run.error and run.state != "done" else line


def _told_backfill(database: Database, run: Run) -> str:
    from app.db import runs  # noqa: PLC0415 (imports SQLAlchemy)

    with database.reading() as session:
        far = runs.progress(session, run.id)
    counts = run.counts
    taken, seen = counts.get("taken", 0), counts.get("seen", 0)
    # Between two walks nothing was seen yet.
    parts = [
        f"{taken} of {seen} issues taken in" if seen >= taken else f"{taken} issues taken in",
        f"{far.labelled} labelled",
        f"{far.left} left alone",
        f"{far.open} to come",
    ]
    if far.dead:
        parts.append(f"{far.dead} dead")
    if counts.get("skipped"):
        parts.append(f"skipped {_listed(counts['skipped'])}")
    return ", ".join(parts)


def _told_undo(_: Database, run: Run) -> str:
    counts = run.counts
    parts = [f"{counts.get('taken_back', 0)} labels taken back"]
    if counts.get("left"):
        parts.append(f"left alone {_listed(counts['left'])}")
    if counts.get("stopped"):
        parts.append(f"{counts['stopped']} not written any more")
    return f"of {run.target}: {', '.join(parts)}"


def _told_retraining(row: Retraining, name: str) -> str:
    held = row.lease_token is not None
    stage = {"pending": "under way" if held else "waits", "dead": "given up"}.get(row.state, "done")
    told = row.outcome or (f"beginning {row.attempts}" if row.attempts else "not begun")
    if stage == "given up":
        told = f"{row.error}; `triora retrain {name}` asks for it anew"
    elif stage == "waits" and row.error:
        told = row.error
    return f"{f'retraining {row.id}':<14}  {stage:<9}  {told}"


def _listed(counts: Mapping[str, Any]) -> str:
    ordered = sorted(counts.items(), key=lambda item: -int(item[1]))
    return "; ".join(f"{count} ({why})" for why, count in ordered) or "none"


def _somebody() -> str:
    """Who types this, for the record."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        # A container's user may have no name.
        return "the command line"
