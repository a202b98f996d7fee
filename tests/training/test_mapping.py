from __future__ import annotations

from pathlib import Path

import pytest

from app.core.errors import ConfigProblem
from app.core.taxonomy import DEFAULT_TAXONOMY
from tests.training.rows import example, filed
from training import mapping
from training.example import GitHubLabel, Provenance

TEXT = """
repositories = ["a/b"]
[labels]
"topic:rendering" = { component = "graphics" }
"topic:gui" = { component = "ui" }
crash = { severity = "critical", kind = "bug" }
urgent = { severity = "high" }
[prefer]
severity = ["critical", "high"]
"""


def labels(*names: str, by_type: str = "User") -> tuple[GitHubLabel, ...]:
    return tuple(GitHubLabel(name=name, by="mara", by_type=by_type, at=filed(1)) for name in names)


@pytest.fixture
def own(tmp_path: Path) -> mapping.LabelMapping:
    path = tmp_path / "own.toml"
    path.write_text(TEXT, encoding="utf-8")
    return mapping.load(path, DEFAULT_TAXONOMY)


@pytest.mark.parametrize("path", sorted(mapping.SHIPPED.glob("*.toml")), ids=lambda p: p.stem)
def test_every_shipped_mapping_loads_and_prefers_only_what_it_says(path: Path) -> None:
    found = mapping.load(path, DEFAULT_TAXONOMY)
    said = {(d, label) for answers in found.labels.values() for d, label in answers.items()}
    for dimension, preferred in found.prefer.items():
        for label in preferred:
            assert (dimension, label) in said


def test_the_four_repositories_are_covered_luanti_under_both_names() -> None:
    covered = {name for m in mapping.shipped(DEFAULT_TAXONOMY) for name in m.repositories}
    assert covered == {
        "godotengine/godot",
        "bevyengine/bevy",
        "luanti-org/luanti",
        "minetest/minetest",
        "OpenRCT2/OpenRCT2",
    }


def test_a_label_becomes_our_answer_with_who_set_it(own: mapping.LabelMapping) -> None:
    row = example(repository="A/B", github_labels=labels("Topic:Rendering"))
    (found,) = mapping.apply([row], [own]).examples
    answer = found.labels["component"]
    assert (answer.label, answer.provenance) == ("graphics", Provenance.IMPORTED)
    assert (answer.by, answer.at) == ("mara", filed(1))


def test_labels_that_disagree_give_no_answer_unless_one_is_preferred(
    own: mapping.LabelMapping,
) -> None:
    names = ("topic:rendering", "topic:gui", "urgent", "crash")
    found = mapping.apply([example(github_labels=labels(*names))], [own])
    assert {d: a.label for d, a in found.examples[0].labels.items()} == {
        "severity": "critical",
        "kind": "bug",
    }
    assert found.disputed == {"component": 1}


def test_what_a_bot_labelled_counts_for_nothing_and_is_counted(own: mapping.LabelMapping) -> None:
    found = mapping.apply([example(github_labels=labels("crash", by_type="Bot"))], [own])
    assert found.examples[0].labels == {}
    assert found.by_bots == 1


def test_unknown_labels_and_repositories_are_counted(own: mapping.LabelMapping) -> None:
    rows = [
        example("1", github_labels=labels("stale", "crash")),
        example("2", repository="c/d", github_labels=labels("crash")),
    ]
    found = mapping.apply(rows, [own])
    assert found.unknown == {"stale": 1}
    assert found.used == {"crash": 1}
    assert found.uncovered == {"c/d": 1}
    assert found.examples[1] == rows[1]


def test_a_label_somebody_gave_already_stays(own: mapping.LabelMapping) -> None:
    row = example(labels={"severity": "low"}, github_labels=labels("crash"))
    (found,) = mapping.apply([row], [own]).examples
    assert found.label("severity") == "low"
    assert found.label("kind") == "bug"


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("repositories = [", "is not TOML"),
        ('repositories = ["a/b"]\n', "labels: Field required"),
        ('repositories = []\n[labels]\nx = {kind = "bug"}', "repositories"),
        ('repositories = ["a/b"]\n[labels]\nx = {kind = "bugg"}', "'x': kind/bugg is not in"),
        ('repositories = ["a/b"]\n[labels]\nx = {sort = "bug"}', "sort/bug is not in"),
        (
            'repositories = ["a/b"]\n[labels]\nx = {kind = "bug"}\n[prefer]\nkind = ["no"]',
            "'prefer': kind/no",
        ),
    ],
)
def test_a_wrong_mapping_file_is_one_clear_error(tmp_path: Path, text: str, says: str) -> None:
    path = tmp_path / "wrong.toml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(ConfigProblem) as caught:
        mapping.load(path, DEFAULT_TAXONOMY)
    assert says in str(caught.value)
    assert "\n" not in str(caught.value).removeprefix(str(path))
