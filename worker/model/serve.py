"""The scorer a worker serves with, from its settings."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import structlog
from transformers import PreTrainedModel

from app.core.decision import Thresholds
from app.core.errors import ConfigProblem
from app.core.manifest import Manifest
from app.core.prompt import PROMPT_VERSION
from app.core.settings import Settings
from app.core.taxonomy import DEFAULT_TAXONOMY, Taxonomy
from worker.model import adapter, hardware, loading
from worker.model.encoding import Encoder
from worker.model.hardware import Hardware
from worker.model.loading import Base
from worker.model.presets import Preset, resolve
from worker.model.quiet import hush
from worker.model.scorer import NOTHING, Scorer

log = structlog.get_logger()

NO_ADAPTER = "none"
# The adapter that a process is started with, on a model that holds several.
OWN = "own"


@dataclass(frozen=True, slots=True)
class Started:
    """A base in memory with the scorer of the adapter it was started with, merged into it or not.

    `base.model` is not the base any more: adapters are in it.
    """

    scorer: Scorer
    base: Base
    machine: Hardware
    merged: bool


def build_scorer(
    settings: Settings,
    taxonomy: Taxonomy | None = DEFAULT_TAXONOMY,
    *,
    machine: Hardware | None = None,
) -> Scorer:
    """Load base model and adapter as `settings` say; takes seconds to minutes.

    See `start`; `machine`: device and number format.
    """
    return start(settings, taxonomy, machine=machine).scorer


def start(
    settings: Settings,
    taxonomy: Taxonomy | None = DEFAULT_TAXONOMY,
    *,
    machine: Hardware | None = None,
    merge: bool = True,
) -> Started:
    """Load base model and adapter as `settings` say.

    The adapter is `settings.adapter`, or the shipped one of the model, or none. It must have been
    trained for the dimensions of `taxonomy`; None: for whichever, as when a repository with labels
    of its own is served. `machine`: device and number format, by default what `settings.device`
    computes fast. merge: add the adapter into the weights where they are not packed; otherwise
    others may stand beside it. ConfigProblem when weights are absent, ArtifactMismatch when they do
    not belong together.
    """
    hush()
    hardware.use_cores()
    machine = machine or hardware.detect(settings.device)
    preset = resolve(settings.model)
    folder = adapter_folder(settings, preset)
    base = loading.load(preset, settings.data_dir, machine)
    found = adapter.verified(folder, base, taxonomy) if folder else None
    tried = taxonomy or DEFAULT_TAXONOMY
    model = loading.expand(base.model, machine)
    merged = merge and folder is not None and not loading.is_packed(model)
    if folder is not None:
        model = adapter.merge(model, folder) if merged else adapter.load(model, folder, OWN)
    own = None if merged or folder is None else OWN
    scorer = scorer_of(model, base, found, settings, machine, own)
    if found:
        adapter.check_answers(found, scorer.encoder, tried)
    # The first pass compiles kernels; a mismatch of tokenizer and taxonomy shows here, not later.
    scorer.score([NOTHING], tried)
    log.info(
        "model.loaded",
        version=scorer.version,
        device=str(machine.device),
        dtype=str(machine.dtype),
        merged=merged,
    )
    return Started(scorer, base, machine, merged)


def scorer_of(
    model: PreTrainedModel,
    base: Base,
    found: Manifest | None,
    settings: Settings,
    machine: Hardware,
    name: str | None = None,
) -> Scorer:
    """The scorer of the adapter with manifest `found`, or of the base without one.

    name: what the adapter is called on a model that holds several.
    """
    preset = base.preset
    encoder = Encoder(
        base.tokenizer,
        found.text_tokens if found else preset.text_tokens,
        context=getattr(model.config, "max_position_embeddings", None),
    )
    return Scorer(
        model,
        encoder,
        version=found.version if found else f"{preset.name}/zero-shot/{PROMPT_VERSION}",
        thresholds=_thresholds(settings, found),
        calibration=found.calibration if found else None,
        vocabulary=found.vocabulary if found else None,
        batch_tokens=machine.batch_tokens,
        adapter=name,
    )


def _thresholds(settings: Settings, found: Manifest | None) -> Thresholds:
    """What the operator says holds for every label; then what the adapter was fitted with."""
    if settings.threshold is not None:
        return Thresholds(default=settings.threshold)
    return found.thresholds if found else Thresholds()


def adapter_folder(settings: Settings, preset: Preset) -> Path | None:
    """The adapter that a process starts with; None for none. ConfigProblem if it is no folder."""
    if settings.adapter == NO_ADAPTER:
        return None
    if settings.adapter is None:
        return preset.shipped_adapter if preset.shipped_adapter.is_dir() else None
    folder = Path(settings.adapter).expanduser()
    if not folder.is_dir():
        raise ConfigProblem(
            f"TRIORA_ADAPTER={settings.adapter} is not a folder: give the folder that"
            f" `triora train` wrote, or '{NO_ADAPTER}'"
        )
    return folder
