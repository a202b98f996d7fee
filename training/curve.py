"""The learning curve: how good a model gets from how many labels, beside TF-IDF on the same rows.

A point is an amount of labels: the keyword rules' on every row (no reading at all), or the read
labels of the first N rows. Points are trained here, or taken from adapters that were trained
elsewhere; whatever is trained or evaluated stays in the folder and is not made again.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import structlog

from app.core import manifest
from app.core.errors import BadRequest, ConfigProblem
from training import bench, config, dataset
from training.baselines import TfIdf
from training.comparison import Comparison, Contrast, Saved, Standing, compare
from training.dataset import Source
from training.example import Example
from training.figures import Record, Scope
from training.metrics import RESAMPLES
from training.predictions import save
from training.ship import CONFIG
from training.significance import LEVEL, holm
from training.split import split
from training.sweep import EVALUATED, Variant, kept_baselines, kept_run, rows_of, train_variant
from training.train import ADAPTER, Run

log = structlog.get_logger()

KEYWORDS, ALL = "keyword", "all"
SCOPES: tuple[Scope, ...] = ("bugs", "all")


@dataclass(frozen=True)
class Size:
    """An amount of labels: the first `limit` rows, all of them without, labelled by `source`."""

    source: Source
    limit: int | None

    @property
    def name(self) -> str:
        """How tables and folders call it."""
        if self.source == "keyword_labels":
            return "keyword labels only"
        return f"{self.limit} read reports" if self.limit else "all read reports"


@dataclass(frozen=True)
class Plan:
    """What a curve is made of. `given`: adapters of a size that exist already, one a seed.

    `train`: train the sizes that none is given for; a size without an adapter shows its baselines.
    """

    config: str
    changes: Mapping[str, object]
    sizes: Sequence[Size]
    seeds: Sequence[int]
    given: Mapping[Size, Sequence[Path]]
    train: bool = True


class CurvePoint(Record):
    """One size in one scope: the model and TF-IDF after learning from the same rows.

    `model` is None where no adapter was trained. `against_before` is the model's gain over the
    size before it, among read labels. `elsewhere`: an adapter that learned from other rows.
    """

    name: str
    scope: Scope
    rows: int
    read: bool
    model: Standing | None
    tfidf: Standing
    against_tfidf: Contrast | None = None
    against_before: Contrast | None = None
    elsewhere: bool = False


class Curve(Record):
    """A whole curve. `flat` is what no number of labels changes: the majority class, the rules."""

    base: str
    digest: str
    rows: int
    points: tuple[CurvePoint, ...]
    flat: tuple[Standing, ...]

    def of(self, scope: Scope) -> list[CurvePoint]:
        """The points of a scope, in their order."""
        return [p for p in self.points if p.scope == scope]

    def flat_of(self, scope: Scope) -> list[Standing]:
        """The flat lines of a scope, the best first."""
        return sorted(
            (s for s in self.flat if s.scope == scope), key=lambda s: -(s.accuracy.value or 0)
        )


def sizes_of(text: str) -> list[Size]:
    """`keyword,100,200,all` as sizes; ConfigProblem for anything else."""
    return [size_of(part.strip()) for part in text.split(",")]


def size_of(text: str) -> Size:
    """One size by its word or number."""
    if text == KEYWORDS:
        return Size("keyword_labels", None)
    if text == ALL:
        return Size("labels", None)
    if not text.isdigit() or int(text) == 0:
        raise ConfigProblem(f"size {text!r}: write {KEYWORDS}, {ALL} or a number of reports")
    return Size("labels", int(text))


def curve(base: Run, plan: Plan, test: Path, resamples: int = RESAMPLES) -> Curve:
    """Train what is missing, evaluate every point and its baselines on `test`, compare.

    `base` names data and folder; its source, limit and resume are set for each point. Errors are
    those of `train`; ArtifactMismatch for a given adapter that is broken.
    """
    examples = dataset.read(test).refuse_problems()
    model = config.read(plan.config, dict(plan.changes)).base
    found: list[tuple[Size, list[Saved], Saved, bool]] = []
    flat: list[Saved] = []
    for size in plan.sizes:
        rows = rows_of(replace(base, source=size.source))
        if size.limit is not None and size.limit > len(rows):
            raise BadRequest(f"{size.name}: there are only {len(rows)} rows to train on")
        rows = rows[: size.limit]
        tfidf, *others = _baselines(base.folder, size, examples, rows)
        if size.source == "labels" or not flat:
            # Of the last read size, which has the most rows: by size they hardly differ.
            flat = others
        adapters = list(plan.given.get(size, ())) or _trained(base, plan, size)
        runs = [_evaluated(base.folder, size, one, examples, rows, model) for one in adapters]
        elsewhere = any(not learned_from(one, rows) for one in adapters)
        if elsewhere:
            log.warning("curve.other_rows", size=size.name)
        found.append((size, runs, tfidf, elsewhere))
    points = [p for scope in SCOPES for p in _points(found, scope, resamples)]
    standing = compare(flat, None, resamples).standings if flat else ()
    return Curve(
        base=model,
        digest=dataset.digest(examples),
        rows=len(examples),
        points=tuple(points),
        flat=tuple(standing),
    )


def learned_from(adapter: Path, rows: Sequence[Example]) -> bool:
    """Whether the adapter in that folder was trained on these rows, by the digest it carries.

    `triora train` keeps part of its rows for calibration: the digest is that of the others.
    """
    told = manifest.load(adapter)
    try:
        kept = config.TrainConfig.model_validate_json((adapter / CONFIG).read_bytes())
    except (OSError, ValueError):
        return told.data_digest == dataset.digest(rows)
    share = kept.holdout.share
    if share:
        rows = split(rows, {"fit": 1 - share, "holdout": share}, seed=kept.seed)["fit"]
    return told.data_digest == dataset.digest(rows)


def _trained(base: Run, plan: Plan, size: Size) -> list[Path]:
    """An adapter a seed, trained now unless it was before; those there are if nothing may train."""
    found = []
    for seed in plan.seeds:
        variant = Variant(size.name, dict(plan.changes), size.limit, seed)
        folder = base.folder / variant.folder
        if plan.train:
            train_variant(replace(base, source=size.source), plan.config, variant, folder)
        if (folder / ADAPTER / manifest.MANIFEST).is_file():
            found.append(folder / ADAPTER)
    return found


def _evaluated(
    folder: Path,
    size: Size,
    adapter: Path,
    examples: Sequence[Example],
    rows: Sequence[Example],
    model: str,
) -> Saved:
    told = manifest.load(adapter)
    place = folder / EVALUATED / f"{size.name} {told.weights_sha256[:12]}".replace(" ", "-")
    kept = kept_run(place, examples, rows)
    if kept is None:
        log.info("curve.evaluate", size=size.name, version=told.version)
        name = f"model, {size.name}"
        kept = bench.model_run(examples, rows, model, str(adapter), name, _seed(adapter), {})
        save(place, *kept)
    return kept


def _seed(adapter: Path) -> int | None:
    try:
        return config.TrainConfig.model_validate_json((adapter / CONFIG).read_bytes()).seed
    except (OSError, ValueError):
        return None


def _baselines(
    folder: Path, size: Size, examples: Sequence[Example], rows: Sequence[Example]
) -> list[Saved]:
    """TF-IDF of this size first; then the others."""
    place = folder / EVALUATED / f"baselines {size.name}".replace(" ", "-")
    whole = kept_baselines(place, examples, rows)
    first = next(one for one in whole if one[0].name == TfIdf.name)
    run = first[0].model_copy(update={"name": f"TF-IDF, {size.name}"})
    return [(run, first[1]), *(one for one in whole if one is not first)]


def _points(
    found: Sequence[tuple[Size, list[Saved], Saved, bool]], scope: Scope, resamples: int
) -> list[CurvePoint]:
    points: list[CurvePoint] = []
    before: list[Saved] = []
    for size, runs, tfidf, elsewhere in found:
        beside = compare([*runs, tfidf], tfidf[0].name, resamples)
        said = _standing(beside, tfidf[0].name, scope)
        if said is None:
            continue
        read = size.source == "labels"
        gain = None
        if read and runs and before:
            gain = compare([*runs, *before], before[0][0].name, resamples)
        points.append(
            CurvePoint(
                name=size.name,
                scope=scope,
                rows=said.training_rows or 0,
                read=read,
                model=_standing(beside, runs[0][0].name, scope) if runs else None,
                tfidf=said,
                against_tfidf=beside.contrast(runs[0][0].name, scope) if runs else None,
                against_before=gain.contrast(runs[0][0].name, scope) if gain else None,
                elsewhere=elsewhere,
            )
        )
        if read and runs:
            before = runs
    return _corrected(_corrected(points, "against_tfidf"), "against_before")


def _standing(comparison: Comparison, name: str, scope: Scope) -> Standing | None:
    return next((s for s in comparison.of(scope) if s.name == name), None)


def _corrected(points: Sequence[CurvePoint], which: str) -> list[CurvePoint]:
    """Holm's correction over the sizes, which are as many tests."""
    tested: list[tuple[int, Contrast]] = [
        (at, contrast) for at, p in enumerate(points) if (contrast := getattr(p, which)) is not None
    ]
    corrected = list(points)
    for (at, contrast), p in zip(tested, holm([c.p for _, c in tested]), strict=True):
        update = {"p_corrected": p, "significant": p < LEVEL}
        corrected[at] = points[at].model_copy(update={which: contrast.model_copy(update=update)})
    return corrected
