"""One training run: read and check the data, keep a holdout, fine-tune, calibrate, ship."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import structlog

from app.core.manifest import Manifest, check
from app.core.manifest import load as load_manifest
from app.core.prompt import PROMPT_VERSION
from app.core.taxonomy import DEFAULT_TAXONOMY, Taxonomy
from training import dataset, guard, keywords
from training.config import TrainConfig
from training.example import Example
from training.finetune import finetune
from training.ship import ship
from training.split import split
from worker.model.presets import resolve

log = structlog.get_logger()

ADAPTER = "adapter"

LEAKS = ("refuse", "drop", "keep")

# What a row is taken to say: its labels, the weak labels it came with, or what our rules guess.
Source = Literal["labels", "keyword_labels", "rules"]
SOURCES: tuple[Source, ...] = ("labels", "keyword_labels", "rules")


@dataclass(frozen=True)
class Run:
    """Where a run leaves things and what it trains on.

    `folder` gets `adapter/` (what serving loads), `checkpoints/` and logs. `avoid` is data the
    figures will be computed on: a near-duplicate of it in the training data is an error, unless
    `leaks` says to drop it from training, or to keep it knowingly. `start` is an adapter to go on
    from: its shape holds then, not the configuration's.
    """

    data: Sequence[Path]
    folder: Path
    data_dir: Path
    avoid: Sequence[Path] = ()
    leaks: str = "refuse"
    source: Source = "labels"
    limit: int | None = None
    start: Path | None = None
    device: str = "auto"
    resume: bool = False
    report_to: Sequence[str] = ("tensorboard",)


def train(run: Run, config: TrainConfig, taxonomy: Taxonomy = DEFAULT_TAXONOMY) -> Manifest:
    """Run it whole; the manifest says what came out.

    BadRequest for malformed rows, unknown labels, empty classes or leakage, naming rows;
    ConfigProblem for a run that cannot start, ArtifactMismatch for an adapter to go on from that
    belongs to another base, prompt or taxonomy.
    """
    parent = _parent(run.start, config, taxonomy) if run.start is not None else None
    examples, lines = read_rows(run.data, taxonomy, run.source)
    held_out, _ = read_rows(run.avoid, taxonomy, "labels")
    if run.leaks == "drop":
        examples = guard.without_leaks(examples, held_out)
    # Of all rows: the first few of a learning curve need not show every label.
    guard.check(
        examples,
        taxonomy,
        dimensions=_must_show_every_label(examples, run.source),
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
        start=run.start,
        report_to=run.report_to,
    )
    return ship(tuned, fit, holdout, taxonomy, run.folder / ADAPTER, parent)


def _parent(start: Path, config: TrainConfig, taxonomy: Taxonomy) -> Manifest:
    found = load_manifest(start)
    check(
        found,
        base_model=resolve(config.base).name,
        base_revision=None,
        prompt_version=PROMPT_VERSION,
        taxonomy=taxonomy,
    )
    return found


def _must_show_every_label(examples: Sequence[Example], source: Source) -> set[str] | None:
    """Dimensions in which a label without a row is an error; None for all of the taxonomy."""
    if source == "labels":
        return None
    # Rules may have nothing to say for a label, and nothing can be collected against that.
    return set() if source == "rules" else {n for example in examples for n in example.labels}


def read_rows(
    paths: Sequence[Path], taxonomy: Taxonomy, source: Source
) -> tuple[list[Example], dict[str, int]]:
    """The rows of `paths` as `source` labels them, and the line of each by its id.

    BadRequest names the first malformed lines.
    """
    examples: list[Example] = []
    lines: dict[str, int] = {}
    for path in paths:
        read: dataset.Source = "labels" if source == "rules" else source
        reading = dataset.read(path, taxonomy=taxonomy, source=read)
        examples += reading.refuse_problems()
        lines |= reading.lines
    if source == "rules":
        examples = [keywords.guessed(example, taxonomy) for example in examples]
    return examples, lines


def _keep_holdout(
    examples: Sequence[Example], config: TrainConfig
) -> tuple[list[Example], list[Example]]:
    share = config.holdout.share
    if share == 0:
        return list(examples), []
    parts = split(examples, {"fit": 1 - share, "holdout": share}, seed=config.seed)
    return parts["fit"], parts["holdout"]
