"""What a fine-tuning run is made of: one typed TOML file, kept whole beside the adapter."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from app.core.errors import ConfigProblem

CONFIGS = Path(__file__).parent / "configs"
ATTENTION = ("q_proj", "k_proj", "v_proj", "o_proj")
ALL_LINEAR = (*ATTENTION, "gate_proj", "up_proj", "down_proj")


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Lora(_Part):
    """Low-rank adapters (Hu et al. 2021): which linear layers get one, and how large."""

    rank: int = Field(default=8, ge=1, le=256)
    alpha: int = Field(default=32, ge=1)
    # Dropout slows training and has not paid at this size; PERFORMANCE measured with 0.
    dropout: float = Field(default=0.0, ge=0, lt=1)
    targets: Literal["attention", "all-linear"] = "attention"

    @property
    def modules(self) -> tuple[str, ...]:
        """Names of the linear layers, as Llama and Mistral call them."""
        return ATTENTION if self.targets == "attention" else ALL_LINEAR


class Optimiser(_Part):
    """AdamW. `batch_size` is the effective one: reports an update, over all processes."""

    learning_rate: float = Field(default=2e-4, gt=0)
    scheduler: Literal["cosine", "linear", "constant_with_warmup"] = "cosine"
    warmup_ratio: float = Field(default=0.05, ge=0, lt=1)
    weight_decay: float = Field(default=0.0, ge=0)
    max_grad_norm: float = Field(default=1.0, gt=0)
    epochs: float = Field(default=3.0, gt=0)
    batch_size: int = Field(default=16, ge=1)
    micro_batch_size: int = Field(default=16, ge=1)

    @model_validator(mode="after")
    def _whole_steps(self) -> Self:
        if self.batch_size % self.micro_batch_size:
            raise ValueError("batch_size has to be a multiple of micro_batch_size")
        return self


class Objective(_Part):
    """Cross-entropy over the label scores at the slots; nothing else of the text is learned."""

    label_smoothing: float = Field(default=0.0, ge=0, lt=1)
    # Weights a class by (n / (k * n_class)) ** class_weighting: 0 none, 1 fully balanced.
    class_weighting: float = Field(default=0.0, ge=0, le=1)
    # Weight of each dimension in the sum; 1 where it is not named.
    dimensions: dict[str, float] = Field(default_factory=dict)


class Holdout(_Part):
    """Part of the training data kept from the optimiser, to calibrate on and to stop by.

    Near-duplicates stay on one side. 0 trains on everything and leaves the adapter uncalibrated.
    """

    share: float = Field(default=0.12, ge=0, lt=0.9)
    target_precision: float = Field(default=0.9, gt=0, lt=1)
    # Stop after this many evaluations without a better score; 0 never stops early.
    patience: int = Field(default=0, ge=0)


class TrainConfig(_Part):
    """A whole run. `base` is a preset's name, or the id or path of a causal language model."""

    base: str
    # "nf4" keeps 4-bit weights and expands them in every pass; "nf4-once" expands them once, the
    # same weights at the same quality, where memory allows.
    weights: Literal["nf4", "nf4-once"] = "nf4"
    max_tokens: int = Field(default=512, ge=32, description="budget of an issue's text, in tokens")
    recompute: bool = Field(default=False, description="trade time for activation memory")
    compile: bool = Field(default=False, description="compile the layers; needs g++ or gcc")
    evaluations: int = Field(default=4, ge=0, description="evaluations on the holdout over a run")
    checkpoints: int = Field(default=4, ge=0, description="checkpoints over a run, for --resume")
    seed: int = 1
    lora: Lora = Lora()
    optimiser: Optimiser = Optimiser()
    objective: Objective = Objective()
    holdout: Holdout = Holdout()


def names() -> list[str]:
    """The configurations that ship with Triora."""
    return sorted(path.stem for path in CONFIGS.glob("*.toml"))


def read(name: str, changes: dict[str, Any] | None = None) -> TrainConfig:
    """The configuration of that name, or in that TOML file, with `changes` laid over it.

    A change is keyed by its dotted path: {"lora.rank": 16}. ConfigProblem says what is wrong.
    """
    path = Path(name) if name.endswith(".toml") else CONFIGS / f"{name}.toml"
    try:
        content = tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise ConfigProblem(
            f"no configuration {name!r}: give a .toml file, or one of {', '.join(names())}"
        ) from error
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise ConfigProblem(f"{path}: {error}") from error
    for dotted, value in (changes or {}).items():
        *parents, last = dotted.split(".")
        table = content
        for parent in parents:
            table = table.setdefault(parent, {})
        table[last] = value
    try:
        return TrainConfig.model_validate(content)
    except ValidationError as error:
        what = "; ".join(f"{'.'.join(map(str, e['loc']))}: {e['msg']}" for e in error.errors())
        raise ConfigProblem(f"{path}: {what}") from error
