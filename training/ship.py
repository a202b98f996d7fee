"""From a trained adapter in memory to a folder that serving accepts: weights, manifest, config."""

from __future__ import annotations

import importlib.metadata
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path

import torch
from peft import get_peft_model_state_dict
from safetensors.torch import save_file

from app.core import manifest
from app.core.decision import Thresholds
from app.core.manifest import Calibration, Manifest
from app.core.prompt import PROMPT_VERSION
from app.core.taxonomy import Taxonomy
from training import dataset, fitting
from training.example import Example
from training.finetune import Tuned
from worker.model.scorer import Scorer

LIBRARIES = ("torch", "transformers", "peft", "bitsandbytes", "accelerate", "triora")
CONFIG = "train.json"


def ship(
    tuned: Tuned,
    train: Sequence[Example],
    holdout: Sequence[Example],
    taxonomy: Taxonomy,
    folder: Path,
    parent: Manifest | None = None,
) -> Manifest:
    """Calibrate on `holdout`, then write adapter, manifest and configuration into `folder`.

    Where `holdout` says too little of a dimension, what `parent` was calibrated with holds, if it
    had the same labels: that is the adapter this one went on from. Weights are written in bfloat16:
    half the size, and what serving computes in. Without a holdout the adapter carries neither
    calibration nor thresholds of its own.
    """
    folder.mkdir(parents=True, exist_ok=True)
    _write_weights(tuned, folder)
    fitted, thresholds = _fit(tuned, holdout, taxonomy)
    if parent is not None:
        fitted, thresholds = _inherit(fitted, thresholds, holdout, taxonomy, parent)
    found = _manifest(tuned, train, taxonomy, fitted, thresholds, folder)
    found.save(folder)
    (folder / CONFIG).write_text(tuned.config.model_dump_json(indent=2) + "\n", encoding="utf-8")
    return found


def _write_weights(tuned: Tuned, folder: Path) -> None:
    state = get_peft_model_state_dict(tuned.model)
    save_file(
        {
            name: tensor.detach().to("cpu", torch.bfloat16).contiguous()
            for name, tensor in state.items()
        },
        folder / manifest.WEIGHTS,
        metadata={"format": "pt"},
    )
    (lora,) = tuned.model.peft_config.values()
    lora.inference_mode = True
    # The id or folder of the machine that trained it would mean nothing elsewhere.
    lora.base_model_name_or_path = tuned.base.preset.name
    lora.save_pretrained(str(folder))


def _fit(
    tuned: Tuned, holdout: Sequence[Example], taxonomy: Taxonomy
) -> tuple[dict[str, Calibration], Thresholds]:
    if not holdout:
        return {}, Thresholds()
    scorer = Scorer(tuned.served, tuned.encoder, version="holdout", thresholds=Thresholds())
    scores = scorer.logits([example.text for example in holdout], taxonomy)
    fitted = fitting.calibrate(scores, holdout, taxonomy)
    precision = tuned.config.holdout.target_precision
    return fitted, fitting.thresholds(scores, holdout, taxonomy, fitted, precision)


def _inherit(
    fitted: Mapping[str, Calibration],
    thresholds: Thresholds,
    holdout: Sequence[Example],
    taxonomy: Taxonomy,
    parent: Manifest,
) -> tuple[dict[str, Calibration], Thresholds]:
    found, labels = dict(fitted), dict(thresholds.labels)
    gate = thresholds.gate
    for dimension, names in taxonomy.vocabulary.items():
        alike = set(parent.vocabulary.get(dimension, ())) == set(names)
        answers = sum(dimension in example.labels for example in holdout)
        if answers >= fitting.ENOUGH or not alike or dimension not in parent.calibration:
            continue
        found[dimension] = parent.calibration[dimension]
        labels[dimension] = dict(parent.thresholds.labels.get(dimension, {}))
        if taxonomy.gate is not None and taxonomy.gate[0] == dimension:
            gate = parent.thresholds.gate
    default = thresholds.default if fitted else parent.thresholds.default
    update = {"labels": labels, "gate": gate, "default": default}
    return found, thresholds.model_copy(update=update)


def _manifest(
    tuned: Tuned,
    train: Sequence[Example],
    taxonomy: Taxonomy,
    fitted: Mapping[str, Calibration],
    thresholds: Thresholds,
    folder: Path,
) -> Manifest:
    weights = manifest.file_digest(folder / manifest.WEIGHTS)
    form = tuned.encoder.form(taxonomy)
    return Manifest(
        version=f"{tuned.base.preset.name}/{weights[:12]}",
        base_model=tuned.base.preset.name,
        base_revision=tuned.base.revision,
        prompt_version=PROMPT_VERSION,
        text_tokens=tuned.encoder.text_tokens,
        vocabulary=taxonomy.vocabulary,
        taxonomy_digest=taxonomy.digest,
        answers={q.dimension: dict(zip(q.labels, q.spelled, strict=True)) for q in form.questions},
        calibration=dict(fitted),
        thresholds=thresholds,
        data_digest=dataset.digest(train),
        weights_sha256=weights,
        libraries={name: importlib.metadata.version(name) for name in LIBRARIES},
        created_at=datetime.now(UTC).replace(microsecond=0),
    )
