from __future__ import annotations

from dataclasses import replace

import pytest

from app.core import repository_config
from app.core.decision import Thresholds
from app.core.errors import BadRequest
from app.core.taxonomy import DEFAULT_TAXONOMY
from tests.training.preview.history import report, reports, subject
from training.example import Example, GitHubLabel
from training.mapping import LabelMapping
from training.preview import measure, reading
from training.preview import report as completing
from training.preview.figures import DimensionFigures, Preview
from training.preview.rows import History, rows_of

SPOILED = (12, 40, 77)


@pytest.fixture(scope="module")
def found() -> Preview:
    """160 reports; three older ones carry the other topic than the one their text tells."""
    examples = reports(160)
    for number in SPOILED:
        examples[number - 1] = spoil(examples[number - 1])
    made = subject(examples)
    return completing.complete(measure.measure(made, reading.words_only), made)


def spoil(example: Example) -> Example:
    swapped = {"topic:gui": "topic:audio", "topic:audio": "topic:gui"}
    labels = tuple(
        x.model_copy(update={"name": swapped.get(x.name, x.name)}) for x in example.github_labels
    )
    return example.model_copy(update={"github_labels": labels})


def dimension(preview: Preview, name: str) -> DimensionFigures:
    return next(d for d in preview.dimensions if d.name == name)


def test_the_oldest_teach_and_the_newest_judge(found: Preview) -> None:
    assert (found.issues, found.older, found.newest, found.repeats) == (160, 120, 40, 0)
    assert found.cut is not None
    assert found.cut == reports(160)[119].filed_at
    assert found.knows


def test_figures_are_those_of_the_answers_counted_by_hand(found: Preview) -> None:
    component = dimension(found, "component")
    assert len(component.answers) == 40
    right = sum(a.verdict == "right" for a in component.answers)
    (entrant,) = [e for e in component.entrants if e.chosen]
    assert entrant.accuracy.value == right / 40
    written = [
        a
        for a in component.answers
        if (bar := component.labels[a.label].threshold) is not None and a.p >= bar
    ]
    assert component.proposed is not None
    assert component.proposed.written == len(written)
    assert component.proposed.right == sum(a.verdict == "right" for a in written)
    for place, label in enumerate(component.labels):
        at_half = [a for a in component.answers if a.label == place and a.p >= 0.5]
        point = next(p for p in label.points if p.threshold == 0.5)
        assert point.written == len(at_half)
        assert point.right == sum(a.verdict == "right" for a in at_half)
        assert label.share.value == label.newest / 40


def test_what_the_text_tells_is_learned_and_the_majority_stands_beside(found: Preview) -> None:
    severity = dimension(found, "severity")
    (entrant,) = [e for e in severity.entrants if e.chosen]
    assert entrant.accuracy.value is not None
    assert entrant.accuracy.value >= 0.9
    assert severity.majority_accuracy is not None
    newest = [row.truth["severity"] for row in history().newest]
    assert severity.majority is not None
    assert severity.majority_accuracy.value == sum(severity.majority in t for t in newest) / 40


def history() -> History:
    made = subject(reports(160))
    return rows_of(made.examples, made.mapping, made.taxonomy)


def test_labels_somebody_got_wrong_are_found(found: Preview) -> None:
    accused = {s.issue.number for s in found.suspects if s.dimension == "component"}
    assert accused <= set(SPOILED)
    assert len(accused) >= 2
    assert (
        found.suspects[0].issue.url
        == f"https://github.com/a/b/issues/{found.suspects[0].issue.number}"
    )


def test_a_label_no_text_tells_is_called_no_better_than_chance(found: Preview) -> None:
    by_name = {label.name: label for label in found.legible}
    assert by_name["confirmed"].verdict == "not from the text"
    assert by_name["confirmed"].process is not None
    assert by_name["crash"].verdict == "from the text"
    assert by_name["crash"].auc.n == by_name["crash"].issues
    assert by_name["crash"].days == pytest.approx(0.125)


def test_last_month_is_what_was_filed_then_and_not_learned_from(found: Preview) -> None:
    assert [r.issue.number for r in found.recent] == list(range(160, 129, -1))
    said = [w for r in found.recent for w in r.would if w.dimension == "severity"]
    assert len(said) == len(found.recent)
    assert any(w.answer is not None for w in said)
    assert all(w.people for w in said)


def test_the_configuration_proposed_is_one_the_app_takes(found: Preview) -> None:
    assert found.config is not None
    config = repository_config.parse(found.config)
    assert config.dry_run
    assert config.taxonomy["severity"].label("critical").github == "crash"
    assert config.taxonomy["component"].names == ("ui", "audio")
    assert not config.taxonomy["reproducibility"].written


def test_an_answer_sure_on_no_older_issue_is_proposed_but_never_written() -> None:
    made = subject([relabelled(e) for e in reports(160)])
    told = completing.complete(measure.measure(made, reading.words_only), made)
    severity = dimension(told, "severity")
    assert all(label.threshold is None for label in severity.labels)
    assert severity.proposed is not None
    assert severity.proposed.written == 0
    assert told.config is not None
    config = repository_config.parse(told.config)
    assert config.thresholds(Thresholds()).of("severity", "critical") == 1.0


def relabelled(example: Example) -> Example:
    """Severities dealt by number: the text says nothing about them."""
    dealt = "crash" if (example.number or 0) * 7919 % 13 < 6 else "low priority"
    labels = tuple(
        x.model_copy(update={"name": dealt}) if x.name in ("crash", "low priority") else x
        for x in example.github_labels
    )
    return example.model_copy(update={"github_labels": labels})


def test_too_few_labelled_issues_are_told_with_what_is_missing() -> None:
    told = measure.measure(subject(reports(49)), reading.words_only)
    assert not told.knows
    assert told.dimensions == ()
    assert told.lacking == (
        "49 of 49 issues carry a label that means something; 50 are needed, 1 more",
    )


def test_a_dimension_with_too_few_answers_is_left_out_with_the_reason() -> None:
    examples = [e.model_copy(update={"github_labels": e.github_labels[1:2]}) for e in reports(60)]
    some = [
        e.model_copy(update={"github_labels": (*e.github_labels, label("crash"))})
        if e.number in range(1, 13)
        else e
        for e in examples
    ]
    told = measure.measure(subject(some), reading.words_only)
    assert dimension(told, "component").lacking is None
    assert dimension(told, "severity").lacking == "12 older issues carry an answer; 30 are needed"


def label(name: str, by_type: str = "User") -> GitHubLabel:
    return GitHubLabel(name=name, by="x", by_type=by_type)


def test_labels_of_bots_and_untouched_issues_teach_nothing() -> None:
    first = report(1).model_copy(update={"github_labels": (label("crash", "Bot"),)})
    second = report(2).model_copy(update={"github_labels": (label("crash"),)})
    found = rows_of([second, first], mapping_of(crash="critical"), DEFAULT_TAXONOMY)
    assert [(row.example.number, row.triaged) for row in found.rows] == [(1, False), (2, True)]
    assert found.by_bots == 1


def mapping_of(**severities: str) -> LabelMapping:
    labels = {name: {"severity": answer} for name, answer in severities.items()}
    return LabelMapping(repositories=("a/b",), labels=labels, prefer={"severity": ("critical",)})


def test_of_labels_that_exclude_one_another_the_preferred_one_counts_or_none() -> None:
    mapping = mapping_of(crash="critical", major="high", minor="low")
    both = report(1).model_copy(update={"github_labels": (label("crash"), label("minor"))})
    other = report(2).model_copy(update={"github_labels": (label("major"), label("minor"))})
    found = rows_of([both, other], mapping, DEFAULT_TAXONOMY).rows
    assert found[0].truth == {"severity": frozenset({"critical"})}
    assert found[1].truth == {"severity": frozenset()}
    assert found[1].disputed == {"severity"}


def test_a_newer_issue_that_repeats_an_older_one_judges_nothing() -> None:
    examples = reports(60)
    again = examples[3].model_copy(
        update={"id": "a/b#99", "number": 99, "filed_at": examples[-1].filed_at}
    )
    found = rows_of([*examples, again], subject(examples).mapping, DEFAULT_TAXONOMY)
    assert found.repeats == 1
    assert "a/b#99" not in {row.example.id for row in found.newest}
    assert "a/b#99" in {row.example.id for row in found.recent}


def test_issues_without_a_date_are_refused() -> None:
    dateless = report(1).model_copy(update={"filed_at": None})
    with pytest.raises(BadRequest, match="have no filed_at"):
        measure.measure(replace(subject([report(2)]), examples=[dateless]), reading.words_only)
