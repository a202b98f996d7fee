"""Scores at the answer slots: one forward pass, label rows of the output head, nothing else."""

from __future__ import annotations

from typing import Any

import torch
from transformers import PreTrainedModel

from worker.model.encoding import Batch, Form


def slot_logits(model: PreTrainedModel, batch: Batch, form: Form) -> dict[str, torch.Tensor]:
    """Dimension -> float32 scores [n, labels], in the form's label order.

    `model` is the causal language model, or a peft model around one; gradients flow. The head is
    applied at the slots only: a full [n, tokens, vocabulary] product would cost more than some
    layers.
    """
    outer: Any = model
    inner = outer.get_base_model() if hasattr(outer, "get_base_model") else outer
    hidden = last_states(inner, batch.input_ids.to(inner.device))
    return read_slots(hidden, batch.slots, inner.get_output_embeddings(), form)


def last_states(inner: Any, input_ids: torch.Tensor) -> torch.Tensor:
    """Last hidden states [n, tokens, width] of the causal language model, after the final norm."""
    states: torch.Tensor = inner.get_decoder()(
        input_ids=input_ids, use_cache=False
    ).last_hidden_state
    return states


def text_mean(hidden: torch.Tensor, lengths: torch.Tensor) -> torch.Tensor:
    """Mean of each row's first `lengths` states: [n, tokens, width] to float32 [n, width].

    The questions come after the text, so this does not depend on the taxonomy.
    """
    at = torch.arange(hidden.shape[1], device=hidden.device)
    # At least one: a report without any text still has a state at the first question.
    inside = (at < lengths.to(hidden.device).clamp(min=1).unsqueeze(1)).float()
    # Weights that sum to 1, in the states' own format: no copy of them, and no sum overflows.
    weights = (inside / inside.sum(1, keepdim=True)).to(hidden.dtype)
    return torch.bmm(weights.unsqueeze(1), hidden).squeeze(1).float()


def read_slots(
    hidden: torch.Tensor, slots: torch.Tensor, head: Any, form: Form
) -> dict[str, torch.Tensor]:
    """Dimension -> float32 scores [n, labels] from last hidden states.

    hidden: [n, tokens, width], after the final norm; slots: [n, questions]; head: the model's
    output embeddings.
    """
    at = slots.to(hidden.device).unsqueeze(-1).expand(-1, -1, hidden.shape[-1])
    states = hidden.gather(1, at).float()
    bias = getattr(head, "bias", None)
    scores = {}
    # Trainers and 16-bit serving run under autocast, which would turn this product to 16 bits too.
    with torch.autocast(hidden.device.type, enabled=False):
        for index, question in enumerate(form.questions):
            rows = torch.tensor(question.answers, device=hidden.device)
            found = states[:, index] @ head.weight[rows].float().T
            scores[question.dimension] = found if bias is None else found + bias[rows].float()
    return scores
