"""`triora train`: fine-tune an adapter from labelled reports."""

from __future__ import annotations

import json
import os
import sys
from contextlib import redirect_stdout
from pathlib import Path
from typing import Annotated, Any

import typer

from app.cli import start
from app.core.errors import ConfigProblem
from training import config as configs
from worker.threads import wait_without_spinning


def register(cli: typer.Typer) -> None:
    """Add the command to `cli`."""
    cli.command("train")(train)


def train(
    data: Annotated[
        list[Path], typer.Option(help="labelled reports, JSON Lines; may be given repeatedly")
    ],
    out: Annotated[Path, typer.Option(help="folder for adapter, checkpoints and logs")],
    config: Annotated[
        str, typer.Option(help=f"one of {', '.join(configs.names())}, or a .toml file")
    ] = "smollm2-135m",
    changes: Annotated[
        list[str] | None,
        typer.Option("--set", help="KEY=VALUE over the configuration, such as lora.rank=16"),
    ] = None,
    avoid: Annotated[
        list[Path] | None,
        typer.Option(help="data kept for evaluation: a near-duplicate in training is an error"),
    ] = None,
    leaks: Annotated[
        str, typer.Option(help="near-duplicates of --avoid: refuse, drop (from training) or keep")
    ] = "refuse",
    source: Annotated[
        str,
        typer.Option(help="what the rows say: their labels, keyword_labels, or our keyword rules"),
    ] = "labels",
    begin: Annotated[
        Path | None, typer.Option("--start", help="an adapter to go on from, instead of a new one")
    ] = None,
    limit: Annotated[int | None, typer.Option(min=1, help="use only the first N reports")] = None,
    resume: Annotated[bool, typer.Option(help="go on from the last checkpoint in --out")] = False,
    report_to: Annotated[
        list[str] | None,
        typer.Option(help="where the Trainer reports: tensorboard, wandb, mlflow, none, …"),
    ] = None,
) -> None:
    """Fine-tune an adapter: 4-bit base, LoRA, loss over the label scores only.

    Several GPUs: `accelerate launch -m training.commands.train` with the same options.
    """
    wait_without_spinning(os.environ)
    settings = start()
    chosen = configs.read(config, parsed(changes or []))
    # Imports torch, which every other command does without.
    from worker.model.quiet import hush  # noqa: PLC0415

    # Before bitsandbytes is imported: it gives advice while it is.
    hush()
    from training.train import LEAKS, SOURCES, Run, train  # noqa: PLC0415

    if leaks not in LEAKS:
        raise ConfigProblem(f"--leaks {leaks}: choose one of {', '.join(LEAKS)}")
    if source not in SOURCES:
        raise ConfigProblem(f"--source {source}: choose one of {', '.join(SOURCES)}")
    run = Run(
        data=data,
        folder=out,
        data_dir=settings.data_dir,
        avoid=avoid or (),
        leaks=leaks,
        source=source,
        limit=limit,
        start=begin,
        device=settings.device,
        resume=resume,
        report_to=report_to or ["tensorboard"],
    )
    # The Trainer prints what it measures; standard output is the result's.
    with redirect_stdout(sys.stderr):
        manifest = train(run, chosen)
    typer.echo(json.dumps({"adapter": str(out / "adapter"), "version": manifest.version}))


def parsed(changes: list[str]) -> dict[str, Any]:
    """KEY=VALUE pairs; values are JSON where they parse, text otherwise."""
    found: dict[str, Any] = {}
    for change in changes:
        key, separator, value = change.partition("=")
        if not separator or not key:
            raise ConfigProblem(f"--set {change}: write KEY=VALUE, such as lora.rank=16")
        found[key] = value_of(value)
    return found


def value_of(text: str) -> Any:
    """JSON where it parses, the text itself otherwise."""
    try:
        return json.loads(text)
    except json.JSONDecodeError:
        return text


if __name__ == "__main__":
    typer.run(train)
