"""`triora sweep`: train every combination of some settings and compare what comes out."""

from __future__ import annotations

import os
import sys
from contextlib import redirect_stdout
from pathlib import Path
from typing import Annotated, Any

import typer

from app.cli import start
from app.core.errors import ConfigProblem
from training.commands import evaluate
from training.commands.train import value_of
from worker.threads import wait_without_spinning


def register(cli: typer.Typer) -> None:
    """Add the command to `cli`."""
    cli.command("sweep")(sweep)


def sweep(
    data: Annotated[list[Path], typer.Option(help="labelled reports to train on, JSON Lines")],
    test: Annotated[Path, typer.Option(help="labelled reports to compare on, never trained on")],
    out: Annotated[Path, typer.Option(help="folder; a sweep started again goes on there")],
    config: Annotated[str, typer.Option(help="configuration that the settings are laid over")] = (
        "smollm2-135m"
    ),
    axes: Annotated[
        list[str] | None, typer.Option("--set", help="KEY=V1,V2,… such as lora.rank=4,8,16")
    ] = None,
    rows: Annotated[
        str, typer.Option(help="numbers of training reports, such as 100,200,all")
    ] = "all",
    seeds: Annotated[str, typer.Option(help="seeds, such as 1,2,3")] = "1",
    leaks: Annotated[
        str, typer.Option(help="near-duplicates of --test in training: refuse, drop or keep")
    ] = "refuse",
    resamples: evaluate.Resamples = 2000,
    report: evaluate.Report = None,
    json: evaluate.Json = False,
) -> None:
    """Train every combination, evaluate each on --test, print one table with paired tests."""
    wait_without_spinning(os.environ)
    settings = start()
    grid = dict(_axis(text) for text in axes or [])
    limits = [None if part == "all" else whole_number(part, "--rows") for part in rows.split(",")]
    # Imports torch, which every other command does without.
    from worker.model.quiet import hush  # noqa: PLC0415

    # Before bitsandbytes is imported: it gives advice while it is.
    hush()
    from training import sweep as sweeping  # noqa: PLC0415
    from training.train import LEAKS, Run  # noqa: PLC0415

    if leaks not in LEAKS:
        raise ConfigProblem(f"--leaks {leaks}: choose one of {', '.join(LEAKS)}")
    run = Run(
        data=data,
        folder=out,
        data_dir=settings.data_dir,
        avoid=[test],
        leaks=leaks,
        device=settings.device,
    )
    variants = list(
        sweeping.grid(grid, limits, [whole_number(part, "--seeds") for part in seeds.split(",")])
    )
    # The Trainer prints what it measures; standard output is the result's.
    with redirect_stdout(sys.stderr):
        comparison, evaluations = sweeping.sweep(run, config, variants, test, resamples)
    evaluate.show(comparison, evaluations, json=json, report=report)


def _axis(text: str) -> tuple[str, list[Any]]:
    key, separator, values = text.partition("=")
    if not separator or not key or not values:
        raise ConfigProblem(f"--set {text}: write KEY=V1,V2, such as lora.rank=4,8,16")
    return key, [value_of(value) for value in values.split(",")]


def whole_number(text: str, option: str) -> int:
    """One of an option's numbers; ConfigProblem names the option if it is none."""
    if not text.strip().isdigit():
        raise ConfigProblem(f"{option} {text}: whole numbers, separated by commas")
    return int(text)
