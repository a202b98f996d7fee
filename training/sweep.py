"""Many training runs over the same data, each evaluated on the same reports, then compared.

A variant that finished before is not trained again, and one that was interrupted is resumed, so a
sweep can be stopped and started as often as a machine is to be had.
"""

from __future__ import annotations

import itertools
import re
import shutil
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import structlog

from app.core import manifest
from app.core.errors import ConfigProblem
from app.core.taxonomy import DEFAULT_TAXONOMY
from training import bench, config, dataset, guard
from training.comparison import Comparison, Saved, between
from training.example import Example
from training.figures import Evaluation
from training.finetune import CHECKPOINTS, last_checkpoint
from training.metrics import RESAMPLES
from training.predictions import RUN, load, save
from training.ship import CONFIG
from training.train import ADAPTER, Run, read_rows, train

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
        return f"{re.sub('[^A-Za-z0-9.]+', '-', self.name).strip('-')}-seed{self.seed}"


def grid(
    axes: Mapping[str, Sequence[Any]], limits: Sequence[int | None], seeds: Sequence[int]
) -> Iterator[Variant]:
    """Every combination of the axes (dotted key -> values), of data sizes and of seeds.

    Runs of one name differ by seed alone: a comparison averages over them. A setting with one value
    is everybody's and no part of the name.
    """
    keys = list(axes)
    for values in itertools.product(*axes.values()):
        for limit in limits:
            changes = dict(zip(keys, values, strict=True))
            parts = [
                f"{key.rpartition('.')[2]}={value}"
                for key, value in changes.items()
                if len(axes[key]) > 1
            ]
            if limit is not None:
                parts.append(f"rows={limit}")
            for seed in seeds:
                yield Variant(" ".join(parts) or "default", changes, limit, seed)


def sweep(
    base: Run, name: str, variants: Sequence[Variant], data: Path, resamples: int = RESAMPLES
) -> tuple[Comparison, list[Evaluation]]:
    """Train and evaluate each variant on `data`, and compare them all with the baselines.

    Variants are also tested against each other, pair by pair. `base.folder` gets a folder a variant
    and `baselines/`. Errors are those of `train`.
    """
    examples = dataset.read(data).refuse_problems()
    rows = rows_of(base)
    saved = [_entrant(base, name, variant, examples, rows) for variant in variants]
    baselines = kept_baselines(base.folder / "baselines", examples, rows)
    evaluations, comparison = bench.judged([*saved, *baselines], resamples)
    pairs = between(saved, resamples) if saved else ()
    return comparison.model_copy(update={"between": pairs}), evaluations


def _entrant(
    base: Run, name: str, variant: Variant, examples: Sequence[Example], rows: Sequence[Example]
) -> Saved:
    folder = base.folder / variant.folder
    train_variant(base, name, variant, folder)
    used = rows[: variant.limit]
    kept = kept_run(folder / EVALUATED, examples, used)
    if kept is None:
        told = {key.rpartition(".")[2]: value for key, value in variant.changes.items()}
        model = config.read(name, dict(variant.changes)).base
        kept = bench.model_run(
            examples, used, model, str(folder / ADAPTER), variant.name, variant.seed, told
        )
        save(folder / EVALUATED, *kept)
    return kept[0].model_copy(update={"name": variant.name}), kept[1]


def kept_run(place: Path, examples: Sequence[Example], rows: Sequence[Example]) -> Saved | None:
    """What was saved there, if it is about these reports after learning from these rows."""
    if not (place / RUN).is_file():
        return None
    run, predictions = load(place)
    if run.digest != dataset.digest(examples):
        return None
    if run.training is not None and run.training.digest != dataset.digest(rows):
        return None
    return run, predictions


def kept_baselines(
    place: Path, examples: Sequence[Example], rows: Sequence[Example]
) -> list[Saved]:
    """The classical baselines after learning from these rows, made once and kept in `place`."""
    kept = [kept_run(one, examples, rows) for one in sorted(place.glob("*"))]
    whole = [one for one in kept if one is not None]
    if whole and len(whole) == len(kept):
        return whole
    log.info("sweep.baselines", rows=len(rows))
    made = bench.baseline_runs(examples, rows, DEFAULT_TAXONOMY)
    # Together or not at all: what is half there is made again.
    part = place.with_name(f"{place.name}.part")
    for folder in (place, part):
        shutil.rmtree(folder, ignore_errors=True)
    for number, one in enumerate(made):
        save(part / str(number), *one)
    part.rename(place)
    return made


def rows_of(base: Run) -> list[Example]:
    """The rows a run without a limit learns from, in their order."""
    rows, _ = read_rows(base.data, DEFAULT_TAXONOMY, base.source)
    if base.leaks != "drop":
        return rows
    held_out, _ = read_rows(base.avoid, DEFAULT_TAXONOMY, "labels")
    return guard.without_leaks(rows, held_out)


def train_variant(base: Run, name: str, variant: Variant, folder: Path) -> None:
    """Train it into `folder`, go on with it where it was interrupted, or leave it if it is done.

    ConfigProblem when what is there was trained with other settings.
    """
    chosen = config.read(name, {**variant.changes, "seed": variant.seed})
    if (folder / ADAPTER / manifest.MANIFEST).is_file():
        _same_settings(folder / ADAPTER, chosen)
        return
    resume = last_checkpoint(folder) is not None
    log.info("sweep.variant", name=variant.name, seed=variant.seed, resume=resume)
    train(replace(base, folder=folder, limit=variant.limit, resume=resume), chosen)
    # Optimiser states are only for resuming, and a sweep makes many.
    shutil.rmtree(folder / CHECKPOINTS, ignore_errors=True)


def _same_settings(adapter: Path, chosen: config.TrainConfig) -> None:
    kept = config.TrainConfig.model_validate_json((adapter / CONFIG).read_bytes())
    was, wanted = kept.model_dump(), chosen.model_dump()
    other = [key for key in wanted if was[key] != wanted[key]]
    if other:
        raise ConfigProblem(
            f"{adapter} was trained with other settings ({', '.join(other)}): choose another --out,"
            " or remove it"
        )
