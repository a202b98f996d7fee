"""Draws the report's figures as SVG that reads well on light and dark pages."""

from __future__ import annotations

import io
import re
from collections.abc import Sequence
from typing import TYPE_CHECKING

from training.comparison import Standing
from training.evaluation import COVERAGE_TARGET, PRECISION_TARGETS
from training.figures import Answers, Figure, Slice

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure as Canvas

    from training.curve import CurvePoint

# Middle tones: legible on white and on near-black, told apart without colour vision.
COLOURS = ("#3f87d0", "#d9822b", "#2a9d74", "#b85c9e", "#8a8f98", "#c0504d")
MARKERS = ("o", "s", "D", "^", "v", "P")
LINES = ((0, (5, 3)), (0, (1, 2)))
# Drawn in this grey, then turned into the page's own text colour.
_INK = "#123456"


def coverage(entrants: Sequence[tuple[str, Answers]]) -> str:
    """Precision against coverage, one line an entrant, with the targets marked."""
    canvas, axes = _canvas(6.4, 3.6)
    for (name, answers), colour in zip(entrants, _cycle(len(entrants)), strict=True):
        x = [point.coverage for point in answers.curve]
        y = [point.precision for point in answers.curve]
        # A single cut (a model that is always equally sure) is a point, not a line.
        axes.plot(x, y, color=colour, linewidth=1.8, marker="o" if len(x) == 1 else "", label=name)
    axes.axhline(PRECISION_TARGETS[1], color=_INK, linewidth=0.7, linestyle=(0, (4, 3)))
    axes.axvline(COVERAGE_TARGET, color=_INK, linewidth=0.7, linestyle=(0, (4, 3)))
    axes.set(xlabel="coverage: share of answers given", ylabel="precision", xlim=(0, 1.01))
    lowest = min((p.precision for _, a in entrants for p in a.curve), default=0.5)
    axes.set_ylim(max(0.0, lowest - 0.05), 1.02)
    axes.legend(frameon=False, fontsize=8.5, loc="lower left")
    return _svg(canvas, "coverage")


def reliability(parts: Sequence[tuple[str, Answers]]) -> str:
    """Confidence against accuracy, a panel a dimension; whiskers are Wilson intervals."""
    canvas, panels = _panels(len(parts))
    for (name, answers), axes in zip(parts, panels, strict=True):
        axes.plot([0, 1], [0, 1], color=_INK, linewidth=0.7, linestyle=(0, (4, 3)))
        for held in answers.reliability:
            accuracy = held.accuracy
            if accuracy.value is None or accuracy.low is None or accuracy.high is None:
                continue
            axes.plot(
                [held.confidence] * 2, [accuracy.low, accuracy.high], color=COLOURS[0], linewidth=1
            )
            size = 12 + 160 * held.n / max(answers.n, 1)
            axes.scatter(held.confidence, accuracy.value, s=size, color=COLOURS[0], zorder=3)
        error = answers.calibration_error.value
        shown = f"{name} (n {answers.n}): ECE {error:.3f}" if error is not None else name
        axes.set_title(shown, fontsize=9, color=_INK)
        axes.set(xlim=(0, 1.02), ylim=(0, 1.02), xlabel="confidence")
    panels[0].set_ylabel("share right")
    return _svg(canvas, "reliability")


def slices(rows: Sequence[Slice]) -> str:
    """Average accuracy of each slice with its interval."""
    return _whiskers([(f"{row.name} (n {row.n})", row.accuracy) for row in rows], "slices")


def standings(rows: Sequence[Standing]) -> str:
    """Average accuracy of each entrant with its interval."""
    return _whiskers([(row.name, row.accuracy) for row in rows], "standings")


def learning_curve(rows: Sequence[Standing]) -> str:
    """Average accuracy against training rows; one line for each provenance of the labels."""
    canvas, axes = _canvas(6.4, 3.4)
    kinds = list(dict.fromkeys((row.model, row.provenance) for row in rows))
    for (model, provenance), colour, marker in zip(
        kinds, _cycle(len(kinds)), MARKERS * len(kinds), strict=False
    ):
        points = _points(rows, model, provenance)
        xs = [size for size, _, _, _ in points]
        axes.plot(
            xs,
            [value for _, value, _, _ in points],
            color=colour,
            marker=marker,
            label=f"{model}, {provenance or 'no'} labels",
        )
        for x, _, low, high in points:
            axes.plot([x, x], [low, high], color=colour, linewidth=1, alpha=0.7)
    axes.set_xscale("log")
    ticks = sorted({row.training_rows for row in rows if row.training_rows})
    axes.set_xticks(ticks, [str(tick) for tick in ticks])
    axes.minorticks_off()
    axes.set(xlabel="training reports", ylabel="average accuracy")
    axes.legend(frameon=False, fontsize=8.5, loc="lower right")
    return _svg(canvas, "curve")


def label_curve(points: Sequence[CurvePoint], flat: Sequence[Standing]) -> str:
    """Accuracy and macro-F1 against read reports; keyword labels in a place of their own, left.

    `flat` are lines that no number of reports moves. Bands and whiskers are 95 % intervals.
    """
    canvas, panels = _panels(2, width=4.6, height=3.5)
    sizes = sorted({p.rows for p in points if p.read})
    # On a logarithmic axis, a step before the first size.
    aside = sizes[0] / 2.2 if sizes else 1.0
    for axes, measure in zip(panels, ("accuracy", "macro_f1"), strict=True):
        for name, side in (("model", 0.97), ("tfidf", 1.03)):
            _line(axes, points, name, measure, aside, side)
        for number, one in enumerate(flat):
            value = getattr(one, measure).value
            style = LINES[number % len(LINES)]
            if value is not None:
                axes.axhline(
                    value, color=COLOURS[4], linewidth=1.3, linestyle=style, label=one.name
                )
        axes.set_xscale("log")
        slot = any(not p.read for p in points)
        if slot and sizes:
            axes.axvline(aside * 2.2**0.5, color=_INK, linewidth=0.7, alpha=0.3)
        places = [(aside, "keyword\nlabels")] * slot + [(x, str(x)) for x in sizes]
        axes.set_xticks([x for x, _ in places], [text for _, text in places])
        axes.minorticks_off()
        axes.set(xlabel="read reports", title="")
        axes.set_ylabel("average accuracy" if measure == "accuracy" else "macro-F1")
    handles, names = panels[0].get_legend_handles_labels()
    legend = canvas.legend(
        handles, names, ncols=4, frameon=False, fontsize=8.5, loc="outside upper left"
    )
    for text in legend.get_texts():
        text.set_color(_INK)
    return _svg(canvas, "labels")


def _line(
    axes: Axes, points: Sequence[CurvePoint], which: str, measure: str, aside: float, side: float
) -> None:
    """One entrant's line; `side` moves its whiskers apart from those of the other."""
    ours = which == "model"
    colour, marker = (COLOURS[0], "o") if ours else (COLOURS[1], "s")
    known: list[tuple[float, float, float, float, bool]] = []
    for point in points:
        standing = getattr(point, which)
        figure: Figure | None = getattr(standing, measure) if standing is not None else None
        if figure is None or figure.value is None or figure.low is None or figure.high is None:
            continue
        x = (point.rows if point.read else aside) * side
        known.append((x, figure.value, figure.low, figure.high, point.read))
    for x, _, low, high, _ in known:
        axes.plot([x, x], [low, high], color=colour, linewidth=1.2, alpha=0.75)
    read = sorted(one for one in known if one[4])
    xs = [one[0] for one in read]
    axes.fill_between(
        xs, [o[2] for o in read], [o[3] for o in read], color=colour, alpha=0.1, linewidth=0
    )
    label = "the model" if ours else "TF-IDF + logistic regression"
    axes.plot(
        xs, [one[1] for one in read], color=colour, marker=marker, markersize=5.5, label=label
    )
    for x, value, _, _, on_line in known:
        if not on_line:
            axes.plot([x], [value], color=colour, marker=marker, markersize=5.5, linestyle="")


def _points(
    rows: Sequence[Standing], model: str, provenance: str | None
) -> list[tuple[int, float, float, float]]:
    """(training rows, accuracy, low, high), ascending."""
    found = []
    for row in rows:
        value, low, high = row.accuracy.value, row.accuracy.low, row.accuracy.high
        if value is None or low is None or high is None or not row.training_rows:
            continue
        if (row.model, row.provenance) == (model, provenance):
            found.append((row.training_rows, value, low, high))
    return sorted(found)


def _whiskers(rows: Sequence[tuple[str, Figure]], salt: str) -> str:
    canvas, axes = _canvas(7.2, 0.6 + 0.3 * len(rows))
    for place, (_, figure) in enumerate(rows):
        if figure.value is None or figure.low is None or figure.high is None:
            continue
        axes.plot([figure.low, figure.high], [place, place], color=COLOURS[0], linewidth=2)
        axes.scatter(figure.value, place, color=COLOURS[0], s=34, zorder=3)
    axes.set_yticks(range(len(rows)), [name for name, _ in rows])
    axes.set_ylim(len(rows) - 0.5, -0.5)
    axes.grid(axis="y", visible=False)
    axes.set_xlabel("average accuracy, 95 % interval")
    return _svg(canvas, salt)


def _cycle(n: int) -> list[str]:
    return [COLOURS[i % len(COLOURS)] for i in range(n)]


def _canvas(width: float, height: float) -> tuple[Canvas, Axes]:
    canvas = _figure(width, height)
    axes = canvas.add_subplot()
    _plain(axes)
    return canvas, axes


def _panels(count: int, width: float = 2.6, height: float = 2.9) -> tuple[Canvas, list[Axes]]:
    canvas = _figure(max(width * count, 3.0), height)
    panels = [canvas.add_subplot(1, count, place + 1) for place in range(count)]
    for axes in panels:
        _plain(axes)
    return canvas, panels


def _figure(width: float, height: float) -> Canvas:
    # The object itself, not pyplot: no global state, no display, no memory kept.
    from matplotlib.figure import Figure as Canvas  # noqa: PLC0415 - slow to import

    return Canvas(figsize=(width, height), layout="constrained")


def _plain(axes: Axes) -> None:
    axes.set_facecolor("none")
    axes.grid(color=_INK, alpha=0.15, linewidth=0.6)
    axes.tick_params(colors=_INK, labelsize=8.5, length=0)
    axes.xaxis.label.set(color=_INK, fontsize=9)
    axes.yaxis.label.set(color=_INK, fontsize=9)
    for side, spine in axes.spines.items():
        spine.set_visible(side in {"left", "bottom"})
        spine.set(color=_INK, alpha=0.4)


def _svg(canvas: Canvas, salt: str) -> str:
    import matplotlib as mpl  # noqa: PLC0415 - slow to import

    for axes in canvas.axes:
        legend = axes.get_legend()
        for text in legend.get_texts() if legend else ():
            text.set_color(_INK)
    out = io.StringIO()
    # Text stays text (the page's font, selectable); ids do not change from run to run.
    with mpl.rc_context({"svg.fonttype": "none", "svg.hashsalt": salt}):
        canvas.savefig(out, format="svg", transparent=True, metadata={"Date": None})
    drawn = out.getvalue()
    drawn = drawn[drawn.index("<svg") :]
    drawn = re.sub(r"<metadata>.*?</metadata>", "", drawn, flags=re.DOTALL)
    # Groups are numbered alike in every figure, and one page holds several.
    drawn = re.sub(r'<g id="[^"]*"', "<g", drawn)
    drawn = re.sub(r'(id="|#)([mp][0-9a-f]{10})', rf"\1{salt}-\2", drawn)
    drawn = re.sub(r' (?:width|height)="[\d.]+pt"', "", drawn, count=2)
    # No font of its own: the text takes the page's.
    drawn = re.sub(r"; font-family: [^;\"]*(\"|;)", r"\1", drawn)
    return drawn.replace(_INK, "currentColor")
