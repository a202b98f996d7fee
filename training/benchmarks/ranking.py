"""What ranking a long report's pieces gains over cutting it after its first tokens.

    python -m training.benchmarks.ranking FILE [--budget 64 --budget 128] [--adapter DIR | shipped]

FILE is labelled JSON Lines, or a CSV file of the NLBSE'24 competition. Both ways show a classifier
the same number of tokens of the same reports. Without --adapter it is TF-IDF with logistic
regression, trained and asked on texts of one way, by cross-validation with near-duplicates in one
fold; with it, the adapter, which has seen FILE or not as you say. Only reports longer than the
budget are counted: the others stand whole either way.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated

import numpy as np
import typer
from rich.console import Console
from rich.table import Table

from app.cli import start
from app.core import prompt
from app.core.settings import Settings
from app.core.taxonomy import DEFAULT_TAXONOMY, Taxonomy
from app.core.text import IssueText, visible
from training import dataset
from training.baselines import TfIdf
from training.benchmarks import nlbse24
from training.example import Example
from training.significance import mcnemar
from training.split import folds
from worker.threads import wait_without_spinning

FOLDS = 5

# Token ids of a text, and the text of token ids.
Encode = Callable[[str], list[int]]
Decode = Callable[[list[int]], str]
Answers = list[dict[str, str]]


@dataclass(frozen=True)
class Gain:
    """Answers given right by either way about `answers` questions on `reports` long reports."""

    budget: int
    reports: int
    answers: int
    ranked: float
    cut: float
    only_ranked: int
    only_cut: int
    p: float


def ranked(text: IssueText, budget: int, encode: Encode) -> IssueText:
    """The report as the prompt shows it within `budget` tokens."""
    shown = prompt.text(text, budget, lambda texts: [len(encode(t)) for t in texts])
    title, _, body = shown.partition("\n")
    return IssueText(title=title, body=body)


def cut(text: IssueText, budget: int, encode: Encode, decode: Decode) -> IssueText:
    """The report's first `budget` tokens."""
    whole = f"{visible(text.title)}\n{visible(text.body)}"
    title, _, body = decode(encode(whole)[:budget]).partition("\n")
    return IssueText(title=title, body=body)


def compare(examples: Sequence[Example], budget: int, by_ranked: Answers, by_cut: Answers) -> Gain:
    """Both ways' answers (dimension -> label, a dict a report) against the examples' labels."""
    right = [
        (one.get(name) == answer.label, other.get(name) == answer.label)
        for example, one, other in zip(examples, by_ranked, by_cut, strict=True)
        for name, answer in example.labels.items()
    ]
    first, second = (np.array(column, dtype=bool) for column in zip(*right, strict=True))
    only_ranked, only_cut, p = mcnemar(first, second)
    return Gain(
        budget,
        len(examples),
        len(right),
        float(first.mean()),
        float(second.mean()),
        only_ranked,
        only_cut,
        p,
    )


def by_words(examples: Sequence[Example], texts: Sequence[IssueText]) -> Answers:
    """Cross-validated answers of TF-IDF with logistic regression, shown `texts` for `examples`."""
    taxonomy = _asked(examples)
    shown = {
        e.id: e.model_copy(update={"title": t.title or "-", "body": t.body})
        for e, t in zip(examples, texts, strict=True)
    }
    found: dict[str, dict[str, str]] = {}
    for fit, held_out in folds(examples, FOLDS):
        model = TfIdf([shown[e.id] for e in fit], taxonomy)
        said = model.score([shown[e.id].text for e in held_out], taxonomy)
        found |= {e.id: _best(scores) for e, scores in zip(held_out, said, strict=True)}
    return [found[e.id] for e in examples]


def _asked(examples: Sequence[Example]) -> Taxonomy:
    named = {name for e in examples for name in e.labels}
    kept = tuple(d for d in DEFAULT_TAXONOMY.dimensions if d.name in named)
    gate = DEFAULT_TAXONOMY.gate if DEFAULT_TAXONOMY.gate and "kind" in named else None
    if len(kept) == 1:
        return nlbse24.TAXONOMY
    return DEFAULT_TAXONOMY.model_copy(update={"dimensions": kept, "gate": gate})


def _best(scores: dict[str, dict[str, float]]) -> dict[str, str]:
    return {name: max(said, key=lambda label: said[label]) for name, said in scores.items()}


def main(
    file: Annotated[Path, typer.Argument(exists=True, dir_okay=False)],
    budget: Annotated[list[int] | None, typer.Option(min=16, help="Tokens; repeatable.")] = None,
    adapter: Annotated[str | None, typer.Option(help="Folder of one, or 'shipped'.")] = None,
    as_json: Annotated[bool, typer.Option("--json")] = False,
) -> None:
    """Measure both ways at each budget."""
    wait_without_spinning(os.environ)
    settings = start()
    examples = nlbse24.read(file) if file.suffix == ".csv" else dataset.read(file).refuse_problems()
    encode, decode, answer = _model(settings, adapter)
    gains = []
    for size in budget or [64, 128, 256]:
        long = [e for e in examples if len(encode(f"{e.title}\n{visible(e.body)}")) > size]
        if not long:
            typer.echo(f"no report is longer than {size} tokens", err=True)
            continue
        chosen = [ranked(e.text, size, encode) for e in long]
        first = [cut(e.text, size, encode, decode) for e in long]
        gains.append(compare(long, size, answer(long, chosen), answer(long, first)))
    if as_json:
        typer.echo(json.dumps([asdict(gain) for gain in gains], indent=2))
        return
    table = Table("budget", "long reports", "ranked", "cut", "only ranked", "only cut", "p")
    for gain in gains:
        table.add_row(
            f"{gain.budget}",
            f"{gain.reports}",
            f"{gain.ranked:.1%}",
            f"{gain.cut:.1%}",
            f"{gain.only_ranked}",
            f"{gain.only_cut}",
            f"{gain.p:.3f}",
        )
    Console().print(table)


def _model(
    settings: Settings, adapter: str | None
) -> tuple[Encode, Decode, Callable[[Sequence[Example], Sequence[IssueText]], Answers]]:
    # Imports torch; asking for --help must not.
    from worker.model import hardware, loading  # noqa: PLC0415
    from worker.model.presets import resolve  # noqa: PLC0415
    from worker.model.quiet import hush  # noqa: PLC0415
    from worker.model.serve import build_scorer  # noqa: PLC0415

    hush()
    machine = hardware.detect(settings.device)
    tokenizer = loading.load(resolve(settings.model), settings.data_dir, machine).tokenizer

    def encode(text: str) -> list[int]:
        return list(tokenizer(text, add_special_tokens=False, verbose=False)["input_ids"])

    def decode(ids: list[int]) -> str:
        return str(tokenizer.decode(ids))

    if adapter is None:
        return encode, decode, by_words
    named = None if adapter == "shipped" else adapter
    scorer = build_scorer(settings.model_copy(update={"adapter": named}))

    def asked(_: Sequence[Example], texts: Sequence[IssueText]) -> Answers:
        return [_best(said) for said in scorer.score(texts, DEFAULT_TAXONOMY)]

    return encode, decode, asked


if __name__ == "__main__":
    typer.run(main)
