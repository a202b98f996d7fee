"""Random weights of Mistral-7B-Instruct-v0.2's shape, and a tokenizer of its kind, on disk."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from app.core.errors import ConfigProblem
from app.core.taxonomy import DEFAULT_TAXONOMY
from training.benchmarks.latency import PROSE

# config.json of mistralai/Mistral-7B-Instruct-v0.2, apart from the number of layers.
SHAPE: dict[str, Any] = {
    "vocab_size": 32000,
    "hidden_size": 4096,
    "intermediate_size": 14336,
    "num_attention_heads": 32,
    "num_key_value_heads": 8,
    "max_position_embeddings": 32768,
    "rms_norm_eps": 1e-5,
    "rope_parameters": {"rope_type": "default", "rope_theta": 1e6},
    "sliding_window": None,
    "tie_word_embeddings": False,
}
# Values of a shard at most: 1 GB of bfloat16, which is all that writing holds in memory.
SHARD = 500_000_000
# One long row of normal values; each tensor begins elsewhere in it. Drawing seven thousand million
# would take minutes, and nobody quantises better for it.
POOL = 150_000_000
SPARE = 2 * 1024**3
GB = 1e9


def write_model(folder: Path, layers: int, shape: dict[str, Any] = SHAPE) -> int:
    """Config, tokenizer and random safetensors shards in `folder`; returns their values.

    ConfigProblem when the disk has no room.
    """
    import torch  # noqa: PLC0415 - not before threads are told how to wait
    from safetensors.torch import save_file  # noqa: PLC0415
    from transformers import MistralConfig, MistralForCausalLM  # noqa: PLC0415

    config = MistralConfig(**shape, num_hidden_layers=layers, architectures=["MistralForCausalLM"])
    # The names and shapes are the library's own: an empty model is asked for them.
    with torch.device("meta"):
        shapes = {
            name: tuple(value.shape)
            for name, value in MistralForCausalLM(config).state_dict().items()
        }
    sizes = {name: torch.Size(one).numel() for name, one in shapes.items()}
    needed = 2 * sum(sizes.values())
    free = shutil.disk_usage(folder).free
    if free < needed + SPARE:
        raise ConfigProblem(
            f"{folder} has {free / GB:.1f} GB free, {(needed + SPARE) / GB:.1f} are needed: give"
            " another --scratch, or fewer --layers"
        )
    config.dtype = torch.bfloat16
    config.save_pretrained(folder)
    tokenizer().save_pretrained(folder)
    torch.manual_seed(0)
    pool = torch.empty(min(POOL, 2 * max(sizes.values()))).normal_(0, 0.02).bfloat16()
    where: dict[str, str] = {}
    for number, names in enumerate(_shards(sizes)):
        file = f"model-{number:05d}.safetensors"
        values = {name: _values(name, shapes[name], pool) for name in names}
        save_file(values, folder / file, metadata={"format": "pt"})
        where |= dict.fromkeys(names, file)
    index = {"metadata": {"total_size": needed}, "weight_map": where}
    (folder / "model.safetensors.index.json").write_text(json.dumps(index), encoding="utf-8")
    return sum(sizes.values())


def _shards(sizes: dict[str, int]) -> Iterator[list[str]]:
    names: list[str] = []
    for name, size in sizes.items():
        if names and sum(sizes[n] for n in names) + size > SHARD:
            yield names
            names = []
        names.append(name)
    yield names


def _values(name: str, shape: tuple[int, ...], pool: Any) -> Any:
    import torch  # noqa: PLC0415

    if name.endswith("norm.weight"):
        return torch.ones(shape, dtype=torch.bfloat16)
    size = torch.Size(shape).numel()
    begin = int(torch.randint(len(pool) - size + 1, ()))
    return pool[begin : begin + size].view(shape).clone()


def tokenizer() -> Any:
    """Byte-pair encoding as Mistral's: a mark for each space, `<s>` before a text."""
    from tokenizers import (  # noqa: PLC0415
        Tokenizer,
        decoders,
        models,
        pre_tokenizers,
        processors,
        trainers,
    )
    from transformers import PreTrainedTokenizerFast  # noqa: PLC0415

    unknown, begin, end = "<unk>", "<s>", "</s>"
    found = Tokenizer(models.BPE(unk_token=unknown))
    found.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.Metaspace(), pre_tokenizers.Punctuation()]
    )
    found.decoder = decoders.Metaspace()
    trainer = trainers.BpeTrainer(
        vocab_size=2000, special_tokens=[unknown, begin, end], show_progress=False
    )
    words = [f"{d.question} {d.name}: {' '.join(d.names)}" for d in DEFAULT_TAXONOMY.dimensions]
    found.train_from_iterator(
        [*words, PROSE, "UI A B C D E F G H 0 1 2 3 4 5 6 7 8 9"] * 20, trainer
    )
    found.post_processor = processors.TemplateProcessing(
        single=f"{begin} $A", special_tokens=[(begin, 1)]
    )
    return PreTrainedTokenizerFast(
        tokenizer_object=found, unk_token=unknown, bos_token=begin, eos_token=end
    )
