"""How many labels the fast number format changes against float32: the gate for serving with it.

python -m training.benchmarks.precision FILE.jsonl [--limit 300] [--allowed 0.002] [--json]
"""

from __future__ import annotations

import itertools
import json
import os
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated

import typer

from app.core.decision import Action, Scores, Thresholds, decide
from app.core.settings import load
from app.core.taxonomy import DEFAULT_TAXONOMY
from app.core.text import IssueText
from worker.threads import wait_without_spinning


@dataclass(frozen=True)
class Difference:
    """Two formats on the same reports.

    answers: dimensions asked in all; flips: likeliest labels that differ; decisions: labels
    written by only one of the two; largest and mean: absolute difference of a probability.
    """

    answers: int
    flips: int
    decisions: int
    largest: float
    mean: float


def compare(exact: Sequence[Scores], fast: Sequence[Scores], thresholds: Thresholds) -> Difference:
    """What `fast` changes of `exact`, report by report."""
    flips = decisions = answers = 0
    gaps: list[float] = []
    for one, other in zip(exact, fast, strict=True):
        for name in one:
            answers += 1
            flips += _best(one, name) != _best(other, name)
            gaps += [abs(one[name][label] - other[name][label]) for label in one[name]]
        decisions += len(_written(one, thresholds) ^ _written(other, thresholds))
    return Difference(answers, flips, decisions, max(gaps), sum(gaps) / len(gaps))


def _best(scores: Scores, dimension: str) -> str:
    return max(scores[dimension], key=lambda label: scores[dimension][label])


def _written(scores: Scores, thresholds: Thresholds) -> set[tuple[str, str]]:
    return {
        (decision.dimension, label)
        for decision in decide(DEFAULT_TAXONOMY, scores, thresholds)
        if decision.action is Action.APPLY
        for label in decision.labels
    }


def main(
    file: Annotated[Path, typer.Argument(exists=True, dir_okay=False, help="JSONL of reports.")],
    limit: Annotated[int, typer.Option(min=1)] = 300,
    allowed: Annotated[float, typer.Option(min=0, help="Share of flips that passes.")] = 0.002,
    as_json: Annotated[bool, typer.Option("--json")] = False,
) -> None:
    """Score reports in float32 and in this machine's format; exit 1 beyond the allowed share."""
    wait_without_spinning(os.environ)
    import torch  # noqa: PLC0415 - not before threads are told how to wait

    from worker.model.hardware import Hardware, detect  # noqa: PLC0415
    from worker.model.serve import build_scorer  # noqa: PLC0415

    settings = load()
    machine = detect(settings.device)
    with file.open(encoding="utf-8") as lines:
        rows = [json.loads(line) for line in itertools.islice(lines, limit)]
    texts = [IssueText.of(row["title"], row.get("body")) for row in rows]
    plain = Hardware(machine.device, torch.float32)
    exact = build_scorer(settings, machine=plain).score(texts, DEFAULT_TAXONOMY)
    scorer = build_scorer(settings, machine=machine)
    found = compare(exact, scorer.score(texts, DEFAULT_TAXONOMY), scorer.thresholds)
    share = found.flips / found.answers
    head = {"model": scorer.version, "format": str(machine.dtype), "share": share}
    if as_json:
        typer.echo(json.dumps(head | asdict(found), indent=2))
    else:
        typer.echo(
            f"{scorer.version}, {machine.dtype} against float32: {found.flips} of {found.answers}"
            f" labels differ ({share:.2%}, allowed {allowed:.2%}), {found.decisions} written"
            f" ones; probabilities by {found.mean:.4f} on average, {found.largest:.4f} at most"
        )
    raise typer.Exit(int(share > allowed))


if __name__ == "__main__":
    typer.run(main)
