from __future__ import annotations

import json
from collections import Counter
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from app.core.errors import BadRequest, ConfigProblem
from app.core.taxonomy import DEFAULT_TAXONOMY, Dimension, Label, Taxonomy
from tests.training.rows import example
from training import dataset
from training.example import Answer, Example, Provenance

SHARED = {
    "id": "train-0000",
    "repository": "a/b",
    "title": "A crash",
    "body": "It crashes",
    "labels": {
        "kind": "bug",
        "severity": "critical",
        "component": "other",
        "reproducibility": "always",
    },
    "keyword_labels": {"severity": "high", "component": "gameplay", "reproducibility": "sometimes"},
}


def written(tmp_path: Path, *rows: object) -> Path:
    path = tmp_path / "rows.jsonl"
    lines = [row if isinstance(row, bytes) else json.dumps(row).encode() for row in rows]
    path.write_bytes(b"\n".join(lines) + b"\n")
    return path


def test_rows_of_the_shared_schema_are_imported_with_that_provenance(tmp_path: Path) -> None:
    reading = dataset.read(written(tmp_path, SHARED))
    assert not reading.problems
    assert reading.examples[0].label("severity") == "critical"
    assert {a.provenance for a in reading.examples[0].labels.values()} == {Provenance.IMPORTED}


def test_keyword_labels_are_taken_only_when_asked_for_and_say_so(tmp_path: Path) -> None:
    reading = dataset.read(written(tmp_path, SHARED), source="keyword_labels")
    labels = reading.examples[0].labels
    assert {name: a.label for name, a in labels.items()} == {
        "severity": "high",
        "component": "other",
        "reproducibility": "sometimes",
    }
    assert {a.provenance for a in labels.values()} == {Provenance.KEYWORD}
    assert reading.folded == Counter({("component", "gameplay"): 1})


def test_a_change_keeps_its_other_labels_but_no_kind_and_is_counted(tmp_path: Path) -> None:
    row = {**SHARED, "labels": {**SHARED["labels"], "kind": "change"}}
    reading = dataset.read(written(tmp_path, row))
    assert reading.examples[0].label("kind") is None
    assert reading.examples[0].label("severity") == "critical"
    assert not reading.examples[0].holds(DEFAULT_TAXONOMY.gate)
    assert reading.folded == Counter({("kind", "change"): 1})


def test_a_label_is_not_folded_where_the_taxonomy_has_it(tmp_path: Path) -> None:
    kind, *others = DEFAULT_TAXONOMY.dimensions
    change = Label(name="change", github="kind: change", description="", color="ffffff")
    wider = Dimension(name="kind", question=kind.question, labels=(*kind.labels, change))
    taxonomy = Taxonomy(dimensions=(wider, *others))
    row = {**SHARED, "labels": {"kind": "change"}}
    reading = dataset.read(written(tmp_path, row), taxonomy=taxonomy)
    assert reading.examples[0].label("kind") == "change"


@pytest.mark.parametrize(
    ("row", "says"),
    [
        (b"{not json", "not JSON"),
        (b'["a list"]', "object was expected, not list"),
        (b'{"id": "\xff"}', "not UTF-8 at byte"),
        (b"[" * 100_000, "nested too deep"),
        (b'{"id": ' + b"9" * 5000 + b"}", "not JSON"),
        ({"repository": "a/b", "title": "t"}, "id: Field required"),
        ({"id": "x", "repository": "a/b", "title": ""}, "title"),
        ({"id": "x", "repository": "a/b", "title": "t", "colour": 1}, "colour: Extra inputs"),
        ({"id": "x", "repository": "a/b", "title": "t", "labels": {"kind": 3}}, "labels.kind"),
        ({"id": "x", "repository": "a/b", "title": "t", "labels": []}, "labels"),
        (
            {"id": "x", "repository": "a/b", "title": "t", "filed_at": "2024-01-01T00:00"},
            "filed_at",
        ),
        (b'{"id": "x", "repository": "a/b", "title": "\\ud800"}', "title"),
        (b'"' + b"x" * 1_000_001 + b'"', "bytes, more than"),
    ],
)
def test_a_malformed_row_is_reported_by_its_line_and_costs_no_other(
    tmp_path: Path, row: object, says: str
) -> None:
    good = {**SHARED, "id": "good"}
    reading = dataset.read(written(tmp_path, SHARED, b"", row, good))
    assert [(p.line, says in p.what) for p in reading.problems] == [(3, True)], reading.problems
    assert [e.id for e in reading.examples] == ["train-0000", "good"]
    assert reading.rows == 3
    with pytest.raises(BadRequest, match=r"1 of 3 rows are malformed: line 3: "):
        reading.refuse_problems()


def test_an_id_that_stands_twice_is_reported_with_its_first_line(tmp_path: Path) -> None:
    reading = dataset.read(written(tmp_path, SHARED, SHARED))
    assert [str(p) for p in reading.problems] == [
        "line 2: id 'train-0000' stands on line 1 already"
    ]


def test_a_file_that_cannot_be_read_is_one_clear_error(tmp_path: Path) -> None:
    with pytest.raises(ConfigProblem, match="No such file"):
        dataset.read(tmp_path / "absent.jsonl")


LINES = st.one_of(
    st.binary(max_size=60).filter(lambda line: b"\n" not in line),
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(max_size=8),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=6), inner),
        max_leaves=8,
    ).map(lambda value: json.dumps(value).encode()),
    st.fixed_dictionaries(
        {
            "id": st.text(min_size=1, max_size=4),
            "repository": st.just("a/b"),
            "title": st.text(max_size=12),
            "labels": st.dictionaries(
                st.sampled_from(["kind", "severity", "new"]), st.text(max_size=8) | st.integers()
            ),
        }
    ).map(lambda value: json.dumps(value).encode()),
)


@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(lines=st.lists(LINES, max_size=8))
def test_every_line_is_an_example_or_a_problem_whatever_it_holds(
    tmp_path: Path, lines: list[bytes]
) -> None:
    path = tmp_path / "any.jsonl"
    path.write_bytes(b"\n".join(lines))
    reading = dataset.read(path)
    told = {p.line for p in reading.problems} | set(reading.lines.values())
    full = {i for i, line in enumerate(path.read_bytes().split(b"\n"), 1) if line.strip()}
    assert told == full
    assert reading.rows == len(full)


TEXT = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\x00"), max_size=40)
EXAMPLES = st.builds(
    Example,
    id=st.uuids().map(str),
    repository=st.just("a/b"),
    title=TEXT.filter(bool),
    body=TEXT,
    author=st.none() | TEXT,
    filed_at=st.none() | st.datetimes(datetime(2000, 1, 1), timezones=st.just(UTC)),
    text_as_of=st.sampled_from([None, "filing", "collected"]),
    labels=st.dictionaries(
        st.sampled_from(["kind", "severity"]),
        st.builds(
            Answer, label=st.sampled_from(["bug", "low"]), provenance=st.sampled_from(Provenance)
        ),
    ),
)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(rows=st.lists(EXAMPLES, max_size=4, unique_by=lambda e: e.id))
def test_what_is_written_is_read_back_the_same(tmp_path: Path, rows: list[Example]) -> None:
    path = tmp_path / "back.jsonl"
    assert dataset.write(path, rows) == len(rows)
    reading = dataset.read(path)
    assert reading.examples == rows
    assert dataset.digest(reading.examples) == dataset.digest(rows[::-1])


def test_the_digest_changes_with_text_label_and_provenance_only() -> None:
    row = example(labels={"severity": "low"})
    same = row.model_copy(update={"author": "somebody"})
    others = [
        row.model_copy(update={"title": "another"}),
        example(labels={"severity": "high"}),
        example(labels={"severity": Answer(label="low", provenance=Provenance.KEYWORD)}),
    ]
    assert dataset.digest([row]) == dataset.digest([same])
    assert len({dataset.digest([one]) for one in [row, *others]}) == 4
