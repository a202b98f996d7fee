from __future__ import annotations

import pytest

from app.core.errors import ArtifactMismatch
from app.core.taxonomy import DEFAULT_TAXONOMY
from tests.training.rows import distinct, example
from training.example import Example
from training.guard import check, find_leaks, without_leaks

EVERY = [(d.name, label) for d in DEFAULT_TAXONOMY.dimensions for label in d.names]


def complete() -> list[Example]:
    rows = distinct(len(EVERY))
    return [
        e.model_copy(update={"labels": example(labels={dimension: label}).labels})
        for e, (dimension, label) in zip(rows, EVERY, strict=True)
    ]


def test_data_with_every_label_and_no_leak_passes() -> None:
    check(complete(), DEFAULT_TAXONOMY, held_out=[example("y#1", title="something else")])


def test_an_unknown_label_is_named_with_its_rows_and_lines() -> None:
    rows = [*complete(), example("odd#1", labels={"severity": "sev1"})]
    with pytest.raises(
        ArtifactMismatch, match=r"severity/sev1 .*\(critical, high.*in odd#1 \(line 9\)"
    ):
        check(rows, DEFAULT_TAXONOMY, lines={"odd#1": 9})


def test_an_unknown_dimension_is_named() -> None:
    rows = [*complete(), example("odd#1", labels={"priority": "p1"})]
    with pytest.raises(ArtifactMismatch, match=r"priority/p1 is not in the taxonomy \(dimensions:"):
        check(rows, DEFAULT_TAXONOMY)


def test_a_class_without_rows_is_an_error_unless_its_dimension_is_not_trained() -> None:
    rows = [e for e in complete() if e.label("component") != "audio"]
    with pytest.raises(ArtifactMismatch, match="no training row has component/audio"):
        check(rows, DEFAULT_TAXONOMY)
    check(rows, DEFAULT_TAXONOMY, dimensions=["kind", "severity", "reproducibility"])


def test_a_manifest_for_other_labels_is_an_error_that_shows_both() -> None:
    manifest = {**DEFAULT_TAXONOMY.vocabulary, "severity": ("low", "high")}
    with pytest.raises(ArtifactMismatch, match=r"made for severity \['low', 'high'\]"):
        check(complete(), DEFAULT_TAXONOMY, manifest=manifest)
    check(complete(), DEFAULT_TAXONOMY, manifest=DEFAULT_TAXONOMY.vocabulary)


def test_leakage_is_an_error_that_names_both_rows() -> None:
    rows = complete()
    copy = rows[3].model_copy(update={"id": "held#1"})
    with pytest.raises(ArtifactMismatch, match=r"1 held-out rows have .*: held#1 ~ x#3 \(100%\)"):
        check(rows, DEFAULT_TAXONOMY, held_out=[copy])
    check(rows, DEFAULT_TAXONOMY, held_out=[copy], leaks=False)


def test_the_same_id_on_both_sides_is_a_leak_whatever_the_text() -> None:
    rows = complete()
    edited = rows[0].model_copy(update={"body": "the text was changed completely since then"})
    assert [leak.held_out for leak in find_leaks(rows, [edited])] == [rows[0].id]


def test_dropping_leaks_takes_them_from_training_and_nothing_else() -> None:
    rows = complete()
    held = [rows[3].model_copy(update={"id": "held#1"}), rows[5].model_copy()]
    kept = without_leaks(rows, held)
    assert [e.id for e in rows if e not in kept] == ["x#3", "x#5"]
    assert not find_leaks(kept, held)


def test_duplicates_within_one_side_are_no_leak() -> None:
    rows = complete()
    twins = [
        rows[0].model_copy(update={"id": f"t#{i}", "title": "other", "body": "words"})
        for i in (1, 2)
    ]
    assert not find_leaks(rows, twins)
