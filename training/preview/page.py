"""Writes a preview as one HTML page that needs no network and cannot reach one."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Sequence
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from training.preview.figures import DimensionFigures, Point, Preview, Recent

TEMPLATES = Path(__file__).parent / "templates"
_VERDICTS = {"right": 1, "wrong": 0, "unlabelled": 2, "unknown": 3}


def render(preview: Preview) -> str:
    """The page. Titles of issues stand on it, texts do not."""
    script = (TEMPLATES / "preview.js").read_text(encoding="utf-8")
    environment = Environment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(
        pct=percent, range=interval, day=lambda moment: f"{moment:%Y-%m-%d}", chance=chance
    )
    environment.globals.update(cell=cell, beats=beats, tally=tally)
    return environment.get_template("preview.html").render(
        p=preview,
        measured=[d for d in preview.dimensions if d.lacking is None],
        script=Markup(script),  # noqa: S704 - a file of ours
        script_hash=base64.b64encode(hashlib.sha256(script.encode()).digest()).decode(),
        numbers=Markup(_numbers(preview)),  # noqa: S704 - JSON without a way out of its element
    )


def percent(value: float | None) -> str:
    """`91.4 %`; a dash where there is none."""
    return "–" if value is None else f"{100 * value:.0f} %"


def chance(p: float) -> str:
    """A probability; never as sure as 0 or 100 %."""
    if p > 0.99:
        return "> 99 %"
    return f"{100 * p:.0f} %" if p >= 0.01 else "< 1 %"


def tally(recent: Sequence[Recent], dimension: str) -> dict[str, int]:
    """What became of a dimension on these issues."""
    found = dict.fromkeys(("right", "wrong", "open", "nothing"), 0)
    for would in (w for r in recent for w in r.would if w.dimension == dimension):
        kind = would.verdict if would.verdict in ("right", "wrong") else "open"
        found["nothing" if would.answer is None else kind] += 1
    return found


def interval(low: float | None, high: float | None) -> str:
    """`84 to 96`, in percent."""
    return "" if low is None or high is None else f"{100 * low:.0f} to {100 * high:.0f}"


def cell(point: Point) -> str:
    """What a cell of the table of thresholds holds: right of written."""
    return f"{point.right} / {point.written}"


def beats(dimension: DimensionFigures) -> bool:
    """True if the likeliest answer is right more often than the commonest one, beyond chance."""
    chosen = next((e for e in dimension.entrants if e.chosen), None)
    bar = dimension.majority_accuracy
    if chosen is None or chosen.accuracy.low is None or bar is None or bar.value is None:
        return False
    return chosen.accuracy.low > bar.value


def _numbers(preview: Preview) -> str:
    """What the sliders reckon with; nothing in it is text of an issue."""
    found = [
        {
            "labels": [label.name for label in d.labels],
            "thresholds": [label.threshold for label in d.labels],
            "carried": [label.newest for label in d.labels],
            "answers": [[a.label, a.p, _VERDICTS[a.verdict]] for a in d.answers],
        }
        for d in preview.dimensions
        if d.lacking is None
    ]
    # Inside a script element only "<" could end it.
    return json.dumps(found).replace("<", "\\u003c")
