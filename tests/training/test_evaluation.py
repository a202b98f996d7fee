from __future__ import annotations

from pathlib import Path

import pytest
from pydantic import ValidationError

from app.core.errors import BadRequest, ConfigProblem
from app.core.taxonomy import DEFAULT_TAXONOMY
from tests.training.rows import distinct, example, prediction, run
from training.evaluation import evaluate
from training.figures import Evaluation
from training.predictions import Prediction, Run, load, predictions_of, save


def mixed() -> list[Prediction]:
    return [
        prediction("1", "critical", "critical"),
        prediction("2", "critical", "high", repository="c/d"),
        prediction("3", "low", "low", bug=False),
        prediction("4", "low", "low", seen=True),
    ]


def test_bugs_come_first_and_alone_then_all_then_each_repository() -> None:
    found = evaluate(run(mixed()), mixed())
    assert [(s.scope, s.repository, s.unseen, s.n) for s in found.slices] == [
        ("bugs", None, False, 3),
        ("all", None, False, 4),
        ("bugs", None, True, 2),
        ("all", None, True, 3),
        ("bugs", "a/b", False, 2),
        ("bugs", "c/d", False, 1),
        ("all", "a/b", False, 3),
        ("all", "c/d", False, 1),
    ]
    assert found.main.accuracy.value == pytest.approx(2 / 3)
    assert found.slice("all").accuracy.value == pytest.approx(3 / 4)  # type: ignore[union-attr]
    assert found.slice("bugs", unseen=True).accuracy.value == 0.5  # type: ignore[union-attr]
    assert found.parse_failures == 0


def test_every_figure_has_its_size_and_an_interval_around_it() -> None:
    found = evaluate(run(mixed()), mixed())
    severity = found.main.dimension("severity")
    assert severity is not None
    for figure in (severity.accuracy, severity.macro_f1, found.main.answers.calibration_error):
        assert figure.value is not None
        assert figure.low is not None
        assert figure.high is not None
        assert figure.n == 3
    assert severity.accuracy.low <= 2 / 3 <= severity.accuracy.high  # type: ignore[operator]
    critical = severity.classes[0]
    assert (critical.true, critical.predicted) == (2, 1)
    assert (critical.precision.value, critical.recall.value) == (1.0, 0.5)
    assert severity.classes[2].precision.value is None  # never said
    assert severity.confusion[0] == (1, 1, 0, 0)


def test_the_average_is_over_judged_dimensions_and_the_gate_is_not_asked_of_bugs() -> None:
    labels = {"kind": "bug", "severity": "low", "component": "ui", "reproducibility": "rare"}
    rows = [e.model_copy(update={"labels": example(labels=labels).labels}) for e in distinct(4)]
    sure = {
        d.name: {label: float(label == labels[d.name]) for label in d.names}
        for d in DEFAULT_TAXONOMY.dimensions
    }
    wrong = {**sure, "component": {**dict.fromkeys(sure["component"], 0.0), "audio": 1.0}}
    predictions = predictions_of(rows, [sure, sure, wrong, wrong], DEFAULT_TAXONOMY)
    found = evaluate(Run.of("m", "m", rows, DEFAULT_TAXONOMY), predictions)
    assert [d.dimension for d in found.main.dimensions] == [
        "severity",
        "component",
        "reproducibility",
    ]
    assert found.main.accuracy.value == pytest.approx((1 + 0.5 + 1) / 3)
    every = found.slice("all")
    assert every is not None
    assert every.dimension("kind") is not None
    assert every.accuracy.value == found.main.accuracy.value
    assert [(m.dimension, m.truth, m.predicted) for m in found.mistakes] == [
        ("component", "ui", "audio")
    ] * 2


def test_a_report_without_truth_in_a_dimension_counts_only_in_the_others() -> None:
    known = prediction("1", "low", "low")
    unknown = Prediction(id="2", repository="a/b", bug=True, truth={}, scores=known.scores)
    found = evaluate(run([known, unknown]), [known, unknown])
    assert found.main.n == 2
    assert found.main.dimensions[0].n == 1
    assert found.main.accuracy.value == 1.0


def test_a_change_is_no_bug_report() -> None:
    row = example(labels={"severity": "low"})
    sure = {d.name: {n: 1 / len(d.names) for n in d.names} for d in DEFAULT_TAXONOMY.dimensions}
    (one,) = predictions_of([row], [sure], DEFAULT_TAXONOMY)
    assert not one.bug


def test_mistakes_are_listed_bugs_first_the_most_confident_first() -> None:
    rows = [
        prediction("no bug", "low", {"high": 0.99, "low": 0.01}, bug=False),
        prediction("less", "low", {"high": 0.6, "low": 0.4}),
        prediction("more", "low", {"high": 0.9, "low": 0.1}),
    ]
    assert [m.id for m in evaluate(run(rows), rows).mistakes] == ["more", "less", "no bug"]


def test_the_same_predictions_give_the_same_figures_and_survive_json(tmp_path: Path) -> None:
    found = evaluate(run(mixed()), mixed())
    again = Evaluation.model_validate_json(found.model_dump_json())
    assert again == found
    save(tmp_path / "run", found.run, mixed())
    assert evaluate(*load(tmp_path / "run")) == found


def test_a_truth_the_taxonomy_lacks_is_refused_by_name() -> None:
    odd = prediction("1", "sev1", "low")
    with pytest.raises(BadRequest, match="1: severity/sev1 is not in the taxonomy"):
        evaluate(run([odd]), [odd])


def test_an_answer_that_does_not_score_every_label_is_refused() -> None:
    short = Prediction(
        id="1",
        repository="a/b",
        truth={"severity": "low"},
        scores={"severity": {"low": 0.5, "high": 0.5}},
    )
    with pytest.raises(BadRequest, match="1: not every label of severity has a score"):
        evaluate(run([short]), [short])


def test_probabilities_that_are_none_are_refused() -> None:
    for scores in ({"low": 0.5, "high": 0.2}, {"low": float("nan"), "high": 1.0}, {"low": 1.0}):
        with pytest.raises(ValidationError):
            Prediction(id="1", repository="a/b", truth={}, scores={"severity": scores})


def test_nothing_to_measure_is_an_error_not_a_zero() -> None:
    with pytest.raises(BadRequest, match="nothing to measure"):
        evaluate(run([]), [])


def test_a_folder_that_is_no_run_is_one_clear_error(tmp_path: Path) -> None:
    with pytest.raises(ConfigProblem, match="is no saved run"):
        load(tmp_path)
    save(tmp_path, run(mixed()), mixed())
    with (tmp_path / "predictions.jsonl").open("a", encoding="utf-8") as stream:
        stream.write("{}\n")
    with pytest.raises(BadRequest, match="line 5"):
        load(tmp_path)
