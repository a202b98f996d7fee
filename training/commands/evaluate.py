"""`triora evaluate` and `triora compare`: how good a model is, and whether it is better."""

from __future__ import annotations

import json as jsonlib
import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from app.core.errors import ConfigProblem
from app.core.taxonomy import DEFAULT_TAXONOMY
from training.commands import dataset as reading
from worker.threads import wait_without_spinning

if TYPE_CHECKING:
    from training.comparison import Comparison, Saved, Standing
    from training.figures import Evaluation, Scope

Json = Annotated[bool, typer.Option("--json", help="Print the figures as JSON on stdout.")]
Report = Annotated[Path | None, typer.Option(help="Write one self-contained HTML page.")]
Resamples = Annotated[
    int, typer.Option(min=50, help="Bootstrap resamples; few cannot show a small p.")
]


def register(cli: typer.Typer) -> None:
    """Add `triora evaluate` and `triora compare`."""
    cli.command()(evaluate)
    cli.command()(compare)


def evaluate(
    data: Annotated[Path, typer.Option(help="Rows with true labels.")],
    train: Annotated[
        Path | None, typer.Option(help="Training rows: fits the baselines, finds near-duplicates.")
    ] = None,
    adapter: Annotated[
        str | None, typer.Option(help="Folder of an adapter; the shipped one without it.")
    ] = None,
    model: Annotated[str | None, typer.Option(help="Preset, id or path of the base model.")] = None,
    name: Annotated[str | None, typer.Option(help="What tables call the run.")] = None,
    seed: Annotated[int | None, typer.Option(help="The seed it was trained with.")] = None,
    setting: Annotated[
        list[str] | None, typer.Option(help="NAME=VALUE to show beside it, as rank=8.")
    ] = None,
    zero_shot: Annotated[
        bool, typer.Option(help="Score with the base model alone as a baseline, too.")
    ] = True,
    baselines: Annotated[bool, typer.Option(help="Majority, keyword rules and TF-IDF.")] = True,
    scored: Annotated[
        bool, typer.Option("--model-run/--baselines-only", help="Score with the model at all.")
    ] = True,
    save: Annotated[Path | None, typer.Option(help="Folder to keep the runs in.")] = None,
    json: Json = False,
    report: Report = None,
    resamples: Resamples = 2000,
) -> None:
    """Evaluate a model beside its baselines; every figure has an interval and a sample size."""
    wait_without_spinning(os.environ)
    from training import bench, keywords  # noqa: PLC0415 - heavy imports wait for their command
    from training.report import evaluation_page  # noqa: PLC0415

    examples = reading.read(data).examples
    rows = reading.read(train).examples if train is not None else None
    runs: list[Saved] = []
    if scored:
        runs.append(bench.model_run(examples, rows, model, adapter, name, seed, _pairs(setting)))
        if zero_shot and adapter != "none":
            runs.append(bench.model_run(examples, None, model, "none", "zero-shot", None, {}))
    if baselines:
        runs += bench.baseline_runs(examples, rows, DEFAULT_TAXONOMY)
    evaluations, comparison = bench.judged(runs, resamples)
    if save is not None:
        bench.keep(save, runs, evaluations)
    if report is not None:
        agreements = keywords.agreements(examples)
        page = evaluation_page(evaluations[0], comparison, evaluations[1:], agreements)
        report.write_text(page, encoding="utf-8")
        typer.echo(f"report: {report}", err=True)
    if json:
        found = {
            "evaluations": [e.model_dump(mode="json") for e in evaluations],
            "comparison": comparison.model_dump(mode="json"),
        }
        typer.echo(jsonlib.dumps(found, indent=1))
    else:
        _table(comparison)


def compare(
    runs: Annotated[list[Path], typer.Argument(help="Folders that `triora evaluate --save` kept.")],
    reference: Annotated[
        str | None, typer.Option(help="Test the others against this name; the first without it.")
    ] = None,
    json: Json = False,
    report: Report = None,
    resamples: Resamples = 2000,
) -> None:
    """Compare saved runs with paired tests; no model is run. Seeds of one name are averaged."""
    from training import comparison as comparisons  # noqa: PLC0415
    from training.evaluation import evaluate as judge  # noqa: PLC0415
    from training.predictions import load  # noqa: PLC0415

    saved = [load(path) for path in runs]
    found = comparisons.compare(saved, reference, resamples)
    evaluations = [judge(*one, resamples) for one in saved] if report is not None else []
    show(found, evaluations, json=json, report=report)


def show(
    comparison: Comparison, evaluations: Sequence[Evaluation], *, json: bool, report: Path | None
) -> None:
    """Write a comparison's page if `report` names one; print it as JSON or as a table."""
    from training.report import comparison_page, verdicts  # noqa: PLC0415

    if report is not None:
        report.write_text(comparison_page(comparison, evaluations), encoding="utf-8")
        typer.echo(f"report: {report}", err=True)
    if json:
        typer.echo(comparison.model_dump_json(indent=1))
    else:
        _table(comparison)
        for sentence in verdicts(comparison):
            typer.echo(sentence)


def _pairs(settings: Sequence[str] | None) -> dict[str, str | float]:
    found: dict[str, str | float] = {}
    for pair in settings or ():
        name, equals, value = pair.partition("=")
        if not equals or not name:
            raise ConfigProblem(f"--setting {pair!r}: write NAME=VALUE")
        try:
            found[name] = float(value)
        except ValueError:
            found[name] = value
    return found


def _table(comparison: Comparison) -> None:
    from rich.console import Console  # noqa: PLC0415
    from rich.table import Table  # noqa: PLC0415

    console = Console()
    # A pipe has no width; figures with intervals do not fit into 80 columns.
    console.width = max(console.width, 170)
    scopes: tuple[Scope, ...] = ("bugs", "all")
    for scope in scopes:
        standings = comparison.of(scope)
        if not standings:
            continue
        what = f"{'Bug' if scope == 'bugs' else 'All'} reports, n {standings[0].n}"
        main = Table(title=f"{what}: averages", title_justify="left")
        for column in ("run", "accuracy", "macro-F1", "calibration error", "precision at 60 %"):
            main.add_column(column, no_wrap=True)
        main.add_column("accuracy against *", no_wrap=True)
        main.caption = (
            f"* {comparison.reference}, paired test, p corrected for {_others(standings)}"
        )
        each = Table(title=f"{what}: accuracy by dimension", title_justify="left")
        for column in ("run", *standings[0].dimensions):
            each.add_column(column, no_wrap=True)
        for one in standings:
            name = one.name + (f" ({one.seeds} seeds)" if one.seeds > 1 else "")
            figures = (one.accuracy, one.macro_f1, one.calibration_error, one.precision_at_60)
            main.add_row(name, *(f.percent() for f in figures), _verdict(comparison, scope, one))
            each.add_row(name, *(f.percent() for f in one.dimensions.values()))
        console.print(main)
        console.print(each)


def _verdict(comparison: Comparison, scope: Scope, one: Standing) -> str:
    contrast = comparison.contrast(one.name, scope)
    if contrast is None:
        return "reference"
    verdict = "significant" if contrast.significant else "not significant"
    difference = 100 * (contrast.difference.value or 0)
    return f"{difference:+.1f}, p {contrast.p_corrected:.3f}, {verdict}"


def _others(standings: Sequence[Standing]) -> str:
    count = len(standings) - 1
    return f"{count} comparison{'s' if count != 1 else ''}"
