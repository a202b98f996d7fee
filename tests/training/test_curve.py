"""The learning curve: points trained or given, each beside baselines on the very same rows."""

from __future__ import annotations

import json
from pathlib import Path
from shutil import copytree

import pytest
import typer
from typer.testing import CliRunner

from app.core.errors import BadRequest, ConfigProblem
from app.core.taxonomy import DEFAULT_TAXONOMY
from tests.training.test_finetune import base, examples  # noqa: F401 - a fixture
from tests.training.test_report import Page
from training import bench
from training import cli as commands
from training.curve import Curve, Size, learned_from, sizes_of
from training.dataset import dump, read, write
from training.report import curve_page, summary
from training.sweep import EVALUATED
from training.train import ADAPTER

WEAK, READ = Size("keyword_labels", None), Size("labels", None)


@pytest.fixture(scope="module")
def rows(tmp_path_factory) -> Path:
    """Rows that were read, with what rules guess beside it: the wrong severity."""
    path = tmp_path_factory.mktemp("rows") / "rows.jsonl"
    lines = []
    severities = DEFAULT_TAXONOMY["severity"].names
    for n, example in enumerate(examples(64)):
        row = json.loads(dump(example))
        wrong = severities[(n + 1) % len(severities)]
        row["keyword_labels"] = {"severity": wrong, "component": example.label("component")}
        lines.append(json.dumps(row) + "\n")
    path.write_text("".join(lines))
    return path


def call(base, rows, out, sizes, *more: object):  # noqa: F811
    """`triora curve` on the tiny model; what it printed, which is nothing but its result."""
    test = out.parent / "test.jsonl"
    write(test, [e.model_copy(update={"id": f"t{e.id}"}) for e in examples(96)[64:]])
    cli = typer.Typer(pretty_exceptions_enable=False)
    commands.register(cli)
    options = ["--data", rows, "--test", test, "--out", out, "--sizes", sizes, "--leaks", "keep"]
    options += ["--config", "tiny", "--set", f"base={base}", "--set", "optimiser.epochs=0.5"]
    options += ["--set", "checkpoints=0", "--resamples", "100", "--json", *more]
    done = CliRunner().invoke(cli, ["curve", *map(str, options)])
    if done.exception is not None and not isinstance(done.exception, SystemExit):
        raise done.exception
    return Curve.model_validate_json(done.stdout)


@pytest.fixture(scope="module")
def drawn(base, rows, tmp_path_factory):  # noqa: F811
    """A folder and the whole curve that was made there."""
    out = tmp_path_factory.mktemp("curve") / "out"
    return out, call(base, rows, out, "keyword,24,all")


def test_every_size_is_trained_and_stands_beside_tfidf_on_as_many_rows(drawn):
    _, found = drawn

    points = found.of("bugs")

    assert [(p.name, p.rows, p.read) for p in points] == [
        ("keyword labels only", 64, False),
        ("24 read reports", 24, True),
        ("all read reports", 64, True),
    ]
    assert all(p.model and p.model.training_rows == p.tfidf.training_rows for p in points)
    assert points[0].tfidf.provenance == "keyword"
    assert {s.name for s in found.flat_of("bugs")} == {"majority class", "keyword rules"}
    assert not any(p.elsewhere for p in points)


def test_a_gain_is_told_from_read_labels_to_more_read_labels_alone(drawn):
    points = drawn[1].of("all")

    assert [p.against_before is not None for p in points] == [False, False, True]
    assert all(p.against_tfidf and p.against_tfidf.p_corrected >= p.against_tfidf.p for p in points)


def test_what_is_finished_is_neither_trained_nor_evaluated_again(
    drawn,
    base,  # noqa: F811
    rows,
    monkeypatch,
):
    out, first = drawn
    for module, name in ((bench, "model_run"), (bench, "baseline_runs")):
        monkeypatch.setattr(module, name, lambda *_: pytest.fail("done again"))

    assert call(base, rows, out, "keyword,24,all") == first


def test_a_given_adapter_takes_the_place_of_training(drawn, base, rows, tmp_path):  # noqa: F811
    out, first = drawn
    folder = out / "all-read-reports-seed1"

    # What TF-IDF said of these rows is known already.
    for known in (out / EVALUATED).glob("baselines-*"):
        copytree(known, tmp_path / "out" / EVALUATED / known.name)

    found = call(base, rows, tmp_path / "out", "24,all", "--no-train", "--point", f"all={folder}")

    small, large = found.of("bugs")
    assert small.model is None
    assert large.model is not None
    assert large.model.accuracy == first.of("bugs")[-1].model.accuracy


def test_an_adapter_that_learned_from_other_rows_is_told_from_one_that_did_not(drawn, rows):
    adapter = drawn[0] / "24-read-reports-seed1" / ADAPTER
    examples = read(rows).examples

    assert learned_from(adapter, examples[:24])
    assert not learned_from(adapter, examples)
    assert not learned_from(adapter, read(rows, source="keyword_labels").examples[:24])


def test_the_page_shows_every_point_in_plot_and_table(drawn):
    _, found = drawn

    page = curve_page(found)

    parsed = Page(page)
    assert parsed.tags.count("svg") == 2
    assert not [a for a in parsed.addresses if not a.startswith("#")]
    for p in found.points:
        assert page.count(p.name) >= 2
        assert f"{100 * p.tfidf.accuracy.value:.1f}" in page


def test_the_summary_calls_chance_chance(drawn):
    points = drawn[1].of("bugs")
    last = points[-1]
    contrast = last.against_before.model_copy(
        update={"significant": False, "difference": last.against_tfidf.difference}
    )
    changed = last.model_copy(update={"against_before": contrast})

    said = summary(drawn[1].model_copy(update={"points": (*points[:-1], changed)}), "bugs")

    assert any("may be chance" in sentence and "24 to 64" in sentence for sentence in said)


@pytest.mark.parametrize("text", ["", "some", "0", "100,", "-5"])
def test_a_size_that_is_none_is_refused(text):
    with pytest.raises(ConfigProblem, match="keyword, all or a number"):
        sizes_of(text)


def test_sizes_read_in_order():
    assert sizes_of("keyword, 100,all") == [WEAK, Size("labels", 100), READ]


def test_a_size_beyond_the_data_is_refused(base, rows, tmp_path):  # noqa: F811
    with pytest.raises(BadRequest, match="only 64 rows"):
        call(base, rows, tmp_path / "out", "65")


def test_a_point_for_no_size_is_refused(base, rows, tmp_path):  # noqa: F811
    with pytest.raises(ConfigProblem, match="not among --sizes"):
        call(base, rows, tmp_path / "out", "all", "--point", "100=x")
