"""NLBSE'24 issue report classification: one model for five repositories, the official table.

    python -m training.benchmarks.nlbse24 --train nlbse24_train.csv --folds 5
    python -m training.benchmarks.nlbse24 --train nlbse24_train.csv --test nlbse24_test.csv

The first chooses (cross-validation on the training split alone), the second gives the final
number. The competition's measure is F1, averaged over the three classes of a repository, then over
the repositories. Anchors: RoBERTa 0.79 to 0.80, SetFit 0.827, fine-tuned GPT-3.5 0.828.
"""

from __future__ import annotations

import csv
import json
import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from app.cli import start
from app.core.errors import BadRequest, ConfigProblem
from app.core.taxonomy import DEFAULT_TAXONOMY, Taxonomy
from training import config as configs
from training.commands.train import parsed
from training.example import Answer, Example, Provenance
from training.split import folds as split_folds
from worker.threads import wait_without_spinning

KIND = "kind"
TAXONOMY = Taxonomy(dimensions=(DEFAULT_TAXONOMY[KIND].model_copy(update={"written": True}),))
COLUMNS = ("repo", "label", "title", "body")

# repository -> class -> (precision, recall, F1), and "average" in both places
Scores = dict[str, dict[str, tuple[float, float, float]]]


def main(
    train: Annotated[Path, typer.Option(help="the competition's training split, CSV")],
    out: Annotated[Path, typer.Option(help="folder for checkpoints")] = Path("runs/nlbse24"),
    test: Annotated[Path | None, typer.Option(help="the test split: for the final number")] = None,
    folds: Annotated[int | None, typer.Option(min=2, help="cross-validate on --train")] = None,
    config: Annotated[str, typer.Option(help="training configuration")] = "nlbse24",
    changes: Annotated[
        list[str] | None, typer.Option("--set", help="KEY=VALUE over the configuration")
    ] = None,
    json_out: Annotated[bool, typer.Option("--json", help="print the scores as JSON")] = False,
) -> None:
    """Train on the training split and print the official table."""
    if (test is None) == (folds is None):
        raise ConfigProblem("give either --folds (to choose) or --test (for the final number)")
    wait_without_spinning(os.environ)
    settings = start()
    chosen = configs.read(config, parsed(changes or []))
    rows = read(train)
    truth: list[Example] = []
    said: list[str] = []
    pairs = split_folds(rows, folds, seed=chosen.seed) if folds else [(rows, read(_given(test)))]
    for number, (fit, held_out) in enumerate(pairs):
        said += predict(fit, held_out, chosen, out / f"part-{number}", settings.data_dir)
        truth += held_out
    scores = official(truth, said)
    if json_out:
        typer.echo(json.dumps(scores))
    else:
        _print(scores)


def read(path: Path) -> list[Example]:
    """The rows of a competition file; BadRequest names a line that does not fit."""
    # Some bodies are longer than the csv module's default limit.
    csv.field_size_limit(sys.maxsize)
    found: list[Example] = []
    try:
        with path.open(encoding="utf-8", newline="") as stream:
            reader = csv.DictReader(stream)
            if not set(COLUMNS) <= set(reader.fieldnames or ()):
                raise BadRequest(f"{path}: the columns {', '.join(COLUMNS)} are expected")
            for row in reader:
                found.append(_example(path, reader.line_num, len(found), row))
    except OSError as error:
        raise ConfigProblem(f"cannot read {path}: {error.strerror}") from error
    return found


def _example(path: Path, line: int, number: int, row: Mapping[str, str | None]) -> Example:
    label = row["label"] or ""
    if label not in TAXONOMY[KIND].names:
        raise BadRequest(f"{path}, line {line}: {label!r} is not a class of the competition")
    return Example(
        id=f"{path.stem}-{number}",
        repository=row["repo"] or "",
        title=(row["title"] or "").strip()[:1024] or "(no title)",
        body=(row["body"] or "")[:65536],
        labels={KIND: Answer(label=label, provenance=Provenance.HUMAN)},
    )


def predict(
    fit: Sequence[Example],
    held_out: Sequence[Example],
    config: configs.TrainConfig,
    folder: Path,
    data_dir: Path,
) -> list[str]:
    """Train on `fit`, then the likeliest class of each report of `held_out`, in order."""
    # Imports torch; asking for --help must not.
    from app.core.decision import Thresholds  # noqa: PLC0415
    from training.finetune import finetune  # noqa: PLC0415
    from worker.model.scorer import Scorer  # noqa: PLC0415

    tuned = finetune(fit, [], config, TAXONOMY, folder, data_dir)
    scorer = Scorer(tuned.served, tuned.encoder, version="nlbse24", thresholds=Thresholds())
    scores = scorer.logits([example.text for example in held_out], TAXONOMY)[KIND]
    return [TAXONOMY[KIND].names[column] for column in scores.argmax(dim=-1).tolist()]


def official(truth: Sequence[Example], said: Sequence[str]) -> Scores:
    """Precision, recall and F1 a class and repository, with the competition's averages."""
    from sklearn.metrics import precision_recall_fscore_support  # noqa: PLC0415

    names = TAXONOMY[KIND].names
    found: Scores = {}
    for repository in sorted({example.repository for example in truth}):
        rows = [i for i, example in enumerate(truth) if example.repository == repository]
        measured = precision_recall_fscore_support(
            [truth[i].labels[KIND].label for i in rows],
            [said[i] for i in rows],
            labels=list(names),
            zero_division=0.0,
        )[:3]
        by_class = {name: tuple(map(float, v)) for name, *v in zip(names, *measured, strict=True)}
        found[repository] = {**by_class, "average": _mean(list(by_class.values()))}  # type: ignore[dict-item, arg-type]
    found["average"] = {
        name: _mean([found[repository][name] for repository in found])
        for name in (*names, "average")
    }
    return found


def _mean(rows: Sequence[tuple[float, float, float]]) -> tuple[float, float, float]:
    precision, recall, f1 = (sum(column) / len(rows) for column in zip(*rows, strict=True))
    return precision, recall, f1


def _given(path: Path | None) -> Path:
    if path is None:
        raise ConfigProblem("--test is missing")
    return path


def _print(scores: Scores) -> None:
    table = Table(title="NLBSE'24: F1 (precision / recall)", title_justify="left")
    table.add_column("repository")
    columns: list[str] = [*TAXONOMY[KIND].names, "average"]
    for column in columns:
        table.add_column(column)
    for repository, row in scores.items():
        cells: list[Any] = [f"{f1:.3f} ({p:.3f} / {r:.3f})" for p, r, f1 in map(row.get, columns)]  # type: ignore[misc]
        table.add_row(repository, *cells)
    Console().print(table)


if __name__ == "__main__":
    typer.run(main)
