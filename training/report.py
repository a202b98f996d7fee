"""Writes one self-contained HTML page: every figure with its interval, size and baselines."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from training import plots
from training.comparison import Comparison, Standing
from training.figures import DimensionFigures, Evaluation, Figure, Scope
from training.keywords import Agreement

TEMPLATES = Path(__file__).parent / "templates"
SCOPES: tuple[Scope, ...] = ("bugs", "all")


def evaluation_page(
    evaluation: Evaluation,
    comparison: Comparison,
    others: Sequence[Evaluation] = (),
    agreements: Sequence[Agreement] = (),
) -> str:
    """The page of one run beside its baselines (`others`, compared in `comparison`)."""
    drawn = {
        scope: {
            "coverage": Markup(  # noqa: S704 - our own drawing; matplotlib escapes its texts
                plots.coverage(
                    [
                        (e.run.name, part.answers)
                        for e in (evaluation, *others)
                        if (part := e.slice(scope)) is not None
                    ]
                )
            ),
            "reliability": Markup(  # noqa: S704
                plots.reliability([(d.dimension, d.answers) for d in found.dimensions])
            ),
        }
        for scope in SCOPES
        if (found := evaluation.slice(scope)) is not None
    }
    repositories = [s for s in evaluation.slices if s.repository]
    return _render(
        "report.html",
        title=f"{evaluation.run.name}: evaluation",
        evaluation=evaluation,
        comparison=comparison,
        agreements=agreements,
        drawn=drawn,
        slices=Markup(plots.slices([*_whole(evaluation), *repositories])),  # noqa: S704
    )


def comparison_page(comparison: Comparison, evaluations: Sequence[Evaluation] = ()) -> str:
    """The page of `triora compare`; `evaluations` bring the mistakes of each run."""
    scope: Scope = "bugs" if comparison.of("bugs") else "all"
    standings = comparison.of(scope)
    trained = [s for s in comparison.of(scope) if s.training_rows and s.family == "model"]
    curve = len({s.training_rows for s in trained}) > 1
    return _render(
        "comparison.html",
        title="Comparison of runs",
        comparison=comparison,
        evaluations=evaluations,
        standings=Markup(plots.standings(standings)),  # noqa: S704
        curve=Markup(plots.learning_curve(trained)) if curve else None,  # noqa: S704
        main=scope,
    )


def _whole(evaluation: Evaluation) -> list[Any]:
    return [s for s in evaluation.slices if s.repository is None]


def _render(template: str, **values: Any) -> str:
    environment = Environment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(percent=percent, points=points, p=probability, number=number)
    environment.globals.update(
        scopes=SCOPES, scope_name=scope_name, shade=shade, settings_of=_settings
    )
    return environment.get_template(template).render(**values)


def scope_name(scope: Scope) -> str:
    """How a heading calls a scope."""
    return "Bug reports" if scope == "bugs" else "All reports"


def percent(figure: Figure | None) -> Markup:
    """`85.5 %` with its interval in small print."""
    if figure is None or figure.value is None:
        return Markup('<span class="none">–</span>')
    if figure.low is None or figure.high is None:
        return Markup("<b>{:.1f}</b>").format(100 * figure.value)
    return Markup('<b>{:.1f}</b> <span class="interval">{:.1f} to {:.1f}</span>').format(
        100 * figure.value, 100 * figure.low, 100 * figure.high
    )


def number(figure: Figure | None) -> Markup:
    """A figure that is no percentage (macro-F1, calibration error), three digits."""
    if figure is None or figure.value is None:
        return Markup('<span class="none">–</span>')
    if figure.low is None or figure.high is None:
        return Markup("<b>{:.3f}</b>").format(figure.value)
    return Markup('<b>{:.3f}</b> <span class="interval">{:.3f} to {:.3f}</span>').format(
        figure.value, figure.low, figure.high
    )


def points(figure: Figure) -> Markup:
    """A difference in points, with its sign and interval."""
    if figure.value is None or figure.low is None or figure.high is None:
        return Markup('<span class="none">–</span>')
    return Markup('<b>{:+.1f}</b> <span class="interval">{:+.1f} to {:+.1f}</span>').format(
        100 * figure.value, 100 * figure.low, 100 * figure.high
    )


def probability(p: float) -> str:
    """A p value as it is usually written."""
    return "< 0.001" if p < 0.001 else f"{p:.3f}"


def shade(dimension: DimensionFigures, row: int, column: int) -> int:
    """How dark a cell of the confusion matrix is, in percent of its row."""
    total = sum(dimension.confusion[row])
    return round(80 * dimension.confusion[row][column] / total) if total else 0


def _settings(standing: Standing) -> str:
    return ", ".join(f"{name} {value}" for name, value in standing.settings.items())
