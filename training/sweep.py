"""Many training runs over the same data, each evaluated on the same reports, then compared.

A variant that finished before is not trained again, and one that was interrupted is resumed, so a
sweep can be stopped and started as often as a machine is to be had.
"""

from __future__ import annotations

import itertools
import shutil
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import structlog

from app.core import manifest
from app.core.taxonomy import DEFAULT_TAXONOMY
from training import bench, config, dataset
from training.comparison import Comparison, Saved
from training.figures import Evaluation
from training.finetune import CHECKPOINTS
from training.predictions import load
from training.train import ADAPTER, Run, train

log = structlog.get_logger()

EVALUATED = "evaluated"


@dataclass(frozen=True)
class Variant:
    """One cell of the grid: what is laid over the configuration, and over the run."""

    name: str
    changes: Mapping[str, Any]
    limit: int | None
    seed: int

    @property
    def folder(self) -> str:
        """Name of its folder below the sweep's."""
        return f"{self.name.replace('=', '-').replace(' ', '_')}-seed{self.seed}"


def grid(
    axes: Mapping[str, Sequence[Any]], limits: Sequence[int | None], seeds: Sequence[int]
) -> Iterator[Variant]:
    """Every combination of the axes (dotted key -> values), of data sizes and of seeds.

    Runs of one name differ by seed alone: a comparison averages over them.
    """
    keys = list(axes)
    for values in itertools.product(*axes.values()):
        for limit in limits:
            changes = dict(zip(keys, values, strict=True))
            parts = [f"{key.rpartition('.')[2]}={value}" for key, value in changes.items()]
            if limit is not None:
                parts.append(f"rows={limit}")
            for seed in seeds:
                yield Variant(" ".join(parts) or "default", changes, limit, seed)


def sweep(
    base: Run, name: str, variants: Sequence[Variant], data: Path, model: str
) -> tuple[Comparison, list[Evaluation]]:
    """Train and evaluate each variant on `data`, and compare them all with the baselines.

    `base.folder` gets a folder a variant and `baselines/`. `model` is the base model's name, for
    serving. Errors are those of `train`.
    """
    examples = dataset.read(data).refuse_problems()
    rows = [e for path in base.data for e in dataset.read(path, source=base.source).examples]
    saved: list[Saved] = []
    for variant in variants:
        folder = base.folder / variant.folder
        if not (folder / EVALUATED).is_dir():
            _train_one(base, name, variant, folder)
            used = rows[: variant.limit] if variant.limit is not None else rows
            run = bench.model_run(
                examples,
                used,
                model,
                str(folder / ADAPTER),
                variant.name,
                variant.seed,
                {key.rpartition(".")[2]: value for key, value in variant.changes.items()},
            )
            evaluations, _ = bench.judged([run])
            bench.keep(folder / EVALUATED, [run], evaluations)
        (kept,) = (folder / EVALUATED).iterdir()
        saved.append(load(kept))
    saved += bench.baseline_runs(examples, rows, DEFAULT_TAXONOMY)
    evaluations, comparison = bench.judged(saved)
    bench.keep(base.folder / "baselines", saved[len(variants) :], evaluations[len(variants) :])
    return comparison, evaluations


def _train_one(base: Run, name: str, variant: Variant, folder: Path) -> None:
    if (folder / ADAPTER / manifest.MANIFEST).is_file():
        return
    chosen = config.read(name, {**variant.changes, "seed": variant.seed})
    resume = any((folder / CHECKPOINTS).glob("checkpoint-*"))
    log.info("sweep.variant", name=variant.name, seed=variant.seed, resume=resume)
    train(replace(base, folder=folder, limit=variant.limit, resume=resume), chosen)
    # Optimiser states are only for resuming, and a sweep makes many.
    shutil.rmtree(folder / CHECKPOINTS, ignore_errors=True)
