"""Rows through the model, batch by batch; rows of one batch may go through different adapters."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from transformers import PreTrainedModel

from worker.model.encoding import Batch, Encoded, Form, batches
from worker.model.slots import last_states, read_slots, text_mean

# The base model alone, as peft calls it.
BARE = "__base__"


@dataclass(frozen=True, slots=True)
class Row:
    """One prompt, the form it ends with, and the adapter it goes through.

    adapter: a name that the peft model knows, or BARE; None on a model without adapters around it.
    """

    prompt: Encoded
    form: Form
    adapter: str | None = None


@dataclass(frozen=True, slots=True)
class Seen:
    """Dimension -> uncalibrated float32 scores [labels] on the CPU; the text's mean state [width].

    Sixteen bits are enough to compare vectors by.
    """

    scores: dict[str, torch.Tensor]
    vector: npt.NDArray[np.float16]


def run(
    model: PreTrainedModel, rows: Sequence[Row], batch_tokens: int, *, mix: bool = False
) -> list[Seen]:
    """What the model says of each row, in order. A row does not depend on its neighbours.

    `model`: the causal language model, or a peft model around one when rows name adapters. At most
    `batch_tokens` tokens a pass, padding included. mix: rows of different adapters share a pass.
    """
    found: dict[int, Seen] = {}
    with torch.inference_mode():
        for members in _apart(rows, mix=mix):
            for batch in batches([rows[at].prompt for at in members], batch_tokens):
                passed = [members[at] for at in batch.rows]
                seen = _one_pass(model, batch, [rows[at] for at in passed])
                found |= dict(zip(passed, seen, strict=True))
    return [found[at] for at in range(len(rows))]


def _apart(rows: Sequence[Row], *, mix: bool) -> Iterator[list[int]]:
    members: dict[str | None, list[int]] = {}
    for at, row in enumerate(rows):
        members.setdefault(None if mix else row.adapter, []).append(at)
    yield from members.values()


def _one_pass(model: PreTrainedModel, batch: Batch, rows: Sequence[Row]) -> list[Seen]:
    hidden = _hidden(model, batch.input_ids, [row.adapter for row in rows])
    head = _inner(model).get_output_embeddings()
    found: dict[int, Seen] = {}
    for form, members in _by_form(rows):
        # Indexing copies: not where all rows ask the same, which is nearly always.
        states = hidden if len(members) == len(rows) else hidden[members]
        slots = batch.slots[members][:, : len(form.questions)]
        scores = {name: s.cpu() for name, s in read_slots(states, slots, head, form).items()}
        # Half precision only now: the mean is taken in the states' own format.
        means = text_mean(states, slots[:, 0] - form.questions[0].at).cpu().numpy()
        for at, member in enumerate(members):
            found[member] = Seen(
                {name: values[at] for name, values in scores.items()},
                means[at].astype(np.float16),
            )
    return [found[at] for at in range(len(rows))]


def _by_form(rows: Sequence[Row]) -> Iterator[tuple[Form, list[int]]]:
    members: dict[Form, list[int]] = {}
    for at, row in enumerate(rows):
        members.setdefault(row.form, []).append(at)
    yield from members.items()


def _hidden(
    model: PreTrainedModel, input_ids: torch.Tensor, adapters: Sequence[str | None]
) -> torch.Tensor:
    """Last hidden states [n, tokens, width], after the final norm."""
    outer: Any = model
    inner = _inner(model)
    input_ids = input_ids.to(inner.device)
    names = set(adapters)
    if len(names) > 1:
        return _mixed(outer, inner, input_ids, list(adapters))
    with _through(outer, names.pop()):
        return last_states(inner, input_ids)


def _mixed(
    tuned: Any, inner: Any, input_ids: torch.Tensor, adapters: list[str | None]
) -> torch.Tensor:
    """Each row through its own adapter, in one pass.

    Only the outer model's forward takes names. The head is asked for no position at all, and the
    decoder's states are caught on their way there.
    """
    caught: list[torch.Tensor] = []
    catch = inner.get_decoder().register_forward_hook(
        lambda _module, _inputs, output: caught.append(output.last_hidden_state)
    )
    nowhere = torch.empty(0, dtype=torch.long, device=input_ids.device)
    try:
        tuned(input_ids=input_ids, use_cache=False, logits_to_keep=nowhere, adapter_names=adapters)
    finally:
        catch.remove()
    return caught[0]


@contextmanager
def _through(tuned: Any, adapter: str | None) -> Iterator[None]:
    """All rows through one adapter: cheaper than by name, row for row."""
    if adapter is None:
        yield
    elif adapter == BARE:
        with tuned.disable_adapter():
            yield
    else:
        if tuned.active_adapter != adapter:
            tuned.set_adapter(adapter)
        yield


def _inner(model: PreTrainedModel) -> Any:
    outer: Any = model
    return outer.get_base_model() if hasattr(outer, "get_base_model") else outer
