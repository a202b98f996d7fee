"""From a plan to a candidate on disk: trained, calibrated, judged beside the active model.

What was finished by an attempt that was killed is not done again.
"""

from __future__ import annotations

import gc
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import structlog

from app.core.errors import ArtifactMismatch
from app.core.manifest import Manifest, check
from app.core.manifest import load as load_manifest
from app.core.prompt import PROMPT_VERSION
from app.core.settings import Settings
from training import model_card
from training.evaluation import evaluate
from training.example import Example
from training.figures import Evaluation
from training.finetune import finetune, last_checkpoint
from training.gate import Rules, Verdict, judge
from training.predictions import Prediction, Run, TrainingFacts, predictions_of
from training.retraining import plan as plans
from training.retraining.plan import Plan
from training.ship import CONFIG, ship
from worker.model.presets import resolve
from worker.model.serve import NO_ADAPTER, adapter_folder, build_scorer
from worker.model.store import ModelStore

log = structlog.get_logger()

ADAPTER = "adapter"


@dataclass(frozen=True)
class Candidate:
    """An adapter in `folder`, ready for the model store, and the gate's verdict on it."""

    folder: Path
    manifest: Manifest
    verdict: Verdict


def make(
    plan: Plan, folder: Path, rules: Rules, settings: Settings, store: ModelStore
) -> Candidate:
    """Carry `plan` out in its `folder`.

    ConfigProblem or ArtifactMismatch when base, active adapter or rows cannot be used.
    """
    active = _active_folder(plan, settings, store)
    parent = load_manifest(active) if active is not None else None
    adapter = folder / ADAPTER
    # The last file that shipping writes.
    if not (adapter / CONFIG).is_file():
        _train(plan, folder, active, parent, settings)
    holdout = plans.rows(folder, plan, "holdout")
    new, old = (_said(plan, a, holdout, settings) for a in (adapter, active))
    verdict = judge(new, old, plan.taxonomy, rules)
    return Candidate(adapter, _describe(plan, folder, parent, new, old, verdict), verdict)


def _train(
    plan: Plan, folder: Path, active: Path | None, parent: Manifest | None, settings: Settings
) -> None:
    goes_on = plan.start == "active" and active is not None
    fit = [*plans.rows(folder, plan, "replay"), *plans.rows(folder, plan, "fit")]
    tuned = finetune(
        fit,
        [],
        plan.config,
        plan.taxonomy,
        folder,
        settings.data_dir,
        device=settings.device,
        resume=last_checkpoint(folder) is not None,
        start=active if goes_on else None,
        report_to=[],
    )
    calibration = plans.rows(folder, plan, "calibration")
    ship(tuned, fit, calibration, plan.taxonomy, folder / ADAPTER, parent if goes_on else None)
    del tuned
    gc.collect()


def _active_folder(plan: Plan, settings: Settings, store: ModelStore) -> Path | None:
    """The adapter that answers now; None if the base model does by itself."""
    preset = resolve(settings.model)
    if plan.origin is None:
        return adapter_folder(settings, preset)
    found = store.fetch(plan.origin.uri, plan.origin.digest)
    try:
        check(
            load_manifest(found),
            base_model=preset.name,
            base_revision=None,
            prompt_version=PROMPT_VERSION,
            taxonomy=None,
        )
    except ArtifactMismatch as error:
        # TRIORA_MODEL is another one since: no worker can load it, their own adapter answers.
        log.warning("active.unfit", version=plan.origin.version, reason=str(error))
        return adapter_folder(settings, preset)
    return found


def _said(
    plan: Plan, adapter: Path | None, holdout: Sequence[Example], settings: Settings
) -> list[Prediction]:
    """What serving with `adapter`, or with the base model, says of the holdout.

    Serving asks an adapter for labels that it was not trained for, too: so must the gate, or a
    candidate would be compared with less than what answers now.
    """
    chosen = settings.model_copy(update={"adapter": str(adapter) if adapter else NO_ADAPTER})
    scorer = build_scorer(chosen, None)
    scores = scorer.score([example.text for example in holdout], plan.taxonomy)
    # A prediction keeps no word of a report: figures and cards are made of them.
    return [
        said.model_copy(update={"title": ""})
        for said in predictions_of(holdout, scores, plan.taxonomy)
    ]


def _describe(
    plan: Plan,
    folder: Path,
    parent: Manifest | None,
    new: Sequence[Prediction],
    old: Sequence[Prediction],
    verdict: Verdict,
) -> Manifest:
    """Figures into the manifest, and the card beside it."""
    adapter = folder / ADAPTER
    manifest = load_manifest(adapter)
    holdout = plans.rows(folder, plan, "holdout")
    parts = {part: plans.rows(folder, plan, part) for part in plans.PARTS}
    facts = TrainingFacts.of([*parts["replay"], *parts["fit"]])
    names = (manifest.version, parent.version if parent is not None else "the base model")
    figures: list[Evaluation] = [
        evaluate(Run.of("model", name, holdout, plan.taxonomy, training=facts), said)
        for name, said in zip(names, (new, old), strict=True)
    ]
    manifest = manifest.model_copy(update={"metrics": _metrics(figures[0], verdict)})
    manifest.save(adapter)
    card = model_card.markdown(plan, manifest, parts, figures[0], figures[1], verdict)
    (adapter / model_card.NAME).write_text(card, encoding="utf-8")
    return manifest


def _metrics(figures: Evaluation, verdict: Verdict) -> dict[str, float]:
    values = {
        f"{d.dimension} accuracy": d.accuracy.value
        for d in (figures.slice("all") or figures.main).dimensions
    } | {
        "accuracy": verdict.accuracy.candidate.value,
        "calibration error": verdict.calibration_error.candidate.value,
        "holdout reports": float(verdict.issues),
    }
    return {name: round(value, 4) for name, value in values.items() if value is not None}
