"""`triora models`, `triora promote` and `triora rollback`: which model version answers where."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from pydantic import BaseModel
from typer.core import TyperGroup

from app.core.errors import ConfigProblem
from worker.prune_command import prune
from worker.version_access import opened

if TYPE_CHECKING:
    from sqlalchemy.orm import Session

    from app.core.settings import Settings
    from app.db.learning import ModelVersion

OWN = "the adapter that its workers were started with"
ALL = "all repositories"

Place = Annotated[str | None, typer.Argument(help="OWNER/NAME", metavar="OWNER/REPO")]
Name = Annotated[str, typer.Argument(help="As `triora models` lists it.", metavar="VERSION")]


class _ListsByDefault(TyperGroup):
    """`triora models OWNER/REPO` is `triora models list OWNER/REPO`."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        if not args or args[0] not in {*self.commands, *ctx.help_option_names}:
            args = ["list", *args]
        parsed: list[str] = super().parse_args(ctx, args)
        return parsed


class Line(BaseModel):
    """One version as `triora models --json` prints it.

    `written` and `changed`: labels written since it is active, and those that people changed.
    """

    version: str
    repository: str | None
    state: str
    base_model: str | None
    created_at: str
    activated_at: str | None
    retired_at: str | None
    pruned_at: str | None
    parent: str | None
    replaced: str | None
    written: int
    changed: int
    reason: str
    problem: str | None
    uri: str
    digest: str


def register(cli: typer.Typer) -> None:
    """Add the commands to `cli`."""
    group = typer.Typer(cls=_ListsByDefault, help="Model versions: list them, or add one.")
    group.command("list")(list_versions)
    group.command("add")(add)
    group.command("prune")(prune)
    cli.add_typer(group, name="models")
    cli.command("promote")(promote)
    cli.command("rollback")(rollback)


def list_versions(
    repository: Place = None,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON line a version.")] = False,
) -> None:
    """Print the versions of a repository, or all, newest first: where each stands, and why."""
    from app.db import models, runs  # noqa: PLC0415 (imports SQLAlchemy)

    with opened() as (_, session):
        if repository is None:
            rows = models.everywhere(session)
        else:
            place = runs.repository_of(session, repository).id
            rows = [*models.history(session, place), *models.history(session, None)]
            answering = models.active(session, place)
        lines = [_line(session, row) for row in rows]
    if as_json:
        for line in lines:
            typer.echo(line.model_dump_json())
        return
    if repository is not None:
        typer.echo(f"{repository} is answered by {answering.version if answering else OWN}")
    elif not lines:
        typer.echo(f"no versions yet: every repository is answered by {OWN}")
    for line in lines:
        typer.echo(_say(line))


def add(
    folder: Annotated[Path, typer.Argument(help="An adapter, as `triora train` writes it.")],
    repository: Annotated[
        str | None, typer.Option(help="OWNER/NAME it is for; all repositories without.")
    ] = None,
) -> None:
    """Put an adapter that was trained elsewhere into the model store, as a candidate."""
    from app.core import manifest  # noqa: PLC0415
    from app.db import models, runs  # noqa: PLC0415 (imports SQLAlchemy)
    from worker.model.store import ModelStore, check  # noqa: PLC0415 (imports NumPy)

    if not folder.is_dir():
        raise ConfigProblem(f"{folder} is not a folder: give the one that `triora train` wrote")
    with opened() as (settings, session):
        place = runs.repository_of(session, repository).id if repository else None
    check(folder)
    found = manifest.load(folder)
    _check_fits(settings, found)
    uri, digest = ModelStore(settings.model_store_url, settings.model_cache).put(folder)
    with opened(write=True) as (_, session):
        row = models.add(session, found, repository_id=place, uri=uri, digest=digest)
    typer.echo(
        f"{row.version} is in the store for {repository or ALL} ({row.state});"
        f" `triora promote {row.version}` puts it into service"
    )


def promote(
    version: Name,
    force: Annotated[
        bool, typer.Option("--force", help="Even if the gate kept it back or it was rolled back.")
    ] = False,
) -> None:
    """Put a version into service; workers answer with it from their next batch on."""
    from app.core import manifest  # noqa: PLC0415
    from app.db import models  # noqa: PLC0415 (imports SQLAlchemy)
    from worker.model.store import ModelStore  # noqa: PLC0415 (imports NumPy)

    with opened() as (settings, session):
        row = models.find(session, version)
    against = models.refusal(row)
    if against is not None and not force:
        raise ConfigProblem(f"{version}: {against}; add --force to put it into service anyway")
    # No insisting helps a version that no worker could load.
    store = ModelStore(settings.model_store_url, settings.model_cache)
    _check_fits(settings, manifest.load(store.fetch(row.uri, row.digest)))
    with opened(write=True) as (_, session):
        row = models.find(session, version)
        before = models.promote(session, row, "promoted by the operator")
        place = models.scope_name(session, row)
    retired = f"; {before.version} is retired, `triora rollback` goes back to it" if before else ""
    typer.echo(f"{place}: {version} is in service from the next batch on{retired}")


def rollback(
    repository: Place = None,
    shared: Annotated[
        bool, typer.Option("--shared", help="The version of all repositories without their own.")
    ] = False,
    reason: Annotated[
        str, typer.Option(help="Kept with the version.")
    ] = "rolled back by the operator",
) -> None:
    """Go back to the version that was in service before, from the workers' next batch on."""
    from app.db import models, runs  # noqa: PLC0415 (imports SQLAlchemy)

    if (repository is None) != shared:
        raise ConfigProblem("give either OWNER/REPO or --shared")
    with opened(write=True) as (_, session):
        place = runs.repository_of(session, repository).id if repository else None
        bad, good = models.rollback(session, place, reason)
        good = good or (models.active(session, place) if place is not None else None)
    typer.echo(
        f"{repository or ALL}: {bad.version} is out of service, {good.version if good else OWN}"
        " answers from the next batch on"
    )


def _check_fits(settings: Settings, found: Any) -> None:
    """ArtifactMismatch when the workers of these settings could not load it."""
    from app.core import manifest  # noqa: PLC0415
    from app.core.prompt import PROMPT_VERSION  # noqa: PLC0415
    from worker.model.presets import Packed, resolve  # noqa: PLC0415

    preset = resolve(settings.model)
    packed = preset.source if isinstance(preset.source, Packed) else None
    manifest.check(
        found,
        base_model=preset.name,
        base_revision=packed.sha256 if packed else None,
        prompt_version=PROMPT_VERSION,
        taxonomy=None,
    )


def _line(session: Session, row: ModelVersion) -> Line:
    from app.core.override import Tally  # noqa: PLC0415
    from app.db import models, overrides  # noqa: PLC0415 (imports SQLAlchemy)

    told = sum(overrides.since_active(session, row), Tally())
    return Line(
        version=row.version,
        repository=models.scope_name(session, row) if row.repository_id is not None else None,
        state=str(row.state),
        base_model=row.manifest.get("base_model"),
        created_at=row.created_at.isoformat(),
        activated_at=row.activated_at.isoformat() if row.activated_at else None,
        retired_at=row.retired_at.isoformat() if row.retired_at else None,
        pruned_at=row.pruned_at.isoformat() if row.pruned_at else None,
        parent=row.parent,
        replaced=row.replaced,
        written=told.written,
        changed=told.changed,
        reason=row.reason,
        problem=row.problem,
        uri=row.uri,
        digest=row.digest,
    )


def _say(line: Line) -> str:
    color = {"active": "green", "candidate": "yellow"}.get(line.state)
    state = typer.style(f"{line.state:<9}", fg=color)
    told = f"{line.changed} of {line.written} labels changed" if line.written else ""
    pruned = "its adapter was pruned" if line.pruned_at else ""
    notes = [note for note in (told, line.reason, pruned, line.problem) if note]
    since = (line.activated_at or line.created_at)[:16].replace("T", " ")
    head = f"{state}  {line.version:<34}  {line.repository or ALL:<24}  {since}"
    return "\n           ".join([head, *notes])
