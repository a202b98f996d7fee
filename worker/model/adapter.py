"""LoRA adapters: checked against their manifest first, then attached to the base model."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from transformers import PreTrainedModel

from app.core import manifest
from app.core.errors import ArtifactMismatch
from app.core.manifest import Manifest
from app.core.prompt import PROMPT_VERSION
from app.core.taxonomy import Taxonomy
from worker.model.encoding import Encoder
from worker.model.loading import Base


def verified(folder: Path, base: Base, taxonomy: Taxonomy) -> Manifest:
    """The manifest in `folder`, if adapter, base model, prompt and taxonomy belong together.

    ArtifactMismatch names what differs and what to do.
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
    """ArtifactMismatch when this tokenizer spells an answer otherwise than training did."""
    for question in encoder.form(taxonomy).questions:
        for label, spelled in zip(question.labels, question.spelled, strict=True):
            trained = found.answers[question.dimension][label]
            if trained != spelled:
                raise ArtifactMismatch(
                    f"adapter {found.version} answers {trained!r} for {question.dimension}/{label},"
                    f" this tokenizer {spelled!r}: train again, or set TRIORA_ADAPTER=none"
                )


def attach(model: PreTrainedModel, folder: Path, *, merge: bool) -> PreTrainedModel:
    """`model` with the adapter of `folder`, in evaluation mode.

    merge: add the adapter into the weights, which makes it free of charge; for dequantised bases
    only, since adding to 4-bit weights would round it away.
    """
    # peft imports bitsandbytes, which logs advice while it is imported: not before `hush`.
    from peft import PeftModel  # noqa: PLC0415

    try:
        tuned: Any = PeftModel.from_pretrained(
            model, folder, is_trainable=False, autocast_adapter_dtype=False
        )
    except (OSError, ValueError, KeyError, RuntimeError) as error:
        raise ArtifactMismatch(f"{folder} does not fit the model: {error}") from error
    served: PreTrainedModel = tuned.merge_and_unload() if merge else tuned
    served.eval()
    return served
