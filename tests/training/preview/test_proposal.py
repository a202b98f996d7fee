from __future__ import annotations

from pathlib import Path

import pytest

from app.core.errors import ConfigProblem
from app.core.taxonomy import DEFAULT_TAXONOMY
from app.github.models import RepositoryLabel
from tests.training.rows import example
from training import mapping
from training.example import GitHubLabel
from training.preview.mapping_file import check_names, dump
from training.preview.proposal import Proposal, Role, propose


def proposal(*names: str, **described: str) -> Proposal:
    labels = [RepositoryLabel(name=n, description=described.get(n)) for n in names]
    return propose(labels, {n.casefold(): 30 for n in names}, DEFAULT_TAXONOMY)


def meant(*names: str, **described: str) -> dict[str, dict[str, str]]:
    return {p.name: p.answers for p in proposal(*names, **described).labels}


def role(name: str, *others: str) -> Role:
    return next(p.role for p in proposal(name, *others).labels if p.name == name)


def test_the_labels_of_four_real_projects_are_read_as_the_shipped_mappings_do() -> None:
    """137 answers, written by hand before there was a proposal: at most a tenth may be missed."""
    asked = right = wrong = 0
    for known in mapping.shipped(DEFAULT_TAXONOMY):
        found = meant(*known.labels)
        for name, answers in known.labels.items():
            for dimension, answer in answers.items():
                said = found[name].get(dimension)
                asked += 1
                right += said == answer
                wrong += said not in (None, answer)
    assert asked == 137
    assert right >= 124
    assert wrong <= 2


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        # godot, bevy, luanti, OpenRCT2
        ("topic:rendering", {"component": "graphics"}),
        ("crash", {"severity": "critical", "kind": "bug"}),
        ("A-UI", {"component": "ui"}),
        ("C-Feature", {"kind": "feature"}),
        ("P-Regression", {"severity": "high"}),
        ("@ Network", {"component": "network"}),
        ("UI/UX", {"component": "ui"}),
        ("Request / Suggestion", {"kind": "feature"}),
        ("rct1 import", {"component": "save"}),
        ("user interface", {"component": "ui"}),
        # others
        ("kind/bug", {"kind": "bug"}),
        ("type: defect", {"kind": "bug"}),
        ("🐛 bug", {"kind": "bug"}),
        ("crash :boom:", {"severity": "critical", "kind": "bug"}),
        ("[Component] Audio", {"component": "audio"}),
        ("priority/critical-urgent", {"severity": "critical"}),
        ("Frequency: rarely", {"reproducibility": "rare"}),
        # Words that mean something else in company.
        ("high dpi", {}),
        ("crash reporter", {}),
        ("windows", {}),
    ],
)
def test_a_name_means_what_projects_mean_by_it(name: str, expected: dict[str, str]) -> None:
    assert meant(name)[name] == expected


@pytest.mark.parametrize(
    "name",
    [
        "good first issue",
        "help wanted",
        "*duplicate",
        "needs testing",
        "S-Waiting-on-Author",
        "blocked/need-info ❌",
        "D-Trivial",
        "salvageable",
        "lgtm",
        "safe to test",
        "status: confirmed",
        "cannot reproduce",
    ],
)
def test_a_label_that_records_a_process_is_no_answer(name: str) -> None:
    assert role(name) is Role.PROCESS
    assert meant(name)[name] == {}


def test_numbered_priorities_are_spread_over_the_severities_in_use() -> None:
    def severities(*names: str) -> list[str]:
        return [answers["severity"] for _, answers in sorted(meant(*names).items())]

    assert severities("P0", "P1", "P2", "P3") == ["critical", "high", "medium", "low"]
    assert severities("severity: S1", "severity: S2", "severity: S3") == ["high", "medium", "low"]
    # One number alone says nothing about an order.
    assert meant("P2") == {"P2": {}}


def test_a_family_of_labels_becomes_a_question_of_its_own() -> None:
    found = proposal("A-Rendering", "A-ECS", "A-Audio", "O-Windows", "O-Web", "O-Linux")
    assert set(found.dimensions) == {"area", "platform"}
    by_name = {p.name: p for p in found.labels}
    assert by_name["A-Rendering"].answers == {"component": "graphics", "area": "rendering"}
    assert by_name["O-Web"].answers == {"platform": "web"}
    assert by_name["O-Web"].role is Role.OWN
    assert not found.dimensions["platform"].exclusive


def test_areas_that_are_not_ours_are_not_squeezed_into_our_components() -> None:
    found = meant("component/clipboard", "component/menu", "component/tray", "component/dock")
    assert [set(answers) for answers in found.values()] == [{"own component"}] * 4


def test_two_labels_of_a_kind_are_no_family() -> None:
    assert proposal("pkg/one", "pkg/two").dimensions == {}


def test_a_description_tells_what_a_name_does_not() -> None:
    label = RepositoryLabel(name="paint", description="")
    other = RepositoryLabel(name="gizmology", description="Shaders, textures and the renderer")
    found = propose([label, other], {}, DEFAULT_TAXONOMY)
    by_name = {p.name: p for p in found.labels}
    assert by_name["gizmology"].answers == {"component": "graphics"}
    assert "description" in by_name["gizmology"].reason


def test_the_saved_proposal_is_read_back_as_it_was(tmp_path: Path) -> None:
    odd = 'a "quoted" \\ label \x7f 🎮'
    found = proposal("bug", "topic:2d", "topic:gui", "topic:core", "needs work", odd)
    by_name = {p.name: p for p in found.labels}
    by_name[odd].answers = {"kind": "question"}
    made = found.mapping("a/b")
    assert made is not None
    path = tmp_path / "mapping.toml"
    path.write_text(dump(found, made), encoding="utf-8")
    assert mapping.load(path, DEFAULT_TAXONOMY) == made
    text = path.read_text(encoding="utf-8")
    assert "'2d' means graphics" in text
    assert '# "needs work": records a process' in text


def test_labels_without_meaning_make_no_mapping() -> None:
    assert proposal("foo", "good first issue").mapping("a/b") is None


def test_a_mapping_that_names_an_unknown_label_is_refused_with_the_one_meant() -> None:
    made = proposal("bug", "crash").mapping("a/b")
    assert made is not None
    with pytest.raises(ConfigProblem, match=r"'crash' \(is it 'crashes'\?\)"):
        check_names(made, "a/b", ["Bug", "crashes"])
    check_names(made, "A/B", ["Bug", "CRASH"])
    with pytest.raises(ConfigProblem, match="the mapping is for a/b: add c/d"):
        check_names(made, "c/d", ["bug", "crash"])


def test_an_own_question_may_not_take_the_name_of_one_of_ours(tmp_path: Path) -> None:
    path = tmp_path / "mapping.toml"
    path.write_text(
        'repositories = ["a/b"]\n[labels]\nx = { severity = "big" }\n'
        '[dimensions.severity]\nquestion = "How big?"\n'
    )
    with pytest.raises(ConfigProblem, match="'severity' is in the taxonomy already"):
        mapping.load(path, DEFAULT_TAXONOMY)


def test_training_rows_do_not_answer_questions_of_the_repositorys_own(tmp_path: Path) -> None:
    made = proposal("topic:gui", "topic:core", "topic:audio").mapping("a/b")
    assert made is not None
    assert "topic" in made.dimensions
    mapped = mapping.apply([example(github_labels=[GitHubLabel(name="topic:gui")])], [made])
    assert {d: a.label for d, a in mapped.examples[0].labels.items()} == {"component": "ui"}
