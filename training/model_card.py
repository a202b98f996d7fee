"""The card of a model version: what it learned from, how good it is, and why it may serve or not.

It goes into the model store beside the weights, so it has no word of any issue.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

from app.core.manifest import Manifest
from training.example import Example
from training.figures import DimensionFigures, Evaluation, Figure
from training.gate import Verdict
from training.retraining.plan import Part, Plan

NAME = "README.md"

_PARTS: Mapping[Part, str] = {
    "fit": "learned from",
    "replay": "replayed from the operator's own reports",
    "calibration": "calibrated on",
    "holdout": "judged by (the newest)",
}


def markdown(
    plan: Plan,
    manifest: Manifest,
    parts: Mapping[Part, Sequence[Example]],
    candidate: Evaluation,
    active: Evaluation,
    verdict: Verdict,
) -> str:
    """The card as Markdown. Figures of both models are of the same holdout, the newest reports."""
    parent = active.run.model
    lines = [
        f"# {manifest.version}",
        "",
        f"A LoRA adapter for {manifest.base_model}, trained for {plan.repository} from what its"
        f" maintainers corrected and confirmed up to {plan.until:%Y-%m-%d %H:%M} UTC. It"
        f" {_from(plan, parent)}. It labels issues of that repository and was measured on nothing"
        " else.",
        "",
        f"**{'Promoted' if verdict.promote else 'Kept as a candidate'}:** {verdict.reason}.",
        "",
        "## Data",
        "",
        *_data(parts),
        "",
        *_labels(plan, parts["fit"]),
        *(
            f"- left out: {count} {'answers' if count > 1 else 'answer'} ({why})"
            for why, count in plan.left_out.items()
        ),
        "",
        "Labels of the bot that nobody looked at are not among them. Texts are as filed.",
        f"Digest of the training rows: `{manifest.data_digest[:16]}`.",
        "",
        f"## Figures on the {verdict.issues} newest reports",
        "",
        *_figures(candidate, active, verdict, parent),
        "",
        "95 % intervals: Wilson for shares of one dimension, bootstrap over reports for the rest."
        " The reports are those that people acted on; a model's share of all issues that it gets"
        " right is another figure, mostly a higher one.",
        "",
        "## The gate",
        "",
        "| check | passed | figures |",
        "|---|---|---|",
        *(f"| {c.name} | {'yes' if c.passed else '**no**'} | {c.said} |" for c in verdict.checks),
        "",
        "## Training",
        "",
        *_training(plan, manifest),
        "",
        "## Commands",
        "",
        "```",
        f"triora models {plan.repository}",
        f"triora promote {manifest.version}",
        f"triora rollback {plan.repository}",
        f"triora retrain {plan.repository} --wait",
        "```",
    ]
    return "\n".join(lines) + "\n"


def _from(plan: Plan, parent: str) -> str:
    goes_on = plan.start == "active" and parent != "the base model"
    return f"goes on from {parent}" if goes_on else "starts from the base model"


def _data(parts: Mapping[Part, Sequence[Example]]) -> list[str]:
    kinds = sorted({a.provenance for p in parts.values() for e in p for a in e.labels.values()})
    head = ["", "reports", "filed", *(f"answers {kind}" for kind in kinds)]
    rows = [_row(head), _row(["---"] * len(head))]
    for part, name in _PARTS.items():
        examples = parts[part]
        counted = Counter(a.provenance for e in examples for a in e.labels.values())
        rows.append(
            _row([name, str(len(examples)), _span(examples), *(str(counted[k]) for k in kinds)])
        )
    return rows


def _labels(plan: Plan, fit: Sequence[Example]) -> list[str]:
    found = []
    for dimension in plan.taxonomy.written:
        counted = Counter(e.label(dimension.name) for e in fit)
        shown = ", ".join(f"{name} {counted[name]}" for name in dimension.names)
        found.append(f"- {dimension.name}: {shown}")
    return found


def _figures(candidate: Evaluation, active: Evaluation, verdict: Verdict, parent: str) -> list[str]:
    new, old = (e.slice("all") or e.main for e in (candidate, active))
    rows = [
        _row(["", "n", "this version", parent]),
        _row(["---", "---:", "---", "---"]),
        _pair("accuracy over all answers", verdict.accuracy.candidate, verdict.accuracy.active),
    ]
    for mine in new.dimensions:
        theirs = old.dimension(mine.dimension)
        if theirs is not None:
            rows += _of_dimension(mine, theirs)
    if verdict.recall_of_highest is not None:
        recall = verdict.recall_of_highest
        rows.append(_pair("recall of the highest severity", recall.candidate, recall.active))
    error = verdict.calibration_error
    rows.append(_pair("calibration error", error.candidate, error.active))
    return rows


def _of_dimension(mine: DimensionFigures, theirs: DimensionFigures) -> list[str]:
    return [
        _pair(f"{mine.dimension}, accuracy", mine.accuracy, theirs.accuracy),
        _pair(f"{mine.dimension}, macro-F1", mine.macro_f1, theirs.macro_f1),
    ]


def _pair(name: str, new: Figure, old: Figure) -> str:
    return _row([name, str(new.n), new.percent(), old.percent()])


def _training(plan: Plan, manifest: Manifest) -> list[str]:
    config, optimiser = plan.config, plan.config.optimiser
    libraries = ", ".join(f"{name} {version}" for name, version in manifest.libraries.items())
    return [
        f"- base model {manifest.base_model}, revision"
        f" `{(manifest.base_revision or 'unknown')[:16]}`, {config.weights}",
        f"- {optimiser.epochs:g} passes, {optimiser.batch_size} reports an update, learning rate"
        f" {optimiser.learning_rate:g}, seed {config.seed}, {manifest.text_tokens} tokens of text",
        f"- prompt {manifest.prompt_version}, taxonomy `{manifest.taxonomy_digest[:16]}`",
        f"- {libraries}",
    ]


def _span(examples: Sequence[Example]) -> str:
    times = [e.filed_at for e in examples if e.filed_at is not None]
    return f"{min(times):%Y-%m-%d} to {max(times):%Y-%m-%d}" if times else "–"


def _row(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"
