"""The NLBSE'24 table: the competition's own averages, and files that do not fit."""

from __future__ import annotations

import pytest
from sklearn.metrics import f1_score

from app.core.errors import BadRequest, ConfigProblem
from training.benchmarks import nlbse24

HEADER = "repo,created_at,label,title,body\n"


def written(tmp_path, *lines):
    path = tmp_path / "train.csv"
    path.write_text(HEADER + "".join(lines), encoding="utf-8")
    return path


def test_bodies_may_span_lines_and_hold_quotes(tmp_path):
    path = written(tmp_path, 'a/b,2023-01-01,bug,"It ""breaks""","one\ntwo"\n')

    (row,) = nlbse24.read(path)

    assert (row.repository, row.title, row.body) == ("a/b", 'It "breaks"', "one\ntwo")
    assert row.labels["kind"].label == "bug"


def test_an_unknown_class_is_named_with_its_line(tmp_path):
    path = written(tmp_path, "a/b,2023-01-01,bug,x,y\n", "a/b,2023-01-01,epic,x,y\n")

    with pytest.raises(BadRequest, match="line 3: 'epic'"):
        nlbse24.read(path)


def test_a_file_of_another_shape_is_refused(tmp_path):
    path = tmp_path / "other.csv"
    path.write_text("a,b\n1,2\n")

    with pytest.raises(BadRequest, match="columns"):
        nlbse24.read(path)


def test_an_absent_file_says_so(tmp_path):
    with pytest.raises(ConfigProblem, match="cannot read"):
        nlbse24.read(tmp_path / "none.csv")


def test_the_average_is_over_classes_first_and_repositories_second(tmp_path):
    labels = ["bug", "feature", "question"]
    rows = [f"a/b,2023,{label},t,b\n" for label in labels * 4]
    rows += [f"c/d,2023,{label},t,b\n" for label in labels]
    truth = nlbse24.read(written(tmp_path, *rows))
    said = ["bug"] * 12 + labels

    scores = nlbse24.official(truth, said)

    first = f1_score(labels * 4, ["bug"] * 12, average="macro", zero_division=0.0)
    assert scores["a/b"]["average"][2] == pytest.approx(first)
    assert scores["c/d"]["average"][2] == 1.0
    # The larger repository counts no more than the smaller one.
    assert scores["average"]["average"][2] == pytest.approx((first + 1.0) / 2)


def test_choosing_and_the_final_number_are_two_runs(tmp_path):
    path = written(tmp_path, "a/b,2023,bug,x,y\n")

    with pytest.raises(ConfigProblem, match="either --folds"):
        nlbse24.main(train=path)
    with pytest.raises(ConfigProblem, match="either --folds"):
        nlbse24.main(train=path, test=path, folds=5)
