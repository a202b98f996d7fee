"""Runs models and baselines over a data set and keeps what they said."""

from __future__ import annotations

import re
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from app.core.settings import Settings, load
from app.core.taxonomy import DEFAULT_TAXONOMY, Taxonomy
from training.baselines import Baseline, Keywords, Majority, TfIdf
from training.comparison import Comparison, Saved, compare
from training.evaluation import evaluate
from training.example import Example
from training.figures import Evaluation
from training.guard import find_leaks
from training.metrics import RESAMPLES
from training.predictions import Run, TrainingFacts, predictions_of, save

# The strongest of the classical baselines is what models are tested against.
REFERENCE = TfIdf.name


def model_run(
    examples: Sequence[Example],
    train: Sequence[Example] | None,
    model: str | None,
    adapter: str | None,
    name: str | None,
    seed: int | None,
    settings: Mapping[str, str | float],
    taxonomy: Taxonomy = DEFAULT_TAXONOMY,
) -> Saved:
    """Score `examples` as a worker would; ConfigProblem or ArtifactMismatch if it cannot.

    `train` are the rows the adapter learned from, if known: reports that resemble one are marked.
    """
    from worker.model.serve import build_scorer  # noqa: PLC0415 - torch is heavy

    wanted = {"model": model, "adapter": adapter}
    chosen: Settings = load(**{key: value for key, value in wanted.items() if value is not None})
    scorer = build_scorer(chosen, taxonomy)
    begun = time.perf_counter()
    said = scorer.score([example.text for example in examples], taxonomy)
    seconds = time.perf_counter() - begun
    run = Run.of(
        name or scorer.version,
        chosen.model,
        examples,
        taxonomy,
        seed=seed,
        training=TrainingFacts.of(train) if train is not None else None,
        settings={"version": scorer.version, **settings},
        seconds=seconds,
    )
    return run, predictions_of(examples, said, taxonomy, _seen(train, examples))


def baseline_runs(
    examples: Sequence[Example], train: Sequence[Example] | None, taxonomy: Taxonomy
) -> list[Saved]:
    """The classical baselines; those that learn need `train`."""
    found: list[tuple[Baseline, Sequence[Example] | None]] = [(Keywords(), None)]
    if train is not None:
        found += [(Majority(train, taxonomy), train), (TfIdf(train, taxonomy), train)]
    seen = _seen(train, examples)
    runs: list[Saved] = []
    for baseline, rows in found:
        begun = time.perf_counter()
        said = baseline.score([example.text for example in examples], taxonomy)
        run = Run.of(
            baseline.name,
            baseline.name,
            examples,
            taxonomy,
            family="baseline",
            training=TrainingFacts.of(rows) if rows is not None else None,
            settings=dict(baseline.settings),
            seconds=time.perf_counter() - begun,
        )
        runs.append((run, predictions_of(examples, said, taxonomy, seen)))
    return runs


def judged(
    runs: Sequence[Saved], resamples: int = RESAMPLES
) -> tuple[list[Evaluation], Comparison]:
    """Every run's figures, and all compared with TF-IDF (with the first run where it is absent)."""
    names = [run.name for run, _ in runs]
    reference = REFERENCE if REFERENCE in names else None
    found = [evaluate(*run, resamples) for run in runs]
    return found, compare(runs, reference, resamples)


def keep(folder: Path, runs: Sequence[Saved], evaluations: Sequence[Evaluation]) -> None:
    """Save each run, with its figures beside it, in a folder of its own below `folder`."""
    for (run, predictions), evaluation in zip(runs, evaluations, strict=True):
        stem = re.sub(r"[^a-z0-9.]+", "-", run.name.casefold()).strip("-.") or "run"
        place = folder / (stem if run.seed is None else f"{stem}-seed{run.seed}")
        save(place, run, predictions)
        text = evaluation.model_dump_json(indent=1) + "\n"
        (place / "evaluation.json").write_text(text, encoding="utf-8")


def _seen(train: Sequence[Example] | None, examples: Sequence[Example]) -> set[str] | None:
    return {leak.held_out for leak in find_leaks(train, examples)} if train is not None else None
