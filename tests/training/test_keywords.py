from __future__ import annotations

import pytest

from app.core.taxonomy import DEFAULT_TAXONOMY
from app.core.text import IssueText
from tests.training.rows import example
from training import keywords
from training.example import Answer, Provenance


def spoke(title: str, body: str = "") -> set[str]:
    return {function.name for function in keywords.fired(IssueText(title=title, body=body))}


def test_rules_and_defaults_answer_with_labels_of_the_taxonomy() -> None:
    for function in keywords.FUNCTIONS:
        assert function.label in DEFAULT_TAXONOMY[function.dimension].names
    assert len({function.name for function in keywords.FUNCTIONS}) == len(keywords.FUNCTIONS)
    for dimension, label in keywords.DEFAULTS.items():
        assert label in DEFAULT_TAXONOMY[dimension].names


@pytest.mark.parametrize("text", ["A quick rebuild is required", "guilty", "acquired"])
def test_a_word_inside_another_is_no_sign(text: str) -> None:
    assert "component: interface" not in spoke(text)


@pytest.mark.parametrize("text", ["UI broken", "the ui.", "(GUI)", "ui-scale", "Menus vanish"])
def test_a_whole_word_is_found_whatever_its_case_and_neighbours(text: str) -> None:
    assert "component: interface" in spoke(text)


def test_hidden_comments_are_not_read() -> None:
    assert "severity: crash" not in spoke("Menu", "<!-- does it crash? --> The menu is gone.")
    assert "severity: crash" in spoke("Menu", "It does crash.")


def test_the_reporters_machine_is_no_sign_of_a_graphics_bug() -> None:
    body = (
        "### GPU model NVIDIA GeForce ### Active renderer OpenGL 4.6 ### Summary The chat is empty."
    )
    assert "component: rendering" not in spoke("Chat", body)
    assert "component: rendering" in spoke("Chat", "### Summary OpenGL shows it upside down.")


def test_the_title_outweighs_the_body() -> None:
    text = IssueText(title="Music stutters", body="I opened a menu.")
    said = keywords.scores(text, DEFAULT_TAXONOMY)["component"]
    assert said["audio"] > said["ui"] > said["network"] == 0
    assert sum(said.values()) == pytest.approx(1)


def test_where_no_rule_speaks_the_default_is_the_guess_but_no_label() -> None:
    text = IssueText(title="Hm", body="…")
    said = keywords.scores(text, DEFAULT_TAXONOMY)
    for dimension, label in keywords.DEFAULTS.items():
        assert said[dimension][label] == 1
    assert keywords.weak(example(title="Hm"), DEFAULT_TAXONOMY).labels == {}


def test_weak_labels_say_that_a_rule_gave_them() -> None:
    row = keywords.weak(
        example(title="Random crash in multiplayer", labels={"severity": "low"}), DEFAULT_TAXONOMY
    )
    assert {name: a.label for name, a in row.labels.items()} == {
        "kind": "bug",
        "severity": "critical",
        "component": "network",
        "reproducibility": "sometimes",
    }
    assert {a.provenance for a in row.labels.values()} == {Provenance.KEYWORD}


def test_coverage_and_agreement_are_counted_against_read_labels_only() -> None:
    rows = [
        example("1", title="crash", labels={"severity": "critical"}),
        example("2", title="crash", labels={"severity": "low"}),
        example("3", title="typo", labels={"severity": "critical"}),
        example("4", title="crash"),
        example(
            "5",
            title="crash",
            labels={"severity": Answer(label="critical", provenance=Provenance.KEYWORD)},
        ),
    ]
    (crash,) = [a for a in keywords.agreements(rows) if a.function == "severity: crash"]
    assert (crash.coverage.value, crash.coverage.n) == (pytest.approx(2 / 3), 3)
    assert (crash.agreement.value, crash.agreement.n) == (0.5, 2)
    assert crash.share_of_label == pytest.approx(2 / 3)
