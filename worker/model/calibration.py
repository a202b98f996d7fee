"""Scores into probabilities that mean what they say: temperature and bias a dimension."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from app.core.manifest import Calibration


def probabilities(
    scores: torch.Tensor, labels: Sequence[str], calibration: Calibration
) -> torch.Tensor:
    """Softmax of scores / temperature + bias: [n, labels] to float64 [n, labels], rows sum to 1."""
    bias = torch.tensor([calibration.bias[label] for label in labels], dtype=torch.float64)
    return torch.softmax(scores.double() / calibration.temperature + bias, dim=-1)


def content_free(empty: torch.Tensor, labels: Sequence[str]) -> Calibration:
    """Takes away what the model answers when there is nothing to read (Zhao et al., 2021).

    empty: scores [labels] of a report without text.
    """
    leaning = torch.log_softmax(empty.double(), dim=-1)
    return Calibration(bias=dict(zip(labels, (-leaning).tolist(), strict=True)))


def fit(scores: torch.Tensor, truth: torch.Tensor, labels: Sequence[str]) -> Calibration:
    """Temperature and bias that make held-out `truth` likeliest.

    scores: [n, labels]; truth: [n] label indices. Minimises the negative log-likelihood with a
    light pull towards temperature 1 and no bias (half of one report's worth a parameter), so that
    a label with few or no examples keeps close to the model's own opinion. At least one row.
    """
    scores, count = scores.double(), len(truth)
    log_temperature = torch.zeros((), dtype=torch.float64, requires_grad=True)
    bias = torch.zeros(len(labels), dtype=torch.float64, requires_grad=True)
    search = torch.optim.LBFGS(
        [log_temperature, bias], max_iter=200, line_search_fn="strong_wolfe", tolerance_grad=1e-9
    )

    def loss() -> torch.Tensor:
        search.zero_grad()
        fit_loss = torch.nn.functional.cross_entropy(
            scores / log_temperature.exp() + bias, truth, reduction="sum"
        )
        pull = log_temperature.square() + bias.square().sum()
        total = (fit_loss + pull / 2) / count
        torch.autograd.backward(total)
        return total

    search.step(loss)  # type: ignore[no-untyped-call]
    found = (bias - bias.mean()).detach().tolist()
    temperature = float(log_temperature.detach().exp())
    return Calibration(temperature=temperature, bias=dict(zip(labels, found, strict=True)))


def threshold(
    chances: torch.Tensor, right: torch.Tensor, precision: float, *, least: float = 0.0
) -> float:
    """The least probability from which on answers of one label are right often enough.

    chances: [n] probability of the answers given; right: [n] bool. Returns the lowest value t such
    that among answers with probability >= t the share of right ones is at least `precision`, or
    1.0 (the label is never written) if there is none. Never below `least`.
    """
    if len(chances) == 0:
        return 1.0
    order = torch.argsort(chances, descending=True)
    sorted_chances, hits = chances[order].double(), right[order].double()
    share = hits.cumsum(0) / torch.arange(1, len(order) + 1)
    # Only where the next answer is strictly less likely can a threshold cut.
    ends = torch.ones(len(order), dtype=torch.bool)
    ends[:-1] = sorted_chances[:-1] > sorted_chances[1:]
    good = (ends & (share >= precision)).nonzero().flatten()
    if len(good) == 0:
        return 1.0
    return max(least, float(sorted_chances[good[-1]]))
