from __future__ import annotations

import json
from pathlib import Path

import pytest

from deploy.sandbox.demo.reports import ReportProblem, read, sample_reports


def written(directory: Path, *lines: object) -> Path:
    path = directory / "reports.jsonl"
    path.write_text("\n".join(x if isinstance(x, str) else json.dumps(x) for x in lines))
    return path


def test_rows_become_reports_in_order_up_to_the_limit(tmp_path: Path) -> None:
    path = written(
        tmp_path,
        {"title": " one ", "body": "b", "labels": {"severity": "low"}, "id": "x"},
        "",
        {"title": "two"},
        {"title": "three"},
    )
    assert [r.title for r in read(path)] == ["one", "two", "three"]
    first, second = read(path, 2)
    assert (first.body, first.labels) == ("b", {"severity": "low"})
    assert (second.body, second.labels) == ("", {})


def test_every_row_that_is_no_report_is_named_by_its_line(tmp_path: Path) -> None:
    path = written(
        tmp_path,
        {"title": "fine", "body": ""},
        "{not json",
        {"body": "no title"},
        {"title": "a", "body": 3},
        ["a", "list"],
        {"title": "   "},
    )
    with pytest.raises(ReportProblem) as problem:
        read(path)
    said = str(problem.value).splitlines()
    assert [line.split(":")[0] for line in said[1:]] == [f"line {n}" for n in (2, 3, 4, 5, 6)]
    assert "title" in said[2]
    assert "body" in said[3]


def test_rows_behind_the_limit_are_not_judged(tmp_path: Path) -> None:
    path = written(tmp_path, {"title": "fine"}, "{not json")
    assert len(read(path, 1)) == 1


def test_many_bad_rows_are_counted(tmp_path: Path) -> None:
    with pytest.raises(ReportProblem, match="and 15 more"):
        read(written(tmp_path, *["no"] * 20))


@pytest.mark.parametrize("text", ["", "\n\n"])
def test_a_file_without_reports_is_refused(tmp_path: Path, text: str) -> None:
    with pytest.raises(ReportProblem, match="has no reports"):
        read(written(tmp_path, text))


def test_an_absent_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ReportProblem, match="cannot be read"):
        read(tmp_path / "absent.jsonl")


def test_a_title_longer_than_github_takes_is_cut(tmp_path: Path) -> None:
    (report,) = read(written(tmp_path, {"title": "x" * 300}))
    assert len(report.title) == 256


def test_the_sample_project_has_reports() -> None:
    assert len(sample_reports()) >= 8
    assert len(sample_reports(2)) == 2
