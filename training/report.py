"""Writes one self-contained HTML page: every figure with its interval, size and baselines."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from training import plots
from training.comparison import Comparison, Contrast, Standing
from training.figures import DimensionFigures, Evaluation, Figure, Scope
from training.keywords import Agreement

if TYPE_CHECKING:
    # Torch comes with it.
    from training.curve import Curve, CurvePoint

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
    scope = _main(comparison)
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
        said=verdicts(comparison),
    )


def verdicts(comparison: Comparison) -> list[str]:
    """What a comparison found, in sentences; nothing that may be chance is called a difference."""
    scope = _main(comparison)
    standings = comparison.of(scope)
    best = standings[0]
    found = [
        f"The highest average accuracy on {scope_name(scope).lower()} is that of {best.name}:"
        f" {best.accuracy.percent()}."
    ]
    against = [c for s in standings if (c := comparison.contrast(s.name, scope)) is not None]
    ahead, behind = (
        [c.name for c in against if c.significant and (_gain(c) > 0) == better]
        for better in (True, False)
    )
    even = [c.name for c in against if not c.significant]
    for names, what in (
        (ahead, "More than chance above"),
        (even, "Not told apart from"),
        (behind, "More than chance below"),
    ):
        if names:
            found.append(f"{what} {comparison.reference}: {', '.join(names)}.")
    pairs = [c for c in comparison.between if c.scope == scope]
    if pairs:
        told = [c for c in pairs if c.significant]
        told_apart = "none is" if not told else f"{len(told)} {'is' if len(told) == 1 else 'are'}"
        found.append(
            f"Of the {len(pairs)} pairs of variants, {told_apart} told apart by this many reports."
        )
    return found


def curve_page(curve: Curve) -> str:
    """The page of `triora curve`."""
    scopes = [scope for scope in SCOPES if curve.of(scope)]
    return _render(
        "curve.html",
        title="Learning curve",
        curve=curve,
        drawn={
            scope: Markup(plots.label_curve(curve.of(scope), curve.flat_of(scope)))  # noqa: S704
            for scope in scopes
        },
        said={scope: summary(curve, scope) for scope in scopes},
    )


def summary(curve: Curve, scope: Scope) -> list[str]:
    """What the curve says, in sentences; each says whether it may be chance."""
    trained = [p for p in curve.of(scope) if p.model is not None]
    read = [p for p in trained if p.read]
    found = []
    if len(read) > 1:
        first, last = read[0], read[-1]
        found.append(
            f"From {first.rows} to {last.rows} read reports the model's average accuracy goes from"
            f" {_value(first)} to {_value(last)} %."
        )
        if last.against_before is not None:
            rising = last.against_before.significant and _gain(last.against_before) > 0
            found.append(
                f"The last step, from {read[-2].rows} to {last.rows}, is worth"
                f" {_gain(last.against_before):+.1f} points, which"
                f" {'is more than chance: the curve still rises' if rising else 'may be chance'}."
            )
    if read and (contrast := read[-1].against_tfidf) is not None:
        found.append(_beside(contrast))
    weak = next((p for p in trained if not p.read), None)
    if weak is not None and read:
        better = next((p for p in read if _value(p) > _value(weak)), None)
        found.append(
            f"Keyword labels on all {weak.rows} reports give {_value(weak)} %, which"
            f" {f'{better.rows} read reports surpass' if better else 'no point surpasses'}."
        )
    return found


def _beside(contrast: Contrast) -> str:
    difference = _gain(contrast)
    verdict = "is more than chance" if contrast.significant else "may be chance"
    side = "above" if difference >= 0 else "below"
    return (
        f"On all of them it is {abs(difference):.1f} points {side} TF-IDF with logistic regression"
        f" on the same rows, which {verdict} (p {probability(contrast.p_corrected)})."
    )


def _gain(contrast: Contrast) -> float:
    return 100 * (contrast.difference.value or 0.0)


def _value(point: CurvePoint) -> float:
    found = point.model.accuracy.value if point.model is not None else None
    return round(100 * (found or 0.0), 1)


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
        scopes=SCOPES, scope_name=scope_name, shade=shade, settings_of=_settings, pair=_pair
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


def _main(comparison: Comparison) -> Scope:
    return "bugs" if comparison.of("bugs") else "all"


def _pair(comparison: Comparison, scope: Scope, name: str, other: str) -> Contrast | None:
    """The test of `name` against `other`, whichever way round it was made."""
    for c in comparison.between:
        if c.scope == scope and (c.name, c.reference) == (name, other):
            return c
        if c.scope == scope and (c.name, c.reference) == (other, name):
            difference = c.difference
            turned = Figure(
                value=_minus(difference.value),
                low=_minus(difference.high),
                high=_minus(difference.low),
                n=difference.n,
            )
            return c.model_copy(update={"name": name, "reference": other, "difference": turned})
    return None


def _minus(value: float | None) -> float | None:
    return None if value is None else -value


def _settings(standing: Standing) -> str:
    return ", ".join(f"{name} {value}" for name, value in standing.settings.items())
