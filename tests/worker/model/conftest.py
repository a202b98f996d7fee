"""Small models with random weights and small tokenizers, made in memory; the real one once."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import peft
import pytest
import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors, trainers
from transformers import (
    LlamaConfig,
    LlamaForCausalLM,
    MistralConfig,
    MistralForCausalLM,
    PreTrainedModel,
    PreTrainedTokenizerFast,
)

from app.core.decision import Thresholds
from app.core.manifest import WEIGHTS, Calibration, Manifest, file_digest
from app.core.prompt import PROMPT_VERSION
from app.core.taxonomy import DEFAULT_TAXONOMY, Dimension, Label, Taxonomy
from app.core.text import IssueText
from worker.model import loading
from worker.model.encoding import Encoder
from worker.model.hardware import Hardware
from worker.model.loading import Base
from worker.model.presets import SMOLLM2, resolve
from worker.model.quiet import hush
from worker.model.scorer import Scorer

CPU = Hardware(torch.device("cpu"), torch.float32)
TEXT_TOKENS = 60
BUG = Calibration(temperature=2.0, bias={"bug": 3.0, "feature": 0.0, "question": 0.0})

# What the small tokenizers know as single tokens: the default taxonomy's words and some prose.
CORPUS = [
    *(f"{d.question} {d.name}: {' '.join(d.names)}" for d in DEFAULT_TAXONOMY.dimensions),
    "The game crashes when I open the menu. UI A B C D E F G H",
] * 20


def byte_level() -> PreTrainedTokenizerFast:
    """Like SmolLM2's: bytes, nothing before a text."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=600,
        special_tokens=["<|end|>"],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(CORPUS, trainer)
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer, eos_token="<|end|>")


def metaspace() -> PreTrainedTokenizerFast:
    """Like Mistral's: a mark for each space, one at the start, and a begin-of-text token."""
    tokenizer = Tokenizer(models.BPE(unk_token="<unk>"))
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.Metaspace(), pre_tokenizers.Punctuation()]
    )
    tokenizer.decoder = decoders.Metaspace()
    trainer = trainers.BpeTrainer(
        vocab_size=600, special_tokens=["<unk>", "<s>", "</s>"], show_progress=False
    )
    tokenizer.train_from_iterator(CORPUS, trainer)
    tokenizer.post_processor = processors.TemplateProcessing(
        single="<s> $A", special_tokens=[("<s>", 1)]
    )
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, unk_token="<unk>", bos_token="<s>", eos_token="</s>"
    )


SHAPE = {
    "vocab_size": 600,
    "hidden_size": 64,
    "intermediate_size": 128,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "max_position_embeddings": 1024,
    "initializer_range": 0.2,
}


def llama() -> PreTrainedModel:
    torch.manual_seed(0)
    return LlamaForCausalLM(LlamaConfig(**SHAPE, tie_word_embeddings=True)).eval()


def mistral() -> PreTrainedModel:
    torch.manual_seed(0)
    return MistralForCausalLM(MistralConfig(**SHAPE, sliding_window=None)).eval()


def taxonomy_of(*names: str, dimension: str = "area") -> Taxonomy:
    """A taxonomy with one dimension of these labels."""
    labels = tuple(
        Label(name=name, github=f"x: {name}"[:50], description="", color="cccccc") for name in names
    )
    return Taxonomy(dimensions=(Dimension(name=dimension, question="Which?", labels=labels),))


def issues(count: int) -> list[IssueText]:
    """Reports of many lengths, some longer than the budget."""
    return [
        IssueText(title=f"Crash number {n}", body="It crashes when I open the menu. " * (n % 7))
        for n in range(count)
    ]


@pytest.fixture(scope="session", autouse=True)
def one_thread() -> None:
    """Small models gain nothing from more threads, and on busy cores they wait for each other."""
    torch.set_num_threads(1)


@pytest.fixture(scope="session")
def encoder() -> Encoder:
    return Encoder(byte_level(), TEXT_TOKENS, context=1024)


@pytest.fixture(scope="session")
def scorer(encoder: Encoder) -> Scorer:
    return Scorer(
        llama(), encoder, version="tiny/zero-shot/p1", thresholds=Thresholds(), batch_tokens=1500
    )


def saved_mistral(folder: Path) -> Path:
    """A folder as the hub would give it: Mistral's architecture, random weights."""
    mistral().save_pretrained(folder)
    metaspace().save_pretrained(folder)
    return folder


@pytest.fixture(scope="session")
def local_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return saved_mistral(tmp_path_factory.mktemp("tiny-mistral"))


def trained_adapter(
    local_model: Path,
    folder: Path,
    *,
    seed: int = 3,
    version: str = "tiny/first",
    rank: int = 4,
    taxonomy: Taxonomy = DEFAULT_TAXONOMY,
    **of_manifest: object,
) -> Path:
    """An adapter with weights that matter, as training leaves it."""
    hush()
    base = loading.load(resolve(str(local_model)), Path("unused"), CPU)
    torch.manual_seed(seed)
    lora = peft.LoraConfig(
        r=rank, lora_alpha=16, target_modules="all-linear", init_lora_weights=False
    )
    peft.get_peft_model(base.model, lora).save_pretrained(folder)
    questions = Encoder(base.tokenizer, TEXT_TOKENS).form(taxonomy).questions
    Manifest(
        **{
            "version": version,
            "base_model": base.preset.name,
            "prompt_version": PROMPT_VERSION,
            "text_tokens": TEXT_TOKENS,
            "vocabulary": taxonomy.vocabulary,
            "taxonomy_digest": taxonomy.digest,
            "answers": {
                q.dimension: dict(zip(q.labels, q.spelled, strict=True)) for q in questions
            },
            "calibration": {"kind": BUG} if "kind" in taxonomy else {},
            "thresholds": Thresholds(default=0.7, gate=0.2),
            "data_digest": "0" * 64,
            "weights_sha256": file_digest(folder / WEIGHTS),
            "created_at": datetime(2026, 11, 23, tzinfo=UTC),
            **of_manifest,
        }
    ).save(folder)
    return folder


@pytest.fixture(scope="session")
def weights_dir(pytestconfig: pytest.Config) -> Path:
    """DATA_DIR of the real weights; kept between runs, since unpacking takes a while."""
    assert pytestconfig.cache is not None
    return pytestconfig.cache.mkdir("triora")


@pytest.fixture(scope="session")
def smollm2(weights_dir: Path) -> Base:
    """The default base model in NF4, computing in float32."""
    return loading.load(resolve(SMOLLM2), weights_dir, CPU)
