from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner, Result

from app.core.errors import ArtifactMismatch, BadRequest, ConfigProblem
from app.core.taxonomy import DEFAULT_TAXONOMY
from tests.training.rows import distinct, example, filed
from training import cli as commands
from training import dataset
from training.card import Card
from training.comparison import Comparison
from training.example import Example, GitHubLabel, Provenance
from training.figures import Evaluation

EVERY = [(d.name, label) for d in DEFAULT_TAXONOMY.dimensions for label in d.names]


def call(*arguments: object) -> Result:
    """Run a command; its error, if it is one of ours, is raised as the entry point gets it."""
    cli = typer.Typer(pretty_exceptions_enable=False)
    commands.register(cli)
    result = CliRunner().invoke(cli, [str(argument) for argument in arguments])
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result


@pytest.fixture
def rows(tmp_path: Path) -> Path:
    """Forty distinct labelled reports in which every label of the taxonomy occurs."""
    made = []
    for i, row in enumerate(distinct(40)):
        labels = {d.name: d.names[i % len(d.names)] for d in DEFAULT_TAXONOMY.dimensions}
        update = {
            "labels": example(labels=labels).labels,
            "filed_at": filed(i),
            "repository": "a/b" if i % 2 else "c/d",
        }
        made.append(row.model_copy(update=update))
    dataset.write(tmp_path / "rows.jsonl", made)
    return tmp_path / "rows.jsonl"


def test_help_needs_no_heavy_library() -> None:
    code = (
        "import sys, typer, training.cli; training.cli.register(typer.Typer());"
        "heavy = {'torch', 'transformers', 'numpy', 'sklearn', 'scipy', 'matplotlib', 'datasets'};"
        "print(sorted(heavy & set(sys.modules)))"
    )
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert said.stdout.strip() == "[]"


def test_check_passes_good_data_and_names_what_is_wrong_else(rows: Path, tmp_path: Path) -> None:
    assert "40 rows are fit for training" in call("dataset", "check", rows).stdout
    copy = tmp_path / "held.jsonl"
    first = dataset.read(rows).examples[0]
    dataset.write(copy, [first.model_copy(update={"id": "held#1"})])
    with pytest.raises(ArtifactMismatch, match=r"held#1 ~ x#0 \(line 1\)"):
        call("dataset", "check", rows, "--held-out", copy)
    with rows.open("a", encoding="utf-8") as stream:
        stream.write("{}\n")
    with pytest.raises(BadRequest, match="1 of 41 rows are malformed: line 41"):
        call("dataset", "check", rows)


def test_malformed_rows_are_reported_by_line_and_the_rest_is_used(rows: Path) -> None:
    with rows.open("a", encoding="utf-8") as stream:
        stream.write("oops\n")
    result = call("dataset", "card", rows, "--json")
    assert "rows.jsonl, line 41: not JSON" in result.stderr
    assert "1 of 41 rows are malformed" in result.stderr
    assert Card.model_validate_json(result.stdout).parts[0].rows == 40


@pytest.mark.parametrize("by", ["random", "group", "time"])
def test_split_writes_parts_that_check_accepts(rows: Path, tmp_path: Path, by: str) -> None:
    out = tmp_path / "parts"
    call("dataset", "split", rows, "--out", out, "--shares", "fit=0.5,held=0.5", "--by", by)
    fit, held = (dataset.read(out / f"{name}.jsonl").examples for name in ("fit", "held"))
    assert len(fit) + len(held) == 40
    assert abs(len(fit) - 20) <= 1
    card = call("dataset", "card", out / "fit.jsonl", out / "held.jsonl", "--out", out)
    assert "0 of " in card.stdout
    assert (out / "card.md").read_text(encoding="utf-8").startswith("# Dataset card")
    assert json.loads((out / "card.json").read_text(encoding="utf-8"))["overlaps"][0]["rows"] == 0


@pytest.mark.parametrize("shares", ["train", "a=x,b=1", "a/b=0.5,c=0.5", "a=0.5,b=0.1"])
def test_shares_that_do_not_read_are_one_clear_error(rows: Path, shares: str) -> None:
    with pytest.raises(ConfigProblem):
        call("dataset", "split", rows, "--out", rows.parent / "p", "--shares", shares)


def test_build_maps_labels_merges_copies_and_tells_what_it_left_out(tmp_path: Path) -> None:
    def collected(number: int, title: str, *labels: tuple[str, str]) -> Example:
        return example(
            f"godotengine/godot#{number}",
            repository="godotengine/godot",
            title=title,
            github_labels=[GitHubLabel(name=name, by="x", by_type=kind) for name, kind in labels],
        )

    source, out = tmp_path / "collected.jsonl", tmp_path / "out.jsonl"
    dataset.write(
        source,
        [
            collected(1, "Shader is black", ("topic:rendering", "User"), ("bug", "Bot")),
            collected(2, "shader IS black"),
            collected(3, "Crash in the inspector", ("good first issue", "User")),
        ],
    )
    result = call("dataset", "build", source, "--out", out)
    found = dataset.read(out).refuse_problems()
    assert [(e.id[-2:], {d: a.label for d, a in e.labels.items()}) for e in found] == [
        ("#1", {"component": "graphics"}),
        ("#3", {}),
    ]
    assert found[0].labels["component"].provenance is Provenance.IMPORTED
    assert "merged as exact copies: 1" in result.stderr
    assert "good first issue 1" in result.stderr
    assert "a bot set them: 1" in result.stderr

    call("dataset", "build", source, "--out", out, "--weak")
    weak = dataset.read(out).examples[1]
    assert weak.label("severity") == "critical"
    assert weak.labels["severity"].provenance is Provenance.KEYWORD


def test_rules_lists_every_rule_with_its_agreement(rows: Path) -> None:
    found = json.loads(call("dataset", "rules", rows, "--json").stdout)
    assert {"function", "coverage", "agreement", "share_of_label"} <= set(found[0])
    assert "severity: crash" in call("dataset", "rules", rows).stdout


def test_evaluate_prints_json_keeps_runs_and_compare_needs_no_model(
    rows: Path, tmp_path: Path
) -> None:
    kept, page = tmp_path / "kept", tmp_path / "out.html"
    result = call(
        *("evaluate", "--data", rows, "--train", rows, "--baselines-only", "--json"),
        *("--save", kept, "--report", page, "--resamples", 50),
    )
    found = json.loads(result.stdout)
    evaluations = [Evaluation.model_validate(e) for e in found["evaluations"]]
    assert {e.run.name for e in evaluations} == {
        "keyword rules",
        "majority class",
        "TF-IDF + logistic regression",
    }
    assert Comparison.model_validate(found["comparison"]).reference.startswith("TF-IDF")
    assert page.read_text(encoding="utf-8").startswith("<!doctype html>")

    folders = sorted(kept.iterdir())
    assert all((folder / "evaluation.json").exists() for folder in folders)
    again = call("compare", *folders, "--reference", "majority class", "--json", "--resamples", 50)
    comparison = Comparison.model_validate_json(again.stdout)
    assert {s.name for s in comparison.standings} == {e.run.name for e in evaluations}
    page = tmp_path / "compare.html"
    table = call("compare", *folders, "--report", page, "--resamples", 50).stdout
    assert "significant" in table
    assert "* TF-IDF" in table or "* keyword" in table
    assert page.read_text(encoding="utf-8").startswith("<!doctype html>")


def test_a_setting_that_does_not_read_is_one_clear_error(rows: Path) -> None:
    with pytest.raises(ConfigProblem, match="write NAME=VALUE"):
        call("evaluate", "--data", rows, "--setting", "rank")


def test_collect_without_any_identity_says_what_to_set(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    for name in ("GITHUB_TOKEN", "TRIORA_APP_ID"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("TRIORA_DATA_DIR", str(tmp_path))
    with pytest.raises(ConfigProblem, match="set GITHUB_TOKEN, or TRIORA_APP_ID"):
        call("collect", "a/b", "--out", tmp_path / "rows.jsonl")
