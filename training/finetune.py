"""QLoRA fine-tuning, top to bottom: 4-bit base, low-rank adapters, loss at the answer slots only.

transformers' Trainer runs the loop (optimiser, schedule, checkpoints, resume, reporters, several
processes under `accelerate launch`); ours are the batches and the loss.
"""

from __future__ import annotations

import json
import math
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import torch
from accelerate import PartialState
from datasets import Dataset
from peft import LoraConfig, PeftModel, get_peft_model
from transformers import (
    EarlyStoppingCallback,
    EvalPrediction,
    PreTrainedModel,
    Trainer,
    TrainingArguments,
    set_seed,
)
from transformers.trainer import TRAINER_STATE_NAME
from transformers.trainer_utils import get_last_checkpoint

from app.core.errors import ConfigProblem
from app.core.taxonomy import Taxonomy
from training import objective
from training.config import TrainConfig
from training.example import Example
from worker.model import hardware, loading
from worker.model.encoding import Encoded, Encoder, Form, collate
from worker.model.loading import Base
from worker.model.presets import resolve
from worker.model.quiet import hush
from worker.model.slots import read_slots

CHECKPOINTS = "checkpoints"


@dataclass
class Tuned:
    """A trained adapter around its base, still in memory, and how training went."""

    base: Base
    model: PeftModel
    encoder: Encoder
    config: TrainConfig
    history: list[dict[str, Any]]

    @property
    def served(self) -> PreTrainedModel:
        """The base with the adapter layers in it: what a scorer runs."""
        return cast(PreTrainedModel, self.model.get_base_model())


class SlotTrainer(Trainer):
    """Trainer whose loss reads the answer slots."""

    # Our loss is a mean over a micro-batch: the Trainer divides by the accumulation steps.
    loss_is_scaled_for_ga = False

    def __init__(
        self,
        *args: Any,
        form: Form,
        weights: dict[str, torch.Tensor],
        config: TrainConfig,
        **options: Any,
    ) -> None:
        super().__init__(*args, **options)
        self.model_accepts_loss_kwargs = False
        self._form, self._weights, self._config = form, weights, config

    def compute_loss(  # noqa: D102 - the Trainer's
        self,
        model: torch.nn.Module,
        inputs: dict[str, torch.Tensor],
        return_outputs: bool = False,
        num_items_in_batch: torch.Tensor | int | None = None,
    ) -> Any:
        scores = self._scores(model, inputs)
        goal = self._config.objective
        found = objective.loss(
            scores, inputs["targets"], self._weights, goal.dimensions, goal.label_smoothing
        )
        return (found, scores) if return_outputs else found

    def prediction_step(  # noqa: D102 - the Trainer's
        self,
        model: torch.nn.Module,
        inputs: dict[str, torch.Tensor],
        prediction_loss_only: bool,
        ignore_keys: list[str] | None = None,
    ) -> tuple[torch.Tensor | None, torch.Tensor | None, torch.Tensor | None]:
        inputs = self._prepare_inputs(inputs)
        with torch.no_grad():
            found, scores = self.compute_loss(model, inputs, return_outputs=True)
        chosen = torch.stack([s.argmax(dim=-1) for s in scores.values()], dim=1)
        return found.detach(), chosen, inputs["targets"]

    def _scores(
        self, model: torch.nn.Module, inputs: dict[str, torch.Tensor]
    ) -> dict[str, torch.Tensor]:
        # Through the wrapper's own forward, or several processes would not share gradients. The
        # head is asked for no position at all (even one cost a quarter of a step on a CPU); the
        # last states are what we read.
        nowhere = torch.empty(0, dtype=torch.long, device=inputs["input_ids"].device)
        output = model(
            input_ids=inputs["input_ids"],
            use_cache=False,
            logits_to_keep=nowhere,
            output_hidden_states=True,
        )
        inner = self.accelerator.unwrap_model(model).get_base_model()
        head = inner.get_output_embeddings()
        return read_slots(output.hidden_states[-1], inputs["slots"], head, self._form)


def finetune(
    train: Sequence[Example],
    holdout: Sequence[Example],
    config: TrainConfig,
    taxonomy: Taxonomy,
    folder: Path,
    data_dir: Path,
    *,
    device: str = "auto",
    resume: bool = False,
    start: Path | None = None,
    report_to: Sequence[str] = ("tensorboard",),
) -> Tuned:
    """Train an adapter on `train`; `holdout` only measures, and stops when patience is set.

    `folder` takes checkpoints and logs. With `resume`, goes on from the last checkpoint there and
    ends with the same weights as an uninterrupted run. `start` is an adapter to go on training
    instead of a new one; its shape holds then, not the configuration's. ConfigProblem when there is
    nothing to resume, or when `folder` has checkpoints of an earlier run and `resume` is not set.
    """
    checkpoint = _last_checkpoint(folder, resume)
    hush()
    set_seed(config.seed)
    # Under `accelerate launch` this picks the process's own GPU, before anything is loaded on one.
    PartialState(cpu=device == "cpu")
    machine = hardware.detect(device)  # type: ignore[arg-type]
    base, model = prepare(config, machine, data_dir, start)
    encoder = Encoder(base.tokenizer, config.max_tokens, model.config.max_position_embeddings)
    form = encoder.form(taxonomy)
    truth = objective.targets(train, form)
    trainer = SlotTrainer(
        model=model,
        args=_arguments(config, folder, machine, len(train), list(report_to), bool(holdout)),
        train_dataset=_rows(train, encoder, taxonomy),
        eval_dataset=_rows(holdout, encoder, taxonomy) if holdout else None,
        data_collator=_collate,
        compute_metrics=_measure(form),
        callbacks=_callbacks(config),
        form=form,
        weights=objective.class_weights(truth, form, config.objective.class_weighting),
        config=config,
    )
    trainer.train(resume_from_checkpoint=checkpoint)
    return Tuned(base, model.eval(), encoder, config, trainer.state.log_history)


def prepare(
    config: TrainConfig, machine: hardware.Hardware, data_dir: Path, start: Path | None = None
) -> tuple[Base, PeftModel]:
    """The 4-bit base of `config`, and the same with float32 adapters around it.

    They are new, or those of the folder `start`. ConfigProblem if either does not fit the base.
    """
    base = loading.load(resolve(config.base), data_dir, machine)
    inner = base.model
    if config.weights == "nf4-once":
        inner = loading.expand(inner, machine)
    inner.requires_grad_(False)
    if config.recompute:
        inner.gradient_checkpointing_enable({"use_reentrant": False})
    model = _continued(inner, start) if start is not None else _fresh(inner, config)
    if config.compile:
        # Layer by layer: they share one compiled graph, which takes half a minute to build. In
        # place, so that names in checkpoints stay those of the uncompiled model.
        for layer in inner.get_decoder().layers:
            layer.compile(dynamic=True)
    return base, model


def _fresh(inner: PreTrainedModel, config: TrainConfig) -> PeftModel:
    lora = LoraConfig(
        r=config.lora.rank,
        lora_alpha=config.lora.alpha,
        lora_dropout=config.lora.dropout,
        target_modules=list(config.lora.modules),
        task_type="CAUSAL_LM",
    )
    model = get_peft_model(inner, lora)
    if not any(p.requires_grad for p in model.parameters()):
        raise ConfigProblem(f"{config.base} has no layers called {', '.join(config.lora.modules)}")
    return cast(PeftModel, model)


def _continued(inner: PreTrainedModel, start: Path) -> PeftModel:
    try:
        return PeftModel.from_pretrained(inner, str(start), is_trainable=True)
    except (OSError, ValueError, KeyError, RuntimeError) as error:
        raise ConfigProblem(f"{start} does not fit the base model: {error}") from error


def last_checkpoint(folder: Path) -> str | None:
    """The newest whole checkpoint of a run in `folder`, if there is one.

    The Trainer writes the state last; what has none was being written when its process was killed,
    and goes.
    """
    place = folder / CHECKPOINTS
    for path in place.glob("checkpoint-*") if place.is_dir() else ():
        try:
            json.loads((path / TRAINER_STATE_NAME).read_bytes())
        except (OSError, ValueError):
            shutil.rmtree(path)
    return get_last_checkpoint(str(place)) if place.is_dir() else None


def _last_checkpoint(folder: Path, resume: bool) -> str | None:
    place = folder / CHECKPOINTS
    found = last_checkpoint(folder)
    if resume and found is None:
        raise ConfigProblem(f"nothing to resume: {place} has no checkpoint")
    if found is not None and not resume:
        raise ConfigProblem(
            f"{place} has checkpoints of an earlier run: add --resume to go on with it, or choose "
            "another --out"
        )
    return found


def _rows(examples: Sequence[Example], encoder: Encoder, taxonomy: Taxonomy) -> Dataset:
    prompts = encoder.encode([example.text for example in examples], taxonomy)
    truth = objective.targets(examples, encoder.form(taxonomy)).tolist()
    return Dataset.from_list(
        [
            {"ids": list(p.ids), "slots": list(p.slots), "targets": t, "length": len(p)}
            for p, t in zip(prompts, truth, strict=True)
        ]
    )


def _collate(rows: Sequence[dict[str, Any]]) -> dict[str, torch.Tensor]:
    prompts = [Encoded(tuple(row["ids"]), tuple(row["slots"])) for row in rows]
    batch = collate(prompts, range(len(prompts)))
    return {
        "input_ids": batch.input_ids,
        "slots": batch.slots,
        "targets": torch.tensor([row["targets"] for row in rows]),
    }


def _arguments(
    config: TrainConfig,
    folder: Path,
    machine: hardware.Hardware,
    count: int,
    report_to: list[str],
    measured: bool,
) -> TrainingArguments:
    optimiser = config.optimiser
    steps = max(1, math.ceil(count / optimiser.batch_size * optimiser.epochs))
    evaluated = measured and config.evaluations > 0
    every = max(1, steps // max(1, config.evaluations))
    stops_early = evaluated and config.holdout.patience > 0
    saved = config.checkpoints > 0 or stops_early
    save_every = every if stops_early else max(1, steps // max(1, config.checkpoints))
    processes = PartialState().num_processes
    return TrainingArguments(
        output_dir=str(folder / CHECKPOINTS),
        max_steps=steps,
        per_device_train_batch_size=optimiser.micro_batch_size,
        per_device_eval_batch_size=optimiser.micro_batch_size,
        gradient_accumulation_steps=max(
            1, optimiser.batch_size // (optimiser.micro_batch_size * processes)
        ),
        learning_rate=optimiser.learning_rate,
        lr_scheduler_type=optimiser.scheduler,
        warmup_steps=round(steps * optimiser.warmup_ratio),
        weight_decay=optimiser.weight_decay,
        max_grad_norm=optimiser.max_grad_norm,
        optim="adamw_torch",
        bf16=machine.dtype == torch.bfloat16,
        fp16=machine.dtype == torch.float16,
        use_cpu=machine.device.type == "cpu",
        train_sampling_strategy="group_by_length",
        length_column_name="length",
        remove_unused_columns=False,
        label_names=["targets"],
        eval_strategy="steps" if evaluated else "no",
        eval_steps=every,
        save_strategy="steps" if saved else "no",
        save_steps=save_every,
        save_total_limit=2,
        load_best_model_at_end=stops_early,
        metric_for_best_model="accuracy" if stops_early else None,
        logging_steps=max(1, min(10, steps // 10)),
        # Left to itself the bar goes with the library's log level, which is quiet here.
        disable_tqdm=False,
        report_to=report_to,
        seed=config.seed,
        data_seed=config.seed,
        dataloader_pin_memory=machine.device.type == "cuda",
    )


def _callbacks(config: TrainConfig) -> list[Any]:
    patience = config.holdout.patience
    return [EarlyStoppingCallback(early_stopping_patience=patience)] if patience else []


def _measure(form: Form) -> Any:
    """Accuracy a dimension, and their mean: what early stopping looks at."""

    def measure(found: EvalPrediction) -> dict[str, float]:
        chosen, truth = torch.tensor(found.predictions), torch.tensor(found.label_ids)
        known = truth != objective.UNKNOWN
        right = (chosen == truth) & known
        shares = right.sum(dim=0) / known.sum(dim=0).clamp(min=1)
        names = [question.dimension for question in form.questions]
        figures = {f"accuracy_{n}": float(s) for n, s in zip(names, shares, strict=True)}
        figures["accuracy"] = float(shares[known.any(dim=0)].mean())
        return figures

    return measure
