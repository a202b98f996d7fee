"""Small synthetic training rows; no test reads real data."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from app.core.taxonomy import DEFAULT_TAXONOMY
from training.example import Answer, Example, Provenance
from training.predictions import Prediction, Run

WORDS = tuple(f"{noun}{kind}" for noun in ("map", "menu", "ride", "mesh") for kind in "abcdefgh")


def example(name: str = "a#1", **more: Any) -> Example:
    """An example; `labels` may be plain strings, of provenance human."""
    labels: Mapping[str, Any] = more.pop("labels", {})
    answers = {
        dimension: Answer(label=label, provenance=Provenance.HUMAN)
        if isinstance(label, str)
        else label
        for dimension, label in labels.items()
    }
    wanted: dict[str, Any] = {"repository": "a/b", "title": f"Report {name}", "labels": answers}
    return Example.model_validate({"id": name, **wanted, **more})


def distinct(count: int, **more: Any) -> list[Example]:
    """Examples none of which resembles another."""
    return [
        example(f"x#{i}", title=f"title{chr(97 + i % 26)}{'q' * (i // 26)}", body=_prose(i), **more)
        for i in range(count)
    ]


def _prose(seed: int) -> str:
    return " ".join(
        f"w{'abcdefghij'[(seed // 10 ** (k % 4) + k) % 10]}{chr(97 + (seed * 7 + k * k) % 26)}"
        f"{chr(97 + (seed + k * 3) % 26)}"
        for k in range(24)
    )


def filed(day: int) -> datetime:
    """A moment, `day` days after the first."""
    return datetime(2024, 1, 1, tzinfo=UTC) + timedelta(days=day)


def prediction(
    name: str, truth: str, said: Mapping[str, float] | str, *, bug: bool = True, **more: Any
) -> Prediction:
    """A prediction of severity alone; `said` is a label (sure of it) or probabilities."""
    labels = DEFAULT_TAXONOMY["severity"].names
    if isinstance(said, str):
        scores = {label: 0.7 if label == said else 0.1 for label in labels}
    else:
        scores = {label: said.get(label, 0.0) for label in labels}
    wanted: dict[str, Any] = {"repository": "a/b", **more}
    return Prediction(
        id=name, bug=bug, truth={"severity": truth}, scores={"severity": scores}, **wanted
    )


def run(
    predictions: Sequence[Prediction], name: str = "model", digest: str = "d" * 64, **more: Any
) -> Run:
    """A run of severity alone."""
    return Run(
        name=name,
        model=name,
        vocabulary={"severity": DEFAULT_TAXONOMY["severity"].names},
        judged=("severity",),
        rows=len(predictions),
        digest=digest,
        **more,
    )
