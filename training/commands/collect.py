"""`triora collect`: issues of repositories as training rows."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

import typer

from app.core.errors import ConfigProblem
from app.core.settings import PREFIX

TOKEN = "GITHUB_TOKEN"  # noqa: S105 - the name of a variable, no token


def register(cli: typer.Typer) -> None:
    """Add `triora collect`."""
    cli.command()(collect)


def collect(
    repositories: Annotated[list[str], typer.Argument(metavar="OWNER/REPO…")],
    limit: Annotated[int, typer.Option(min=1, help="Issues a repository, the newest.")] = 500,
    out: Annotated[Path, typer.Option(help="JSON Lines file, appended to.")] = Path(
        "collected.jsonl"
    ),
) -> None:
    """Collect issues as they were filed, with their labels and who set them.

    Signs in with the token in GITHUB_TOKEN, or as the App of TRIORA_APP_ID. Pull requests and bots
    are left out, rate limits waited out; run it again to resume. The four repositories of the
    shipped mappings: godotengine/godot bevyengine/bevy luanti-org/luanti OpenRCT2/OpenRCT2
    """
    from rich.console import Console  # noqa: PLC0415 - heavy imports wait for their command
    from rich.progress import (  # noqa: PLC0415
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeRemainingColumn,
    )

    from app.cli import start  # noqa: PLC0415 - the entry point imports the commands
    from app.github.history import History, check_name  # noqa: PLC0415
    from training import collect as collector  # noqa: PLC0415

    settings = start()
    names = [check_name(name) for name in dict.fromkeys(repositories)]
    token = os.environ.get(TOKEN)
    if token is None and settings.app_id is None:
        raise ConfigProblem(f"set {TOKEN}, or {PREFIX}APP_ID and {PREFIX}PRIVATE_KEY")

    def source_of(repository: str) -> History:
        if token is not None:
            return History.with_token(token, settings.api_url)
        return History.as_app(settings, repository)

    console = Console(stderr=True)
    with Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        console=console,
    ) as bar:
        tasks = {name: bar.add_task(name, total=limit) for name in names}
        tally = collector.collect(
            source_of,
            names,
            out,
            limit=limit,
            clock=collector.real_clock(),
            progress=lambda name: bar.advance(tasks[name]),
        )
    total = sum(tally.rows.values())
    left = ", ".join(f"{count} {what}" for what, count in tally.left_out.items()) or "nothing"
    typer.echo(
        f"{out}: {total} issues ({tally.resumed} from before, {tally.as_filed} with title and body "
        f"as filed); left out: {left}"
    )
