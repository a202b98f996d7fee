"""The `.github/triora.yml` that the figures speak for: cautious, commented, and checked."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence

from app.core import repository_config
from app.core.config_rules import MAX_LABELS
from app.core.taxonomy import Dimension, Taxonomy
from training.figures import Figure
from training.preview.figures import DimensionFigures, LabelFigures, Meaning

# A label that never reaches the target is proposed to people, never written.
NEVER = 1.0


def propose(
    dimensions: Sequence[DimensionFigures],
    meanings: Sequence[Meaning],
    taxonomy: Taxonomy,
    target: float,
) -> str:
    """YAML that `repository_config.parse` takes; ConfigProblem if it does not, with its words."""
    used = {m.name: m.issues for m in meanings}
    told = {m.name: m.description for m in meanings}
    own, ours, gone = _keep_apart(dimensions)
    lines = [
        "# Proposed by `triora preview` from this repository's own history.",
        "dry_run: true  # decides and records, writes nothing: remove this line to begin",
        f"precision: {target:g}  # of the labels written, so many shall be right",
        "dimensions:",
    ]
    taken: set[str] = set()
    for dimension in taxonomy.dimensions:
        why = gone.get(dimension.name, "no labels here to measure it by")
        lines += _ours(dimension, ours.get(dimension.name), used, taken, taxonomy, why)
    for figures in own:
        lines += _own(figures, used, told, taken)
    lines += [f"# {_plain(d.name)}: {gone[d.name]}" for d in dimensions if d.own and d.name in gone]
    text = "\n".join(lines) + "\n"
    repository_config.parse(text)
    return text


def _keep_apart(
    dimensions: Sequence[DimensionFigures],
) -> tuple[list[DimensionFigures], dict[str, DimensionFigures], dict[str, str]]:
    """Own dimensions, ours, and why others are left out.

    A GitHub label stands for one answer only, so of two dimensions that share some one goes.
    """
    measured = [d for d in dimensions if d.lacking is None]
    ours = {d.name: d for d in measured if not d.own}
    own: list[DimensionFigures] = []
    gone: dict[str, str] = {}
    for candidate in (d for d in measured if d.own):
        names = _names(candidate)
        rivals = [d for d in ours.values() if _names(d) & names]
        better = next((d for d in rivals if _worth(d) >= _worth(candidate)), None)
        if better is not None:
            gone[candidate.name] = f"{better.name} asks the same, and better"
            continue
        if all(label.threshold is None for label in candidate.labels):
            gone[candidate.name] = "no label was sure enough on the older issues"
            continue
        for rival in rivals:
            del ours[rival.name]
            gone[rival.name] = f"{_plain(candidate.name)} asks the same, and better"
        own.append(candidate)
    return own, ours, gone


def _names(figures: DimensionFigures) -> set[str]:
    return {name.casefold() for label in figures.labels for name in label.github}


def _worth(figures: DimensionFigures) -> tuple[int, float]:
    """Right labels at the proposed thresholds, then right answers without any."""
    right = figures.proposed.right if figures.proposed else 0
    return right, max((e.accuracy.value or 0.0 for e in figures.entrants if e.chosen), default=0.0)


def _ours(
    dimension: Dimension,
    figures: DimensionFigures | None,
    used: Mapping[str, int],
    taken: set[str],
    taxonomy: Taxonomy,
    why: str,
) -> list[str]:
    known = {label.name: label for label in figures.labels} if figures else {}
    chosen = {
        name: github
        for name, label in known.items()
        if (github := _github(label, used, taken)) is not None
    }
    opens = taxonomy.gate is not None and taxonomy.gate[0] == dimension.name
    if len(chosen) < 2 or (opens and taxonomy.gate and taxonomy.gate[1] not in chosen):
        if not dimension.written:
            return []
        return [
            f"  {dimension.name}:",
            f"    written: false  # {why}: scored, never written",
        ]
    lines = [f"  {dimension.name}:"]
    if not dimension.written:
        lines.append("    written: true")
    lines.append("    labels:")
    for label in dimension.labels:
        if label.name in chosen:
            taken.add(chosen[label.name].casefold())
            lines += _label(label.name, chosen[label.name], known[label.name], None)
        else:
            lines.append(f"      {_key(label.name)}: false  # too few issues here carry one")
    return lines


def _own(
    figures: DimensionFigures,
    used: Mapping[str, int],
    told: Mapping[str, str],
    taken: set[str],
) -> list[str]:
    labels = [
        (label, github)
        for label in figures.labels[:MAX_LABELS]
        if (github := _github(label, used, taken)) is not None
    ]
    if len(labels) < 2:
        return []
    lines = [
        f"  {_key(figures.name)}:",
        f"    question: {_text(figures.question)}",
        f"    exclusive: {str(figures.exclusive).lower()}",
        "    labels:",
    ]
    for label, github in labels:
        taken.add(github.casefold())
        description = " ".join(told.get(github, "").split())[:100] or f"Issues about {label.name}"
        lines += _label(label.name, github, label, description[:100])
    return lines


def _label(name: str, github: str, figures: LabelFigures, description: str | None) -> list[str]:
    lines = [f"      {_key(name)}:", f"        github: {_text(github)}"]
    if len(figures.github) > 1:
        others = ", ".join(n for n in figures.github if n != github)
        lines[-1] += f"  # also seen: {_plain(others)}"
    if description is not None:
        lines.append(f"        description: {_text(description)}")
    if figures.threshold is None:
        lines.append(f"        threshold: {NEVER:g}  # too unsure here: proposed, never written")
    elif figures.proposed is not None:
        lines.append(f"        # the newest issues: {_said(figures.proposed.precision)} right")
    return lines


def _said(figure: Figure) -> str:
    return f"{figure.percent()} of {figure.n}" if figure.n else "none written, so none"


def _github(label: LabelFigures, used: Mapping[str, int], taken: set[str]) -> str | None:
    """The most used of the GitHub labels that mean it and that nothing else uses yet."""
    free = [name for name in label.github if name.casefold() not in taken]
    return max(free, key=lambda name: used.get(name, 0), default=None)


def _plain(text: str) -> str:
    return "".join(c if c.isprintable() else " " for c in text)


def _text(value: str) -> str:
    # A JSON string is a YAML one.
    return json.dumps(value, ensure_ascii=True)


def _key(name: str) -> str:
    plain = name.isascii() and name.replace("-", "").isalnum() and not name[0].isdigit()
    reserved = {"true", "false", "yes", "no", "on", "off", "null", "y", "n"}
    return name if plain and name.casefold() not in reserved else _text(name)
