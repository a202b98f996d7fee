"""LoRA adapters: checked against their manifest first, then attached to the base model."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any, Literal, cast

from pydantic import BaseModel, ConfigDict, Field
from safetensors import SafetensorError
from safetensors.torch import load_file
from transformers import PreTrainedModel

from app.core import manifest
from app.core.errors import ArtifactMismatch
from app.core.manifest import WEIGHTS, Manifest
from app.core.prompt import PROMPT_VERSION
from app.core.taxonomy import Taxonomy
from worker.model.encoding import Encoder
from worker.model.loading import Base
from worker.model.store import CONFIG

# Entries of an adapter's configuration that say where it came from and change nothing.
_TOLD = frozenset(
    {
        "auto_mapping",
        "base_model_name_or_path",
        "inference_mode",
        "peft_version",
        "revision",
        "task_type",
    }
)


class _Lora(BaseModel):
    model_config = ConfigDict(strict=True)

    peft_type: Literal["LORA"]
    r: int = Field(gt=0, le=1024)
    lora_alpha: float = Field(gt=0)
    lora_dropout: float = Field(default=0.0, ge=0, lt=1)
    use_rslora: bool = False
    # Names of layers; a lone string would be a pattern.
    target_modules: list[Annotated[str, Field(pattern=r"^[\w.]+$")]] = Field(
        min_length=1, max_length=1000
    )


def verified(folder: Path, base: Base, taxonomy: Taxonomy | None) -> Manifest:
    """The manifest in `folder`, if adapter, base model, prompt and taxonomy belong together.

    Without a taxonomy the other three are compared. ArtifactMismatch names what differs and what
    to do.
    """
    found = manifest.load(folder)
    manifest.check(
        found,
        base_model=base.preset.name,
        base_revision=base.revision,
        prompt_version=PROMPT_VERSION,
        taxonomy=taxonomy,
    )
    return found


def check_answers(found: Manifest, encoder: Encoder, taxonomy: Taxonomy) -> None:
    """ArtifactMismatch when this tokenizer spells an answer otherwise than training did.

    Dimensions that the adapter was not trained for are passed over.
    """
    for question in encoder.form(taxonomy).questions:
        if set(found.vocabulary.get(question.dimension, ())) != set(question.labels):
            continue
        for label, spelled in zip(question.labels, question.spelled, strict=True):
            trained = found.answers[question.dimension][label]
            if trained != spelled:
                raise ArtifactMismatch(
                    f"adapter {found.version} answers {trained!r} for {question.dimension}/{label},"
                    f" this tokenizer {spelled!r}: train again, or set TRIORA_ADAPTER=none"
                )


def merge(model: PreTrainedModel, folder: Path) -> PreTrainedModel:
    """`model` with the adapter of `folder` in its weights, which makes it free of charge.

    For dequantised bases only: adding to 4-bit weights would round it away.
    """
    tuned: Any = load(model, folder, "merged")
    merged: PreTrainedModel = tuned.merge_and_unload()
    merged.eval()
    return merged


def load(model: PreTrainedModel, folder: Path, name: str) -> PreTrainedModel:
    """`model` with the adapter of `folder` beside those it has, called `name`.

    `model`: the base, or what this returned before. ArtifactMismatch when the adapter is not plain
    LoRA or does not fit; the model is then as it was, with nothing of it left.
    """
    # peft imports bitsandbytes, which logs advice while it is imported: not before `hush`.
    import peft  # noqa: PLC0415

    config = peft.LoraConfig(**plain(folder), inference_mode=True, task_type="CAUSAL_LM")
    tuned: Any = model
    try:
        if isinstance(model, peft.PeftModel):
            tuned.add_adapter(name, config, autocast_adapter_dtype=False)
        else:
            tuned = peft.PeftModelForCausalLM(
                model, config, adapter_name=name, autocast_adapter_dtype=False
            )
        weights = load_file(folder / WEIGHTS)
        outcome: Any = peft.set_peft_model_state_dict(tuned, weights, adapter_name=name)
        missing = [key for key in outcome.missing_keys if f".{name}." in key]
        if missing or outcome.unexpected_keys:
            raise ValueError(f"no layer for {[*outcome.unexpected_keys, *missing][0]}")
    except (OSError, ValueError, KeyError, RuntimeError, SafetensorError) as error:
        if tuned is not model:
            tuned.unload()
        elif isinstance(model, peft.PeftModel) and name in tuned.peft_config:
            tuned.delete_adapter(name)
        # torch lists every layer, a line each.
        said = " ".join(str(error).split())[:200]
        raise ArtifactMismatch(f"{folder} does not fit the model: {said}") from error
    tuned.eval()
    return cast(PreTrainedModel, tuned)


def unload(model: PreTrainedModel, name: str) -> None:
    """Take the adapter called `name` off again; others have to be left on the model."""
    tuned: Any = model
    if tuned.active_adapter == name:
        tuned.set_adapter(next(other for other in tuned.peft_config if other != name))
    tuned.delete_adapter(name)


def plain(folder: Path) -> dict[str, Any]:
    """The LoRA settings in `folder`, if they are of the plain kind.

    peft's format has room for much more: code to import, layers to copy, patterns to search for.
    ArtifactMismatch for any of it.
    """
    from peft import LoraConfig  # noqa: PLC0415

    path = folder / CONFIG
    try:
        found = json.loads(path.read_bytes())
        lora = _Lora.model_validate({k: v for k, v in found.items() if k in _Lora.model_fields})
    except (OSError, ValueError, AttributeError) as error:
        raise ArtifactMismatch(
            f"{path} is not a LoRA configuration as `triora train` writes it"
        ) from error
    unset: Any = LoraConfig()
    usual = unset.to_dict()
    odd = [
        key
        for key, value in found.items()
        if value and key not in _Lora.model_fields and key not in _TOLD and value != usual.get(key)
    ]
    if odd:
        raise ArtifactMismatch(
            f"{path} sets {', '.join(sorted(odd)[:5])}: only plain LoRA is served, as"
            " `triora train` writes it"
        )
    return lora.model_dump(exclude={"peft_type"})
