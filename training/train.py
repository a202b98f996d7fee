"""One training run: read and check the data, keep a holdout, fine-tune, calibrate, ship."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import structlog

from app.core.manifest import Manifest
from app.core.taxonomy import DEFAULT_TAXONOMY, Taxonomy
from training import dataset, guard
from training.config import TrainConfig
from training.dataset import Source
from training.example import Example
from training.finetune import finetune
from training.ship import ship
from training.split import split

log = structlog.get_logger()

ADAPTER = "adapter"

LEAKS = ("refuse", "drop", "keep")


@dataclass(frozen=True)
class Run:
    """Where a run leaves things and what it trains on.

    `folder` gets `adapter/` (what serving loads), `checkpoints/` and logs. `avoid` is data the
    figures will be computed on: a near-duplicate of it in the training data is an error, unless
    `leaks` says to drop it from training, or to keep it knowingly.
    """

    data: Sequence[Path]
    folder: Path
    data_dir: Path
    avoid: Sequence[Path] = ()
    leaks: str = "refuse"
    source: Source = "labels"
    limit: int | None = None
    device: str = "auto"
    resume: bool = False
    report_to: Sequence[str] = ("tensorboard",)


def train(run: Run, config: TrainConfig, taxonomy: Taxonomy = DEFAULT_TAXONOMY) -> Manifest:
    """Run it whole; the manifest says what came out.

    BadRequest for malformed rows, unknown labels, empty classes or leakage, naming rows;
    ConfigProblem for a run that cannot start.
    """
    examples, lines = _read(run.data, taxonomy, run.source)
    held_out, _ = _read(run.avoid, taxonomy, "labels")
    if run.leaks == "drop":
        examples = guard.without_leaks(examples, held_out)
    # Of all rows: the first few of a learning curve need not show every label.
    guard.check(
        examples,
        taxonomy,
        dimensions=_answered(examples) if run.source != "labels" else None,
        held_out=held_out,
        lines=lines,
        leaks=run.leaks == "refuse",
    )
    if run.limit is not None:
        examples = examples[: run.limit]
    fit, holdout = _keep_holdout(examples, config)
    log.info("training.data", rows=len(examples), fit=len(fit), holdout=len(holdout))
    tuned = finetune(
        fit,
        holdout,
        config,
        taxonomy,
        run.folder,
        run.data_dir,
        device=run.device,
        resume=run.resume,
        report_to=run.report_to,
    )
    return ship(tuned, fit, holdout, taxonomy, run.folder / ADAPTER)


def _answered(examples: Sequence[Example]) -> set[str]:
    """The dimensions weak rules answer at all: not every one has rules."""
    return {name for example in examples for name in example.labels}


def _read(
    paths: Sequence[Path], taxonomy: Taxonomy, source: Source
) -> tuple[list[Example], dict[str, int]]:
    examples: list[Example] = []
    lines: dict[str, int] = {}
    for path in paths:
        reading = dataset.read(path, taxonomy=taxonomy, source=source)
        examples += reading.refuse_problems()
        lines |= reading.lines
    return examples, lines


def _keep_holdout(
    examples: Sequence[Example], config: TrainConfig
) -> tuple[list[Example], list[Example]]:
    share = config.holdout.share
    if share == 0:
        return list(examples), []
    parts = split(examples, {"fit": 1 - share, "holdout": share}, seed=config.seed)
    return parts["fit"], parts["holdout"]
