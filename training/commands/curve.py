"""`triora curve`: how good the model gets from how many labels, beside TF-IDF on the same rows."""

from __future__ import annotations

import os
import sys
from collections import defaultdict
from contextlib import redirect_stdout
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from app.cli import start
from app.core.errors import ConfigProblem
from training.commands.evaluate import Json, Report, Resamples
from training.commands.sweep import whole_number
from training.commands.train import parsed
from worker.threads import wait_without_spinning

if TYPE_CHECKING:
    from training.curve import Curve, CurvePoint, Size

# As `training.curve` has it, which imports torch.
DEFAULT_SIZES = "keyword,100,200,400,800,all"


def register(cli: typer.Typer) -> None:
    """Add the command to `cli`."""
    cli.command("curve")(curve)


def curve(
    data: Annotated[list[Path], typer.Option(help="labelled reports to train on, JSON Lines")],
    test: Annotated[Path, typer.Option(help="labelled reports to judge by, never trained on")],
    out: Annotated[Path, typer.Option(help="folder; a curve started again goes on there")],
    sizes: Annotated[
        str, typer.Option(help="'keyword' (their labels on all rows), numbers of reports, 'all'")
    ] = DEFAULT_SIZES,
    points: Annotated[
        list[str] | None,
        typer.Option(
            "--point", help="SIZE=FOLDER of an adapter that exists; may be given repeatedly"
        ),
    ] = None,
    train: Annotated[
        bool, typer.Option("--train/--no-train", help="train the points that are missing")
    ] = True,
    config: Annotated[str, typer.Option(help="configuration of every point")] = "smollm2-135m",
    changes: Annotated[
        list[str] | None,
        typer.Option("--set", help="KEY=VALUE over the configuration, such as optimiser.epochs=6"),
    ] = None,
    seeds: Annotated[str, typer.Option(help="seeds, such as 1,2,3; a point averages them")] = "1",
    leaks: Annotated[
        str, typer.Option(help="near-duplicates of --test in training: refuse, drop or keep")
    ] = "refuse",
    resamples: Resamples = 2000,
    report: Report = None,
    json: Json = False,
) -> None:
    """Learning curve: keyword labels only, then more and more read reports, beside baselines.

    Points are trained, or taken from adapters that exist; nothing finished is made again.
    """
    wait_without_spinning(os.environ)
    settings = start()
    from worker.model.quiet import hush  # noqa: PLC0415 - imports transformers

    # Before bitsandbytes is imported: it gives advice while it is.
    hush()
    from training import curve as curves  # noqa: PLC0415 - imports torch
    from training.report import curve_page  # noqa: PLC0415
    from training.train import LEAKS, Run  # noqa: PLC0415

    if leaks not in LEAKS:
        raise ConfigProblem(f"--leaks {leaks}: choose one of {', '.join(LEAKS)}")
    chosen = curves.sizes_of(sizes)
    plan = curves.Plan(
        config=config,
        changes=parsed(changes or []),
        sizes=chosen,
        seeds=[whole_number(part, "--seeds") for part in seeds.split(",")],
        given=_given(points or [], chosen),
        train=train,
    )
    run = Run(
        data=data,
        folder=out,
        data_dir=settings.data_dir,
        avoid=[test],
        leaks=leaks,
        device=settings.device,
    )
    # The Trainer prints what it measures; standard output is the result's.
    with redirect_stdout(sys.stderr):
        found = curves.curve(run, plan, test, resamples)
    if report is not None:
        report.write_text(curve_page(found), encoding="utf-8")
        typer.echo(f"report: {report}", err=True)
    if json:
        typer.echo(found.model_dump_json(indent=1))
    else:
        _print(found)


def _given(points: list[str], sizes: list[Size]) -> dict[Size, list[Path]]:
    from training.curve import size_of  # noqa: PLC0415
    from training.train import ADAPTER  # noqa: PLC0415

    found: dict[Size, list[Path]] = defaultdict(list)
    for text in points:
        word, separator, place = text.partition("=")
        if not separator or not place:
            raise ConfigProblem(f"--point {text}: write SIZE=FOLDER, such as 200=runs/200/adapter")
        size = size_of(word)
        if size not in sizes:
            raise ConfigProblem(f"--point {text}: {word} is not among --sizes")
        folder = Path(place)
        # What `triora train --out` was given, or the adapter in it.
        found[size].append(folder / ADAPTER if (folder / ADAPTER).is_dir() else folder)
    return dict(found)


def _print(found: Curve) -> None:
    from rich.console import Console  # noqa: PLC0415
    from rich.table import Table  # noqa: PLC0415

    console = Console()
    # A pipe has no width; figures with intervals do not fit into 80 columns.
    console.width = max(console.width, 150)
    for scope, what in (("bugs", "Bug reports"), ("all", "All reports")):
        points = [p for p in found.points if p.scope == scope]
        if not points:
            continue
        table = Table(title=f"{what}, n {points[0].tfidf.n}: {found.base}", title_justify="left")
        for column in ("learned from", "rows", "accuracy", "macro-F1", "TF-IDF", "difference"):
            table.add_column(column, no_wrap=True, justify="right" if column == "rows" else "left")
        for p in points:
            table.add_row(p.name, str(p.rows), *_figures(p))
        for flat in (s for s in found.flat if s.scope == scope):
            table.add_row(flat.name, "", flat.accuracy.percent(), flat.macro_f1.percent(), "", "")
        table.caption = "average of the labels written; differences are paired, p by Holm's method"
        console.print(table)


def _figures(point: CurvePoint) -> list[str]:
    contrast = point.against_tfidf
    if point.model is None or contrast is None:
        return ["", "", point.tfidf.accuracy.percent(), ""]
    verdict = "significant" if contrast.significant else "not significant"
    difference = f"{100 * (contrast.difference.value or 0):+.1f}, p {contrast.p_corrected:.3f}"
    return [
        point.model.accuracy.percent() + (" *" if point.elsewhere else ""),
        point.model.macro_f1.percent(),
        point.tfidf.accuracy.percent(),
        f"{difference}, {verdict}",
    ]
