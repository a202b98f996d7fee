"""Does the promotion gate keep poisoned models out, and let better ones in?

python -m training.benchmarks.gate FILE.jsonl… [--seeds 20] [--json]

Real reports, and for each seed another draw of them: an active model, a candidate that learned from
more reports of which a share has been given wrong labels, a holdout the gate sees, and the reports
left over, which say what is true. The models are TF-IDF with logistic regression, so that hundreds
of them can be trained, calibrated on reports of their own (the candidate's have wrong labels as
well). The gate sees predictions only and cannot tell.
"""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
import torch
import typer

from app.core.manifest import Calibration
from app.core.taxonomy import DEFAULT_TAXONOMY, Taxonomy
from training import dataset
from training.example import Example
from training.gate import Rules, judge
from training.predictions import Prediction
from worker.model import calibration

Attack = Literal["random", "downplay"]
# dimension -> classifier and its calibration
Model = dict[str, tuple[Any, Calibration]]

RATES = (0.0, 0.1, 0.25, 0.5, 0.75)
HOLDOUTS = (40, 80, 160)
# Reports the active model knows, how many more the candidate learns from, and how many calibrate.
KNOWN, MORE, CALIBRATING = 150, 450, 60
WRITTEN = tuple(d.name for d in DEFAULT_TAXONOMY.written)


@dataclass(frozen=True)
class Trial:
    """One candidate before the gate. Differences are candidate minus active, in accuracy.

    on_holdout: on the holdout as it is true, whatever labels the gate was shown; in_truth: on the
    reports left over.
    """

    seed: int
    attack: Attack
    rate: float
    holdout: int
    poisoned_holdout: bool
    promoted: bool
    on_holdout: float
    in_truth: float
    reason: str


def poison(
    rows: Sequence[Example], rate: float, attack: Attack, taxonomy: Taxonomy, seed: int
) -> list[Example]:
    """The rows with a share `rate` of their answers wrong.

    random: any other label. downplay: the highest severity becomes the lowest, and answers of the
    other dimensions any other label.
    """
    chance = random.Random(seed)  # noqa: S311 - no secret
    found = []
    for row in rows:
        labels = dict(row.labels)
        for name, answer in row.labels.items():
            if chance.random() >= rate:
                continue
            names = taxonomy[name].names
            others = [label for label in names if label != answer.label]
            wrong = chance.choice(others)
            if attack == "downplay" and name == "severity":
                wrong = names[-1] if answer.label == names[0] else answer.label
            labels[name] = answer.model_copy(update={"label": wrong})
        found.append(row.model_copy(update={"labels": labels}))
    return found


class Bench:
    """Stand-in models over one set of reports; the words are counted once."""

    def __init__(self, rows: Sequence[Example]) -> None:
        from sklearn.feature_extraction.text import TfidfVectorizer  # noqa: PLC0415 - slow

        self.rows = [row for row in rows if all(name in row.labels for name in WRITTEN)]
        texts = [f"{row.title}\n{row.title}\n{row.body}" for row in self.rows]
        words = TfidfVectorizer(ngram_range=(1, 2), min_df=3, max_features=5000, sublinear_tf=True)
        self._seen: Any = words.fit_transform(texts)

    def model(
        self,
        positions: Sequence[int],
        labels: Sequence[Example],
        calibrating: Sequence[int],
        calibrated: Sequence[Example],
    ) -> Model:
        """Fitted to the rows at `positions`, calibrated on others, both with the labels given."""
        from sklearn.linear_model import LogisticRegression  # noqa: PLC0415 - slow

        found = {}
        for name in WRITTEN:
            known = [str(row.label(name)) for row in labels]
            classifier = LogisticRegression(C=10.0, class_weight="balanced", max_iter=300)
            classifier.fit(self._seen[list(positions)], known)
            names = list(classifier.classes_)
            rows = [i for i, row in enumerate(calibrated) if row.label(name) in names]
            scores = classifier.predict_log_proba(self._seen[[calibrating[i] for i in rows]])
            truth = torch.tensor([names.index(str(calibrated[i].label(name))) for i in rows])
            fitted = calibration.fit(torch.tensor(scores), truth, names)
            found[name] = (classifier, fitted)
        return found

    def say(
        self, model: Model, positions: Sequence[int], truth: Sequence[Example]
    ) -> list[Prediction]:
        """What a model says of the rows at `positions`, beside the truth given."""
        said: list[dict[str, dict[str, float]]] = [{} for _ in positions]
        for name, (classifier, fitted) in model.items():
            names = list(classifier.classes_)
            scores = torch.tensor(classifier.predict_log_proba(self._seen[list(positions)]))
            for row, values in zip(
                said, calibration.probabilities(scores, names, fitted).tolist(), strict=True
            ):
                known = dict(zip(names, values, strict=True))
                labels = DEFAULT_TAXONOMY[name].names
                row[name] = {label: known.get(label, 0.0) for label in labels}
        return [
            Prediction.of(example, scores, DEFAULT_TAXONOMY)
            for example, scores in zip(truth, said, strict=True)
        ]


def accuracy(predictions: Sequence[Prediction]) -> float:
    """Share of right answers over the written dimensions."""
    right = [
        max(p.scores[name], key=lambda label, s=p.scores[name]: s[label]) == p.truth[name]  # type: ignore[misc]
        for p in predictions
        for name in WRITTEN
        if name in p.truth
    ]
    return float(np.mean(right))


def trials(
    bench: Bench,
    seeds: Sequence[int],
    rates: Sequence[float] = RATES,
    holdouts: Sequence[int] = HOLDOUTS,
    attacks: Sequence[Attack] = ("random", "downplay"),
    *,
    known: int = KNOWN,
    more: int = MORE,
    rules: Rules | None = None,
    told: Callable[[Trial], None] = lambda trial: None,
) -> list[Trial]:
    """Every seed, rate and attack before the gate, with clean and equally poisoned holdouts."""
    found = []
    for seed in seeds:
        order = list(range(len(bench.rows)))
        random.Random(seed).shuffle(order)  # noqa: S311 - no secret
        largest = max(holdouts)
        first, second = order[:known], order[known : known + more]
        judging = order[known + more : known + more + largest]
        calibrating = order[known + more + largest :][:CALIBRATING]
        left = order[known + more + largest + CALIBRATING :]
        clean = {i: bench.rows[i] for i in order}
        checked = [clean[i] for i in calibrating]
        active = bench.model(first, [clean[i] for i in first], calibrating, checked)
        truth = [clean[i] for i in left]
        active_in_truth = accuracy(bench.say(active, left, truth))
        for attack in attacks:
            for rate in rates:
                if rate == 0 and attack != attacks[0]:
                    continue
                taught = poison([clean[i] for i in second], rate, attack, DEFAULT_TAXONOMY, seed)
                candidate = bench.model(
                    [*first, *second],
                    [*(clean[i] for i in first), *taught],
                    calibrating,
                    poison(checked, rate, attack, DEFAULT_TAXONOMY, seed + 20_000),
                )
                gain = accuracy(bench.say(candidate, left, truth)) - active_in_truth
                for size in holdouts:
                    for poisoned in (False, True) if rate else (False,):
                        trial = _before_the_gate(
                            bench,
                            candidate,
                            active,
                            judging[:size],
                            clean,
                            poisoned,
                            rules,
                            Trial(seed, attack, rate, size, poisoned, False, 0.0, gain, ""),
                        )
                        told(trial)
                        found.append(trial)
    return found


def _before_the_gate(
    bench: Bench,
    candidate: Model,
    active: Model,
    positions: Sequence[int],
    clean: dict[int, Example],
    poisoned: bool,
    rules: Rules | None,
    trial: Trial,
) -> Trial:
    truth = [clean[i] for i in positions]
    shown = truth
    if poisoned:
        shown = poison(truth, trial.rate, trial.attack, DEFAULT_TAXONOMY, trial.seed + 10_000)
    new, old = (bench.say(model, positions, truth) for model in (candidate, active))
    new_shown, old_shown = (
        [p.model_copy(update={"truth": _truth(row)}) for p, row in zip(said, shown, strict=True)]
        for said in (new, old)
    )
    verdict = judge(new_shown, old_shown, DEFAULT_TAXONOMY, rules)
    return Trial(
        **{
            **asdict(trial),
            "promoted": verdict.promote,
            "on_holdout": accuracy(new) - accuracy(old),
            "reason": verdict.reason,
        }
    )


def _truth(row: Example) -> dict[str, str]:
    return {name: answer.label for name, answer in row.labels.items() if name in WRITTEN}


def table(found: Sequence[Trial]) -> list[str]:
    """One line a cell: how many were promoted, and how many of those should not have been."""
    lines = [
        "| wrong labels | attack | holdout | it is | runs | truly better | promoted "
        "| worse on the holdout, promoted | worse in truth, promoted |",
        "|---:|---|---:|---|---:|---:|---:|---:|---:|",
    ]
    cells: dict[tuple[float, str, int, bool], list[Trial]] = {}
    for trial in found:
        cells.setdefault(
            (trial.rate, trial.attack, trial.holdout, trial.poisoned_holdout), []
        ).append(trial)
    for (rate, attack, size, poisoned), rows in sorted(cells.items(), key=lambda item: item[0]):
        passed = [t for t in rows if t.promoted]
        lines.append(
            f"| {rate:.0%} | {attack if rate else '–'} | {size} "
            f"| {'poisoned' if poisoned else 'clean'} | {len(rows)} "
            f"| {sum(t.in_truth > 0 for t in rows)} | {len(passed)} "
            f"| {sum(t.on_holdout < 0 for t in passed)} | {sum(t.in_truth < 0 for t in passed)} |"
        )
    return lines


def main(
    data: Annotated[list[Path], typer.Argument(help="Labelled reports, JSON Lines.")],
    seeds: Annotated[int, typer.Option(min=1, help="Draws of the reports.")] = 20,
    as_json: Annotated[bool, typer.Option("--json", help="Every trial as a JSON line.")] = False,
) -> None:
    """Train candidates on more and more wrong labels, and put each before the gate."""
    rows = [row for path in data for row in dataset.read(path).refuse_problems()]
    bench = Bench(rows)
    typer.echo(f"{len(bench.rows)} reports", err=True)
    found = trials(
        bench,
        range(seeds),
        rules=Rules(resamples=400),
        told=lambda t: typer.echo(json.dumps(asdict(t))) if as_json else None,
    )
    if not as_json:
        typer.echo("\n".join(table(found)))


if __name__ == "__main__":
    typer.run(main)
