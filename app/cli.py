"""The `triora` command. Packages above `app` add theirs through the group `triora.commands`.

Each command imports what it needs itself, so that none waits for the libraries of the others.
"""

from __future__ import annotations

import os
import signal
import sys
from importlib.metadata import entry_points, version
from typing import TYPE_CHECKING, Annotated

import typer

from app import logs
from app.core.errors import EXIT_PROBLEM, ConfigProblem, TriageError
from app.core.settings import PREFIX, Settings, load

if TYPE_CHECKING:
    from app.db.session import Database

cli = typer.Typer(
    help="Triora labels new issues by severity, component and reproducibility.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
# Of each kind of dead work; the rest is counted.
_LISTED = 50
Host = Annotated[str | None, typer.Option(help=f"Address to listen on ({PREFIX}HOST).")]
Port = Annotated[
    int | None, typer.Option(min=0, max=65535, help=f"Port to listen on ({PREFIX}PORT).")
]


def main() -> None:
    """Entry point: a TriageError is one line on stderr and exit code 2, never a traceback."""
    # What we write holds issue texts, and models made of them: for nobody else to read.
    os.umask(0o077)
    try:
        _add_commands_of_other_packages()
        cli()
    except TriageError as error:
        print(f"triora: {logs.blank(str(error))}", file=sys.stderr)  # noqa: T201
        sys.exit(EXIT_PROBLEM)


def start(**overrides: object) -> Settings:
    """Settings with the options a person gave, and logging: the first thing of every command."""
    settings = load(**{key: value for key, value in overrides.items() if value is not None})
    logs.configure(settings.log_level)
    try:
        settings.data_dir.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ConfigProblem(
            f"{PREFIX}DATA_DIR {settings.data_dir} cannot be made ({error.strerror}): choose a "
            "directory you may write to"
        ) from error
    return settings


@cli.callback(invoke_without_command=True)
def _options(
    show_version: Annotated[bool, typer.Option("--version", help="Show the version.")] = False,
) -> None:
    if show_version:
        typer.echo(f"triora {version('triora')}")
        raise typer.Exit


@cli.command("up")
def run_everything(host: Host = None, port: Port = None) -> None:
    """Run everything on this machine: receiver, workers, scheduler and, if needed, a broker."""
    from app import up  # noqa: PLC0415 (imports githubkit)
    from app.db.migrate import upgrade  # noqa: PLC0415 (imports Alembic)

    settings = start(host=host, port=port)
    up.check(settings)
    settings = up.claim(settings)
    upgrade(settings.sql_url)
    up.become_supervisor(settings, os.environ)


@cli.command()
def serve(host: Host = None, port: Port = None) -> None:
    """Run the receiver alone. Run `triora migrate` first."""
    settings = start(host=host, port=port)
    _ = settings.webhook_secrets
    # A mistake above is told before any of this is imported.
    import uvicorn  # noqa: PLC0415

    from app import broker  # noqa: PLC0415
    from app.listening import listen  # noqa: PLC0415
    from app.web.server import create_app  # noqa: PLC0415

    # Uvicorn ends in good order and then raises the signal again: what is below must still run.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    with listen(settings) as listening, broker.embedded(settings):
        address, number = listening.getsockname()[:2]
        typer.echo(f"listening on http://{address}:{number}", err=True)
        config = uvicorn.Config(create_app(settings), log_config=None, access_log=False)
        uvicorn.Server(config).run(sockets=[listening])


@cli.command()
def migrate() -> None:
    """Bring the database to the newest schema."""
    from app.db.migrate import upgrade  # noqa: PLC0415 (imports Alembic)

    settings = start()
    typer.echo(f"the database is at revision {upgrade(settings.sql_url)}")


@cli.command("doctor")
def examine() -> None:
    """Check every part, and say what to do about what is wrong."""
    from app import doctor  # noqa: PLC0415 (imports githubkit and Alembic)

    findings = doctor.examine(os.environ)
    for finding in findings:
        color, word = ("green", "ok") if finding.ok else ("red", "FAIL")
        if finding.warning:
            color, word = "yellow", "warn"
        mark = typer.style(f"{word:<4}", fg=color)
        typer.echo(logs.blank(f"{mark}  {finding.part:<12} {finding.text}"))
    raise typer.Exit(0 if all(finding.ok for finding in findings) else 1)


@cli.command("predictions")
def list_predictions(
    repository: Annotated[str | None, typer.Option(help="Only this owner/name.")] = None,
) -> None:
    """Print what was predicted and done, one JSON line an issue, oldest first."""
    from app import predictions  # noqa: PLC0415 (imports SQLAlchemy)
    from app.db.migrate import require_migrated  # noqa: PLC0415 (imports Alembic)
    from app.db.session import Database  # noqa: PLC0415

    settings = start()
    database = Database(settings.sql_url)
    require_migrated(database)
    with database.reading() as session:
        for line in predictions.latest(session, repository):
            typer.echo(line.model_dump_json())


@cli.command("corrections")
def list_corrections(
    repository: Annotated[str, typer.Argument(metavar="OWNER/REPO")],
    as_json: Annotated[bool, typer.Option("--json", help="One JSON line a correction.")] = False,
) -> None:
    """Print what people corrected or confirmed in a repository, oldest first."""
    from app import corrected  # noqa: PLC0415 (imports SQLAlchemy)
    from app.db.migrate import require_migrated  # noqa: PLC0415 (imports Alembic)
    from app.db.session import Database  # noqa: PLC0415

    settings = start()
    database = Database(settings.sql_url)
    require_migrated(database)
    with database.reading() as session:
        lines = corrected.of(session, repository)
    for line in (x.model_dump_json() for x in lines) if as_json else corrected.table(lines):
        typer.echo(logs.blank(line))


@cli.command("status")
def show_status(
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object.")] = False,
) -> None:
    """Show what waits, what died, for how long, and which installations are blocked."""
    from app import backlog  # noqa: PLC0415 (imports SQLAlchemy)

    with _opened().reading() as session:
        now = backlog.status(session)
    for line in (now.model_dump_json(),) if as_json else backlog.table(now):
        typer.echo(logs.blank(line))


@cli.command("replay")
def replay_dead(
    rows: Annotated[
        list[str] | None, typer.Argument(metavar="[ROW]...", help="As listed, like labels:17.")
    ] = None,
    everything: Annotated[bool, typer.Option("--all", help="Every dead row.")] = False,
    repository: Annotated[str | None, typer.Option(help="Only of this OWNER/REPO.")] = None,
    table: Annotated[str | None, typer.Option(help="Only of this kind, like labels.")] = None,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do it, without a question.")] = False,
) -> None:
    """List work that was given up, with the reason; what is chosen is tried again when confirmed.

    Without --all, a row, a repository or a table it only lists.
    """
    from app import backlog  # noqa: PLC0415 (imports SQLAlchemy)

    database = _opened()
    choice = backlog.Choice(table=table, repository=repository, named=tuple(rows or ()))
    with database.reading() as session:
        found = backlog.count(session, choice)
        for line in backlog.dead(session, choice, limit=_LISTED):
            where = f"{line.repository}#{line.issue}" if line.issue else line.repository
            typer.echo(logs.blank(f"{line.row:<16} {where}  {line.error}"))
    typer.echo(f"{found} dead" + (f", {_LISTED} of each kind listed" if found > _LISTED else ""))
    if not found or not (rows or everything or repository or table):
        return
    if not yes and not (sys.stdin.isatty() and typer.confirm(f"try {found} again?")):
        typer.echo("nothing was changed: say --yes")
        return
    with database.transaction() as session:
        revived = backlog.replay(session, choice)
    for name, number in revived.items():
        if number:
            typer.echo(f"{name}: {number} will be tried again")


def _opened() -> Database:
    from app.db.migrate import require_migrated  # noqa: PLC0415 (imports Alembic)
    from app.db.session import Database  # noqa: PLC0415

    database = Database(start().sql_url)
    require_migrated(database)
    return database


def _add_commands_of_other_packages() -> None:
    for entry in sorted(entry_points(group="triora.commands"), key=lambda entry: entry.name):
        try:
            register = entry.load()
        except ModuleNotFoundError as error:
            # An extra that is not installed takes away its own commands only.
            print(f"triora: no {entry.name} commands: {error}", file=sys.stderr)  # noqa: T201
        else:
            register(cli)
