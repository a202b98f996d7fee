from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from rich.console import Console
from rich.table import Table

from deploy.sandbox.demo import table
from deploy.sandbox.demo.reports import Report
from deploy.sandbox.demo.table import Result
from deploy.sandbox.demo.watch import Opened

T0 = datetime(2026, 11, 1, 12, tzinfo=UTC)


def result(
    number: int,
    *,
    written: bool = True,
    seconds: float = 2.0,
    truth: str | None = None,
    reason: str = "below threshold",
    model: str = "m/zero-shot/p1",
    labels: tuple[str, ...] | None = None,
) -> Result:
    report = Report(title=f"[b]report {number}", labels={"severity": truth} if truth else {})
    answer: dict[str, Any] = {
        "probabilities": {"high": 0.75, "low": 0.25},
        "action": "apply" if written else "abstain",
        "labels": ["high"] if written else [],
        "reason": "confident" if written else reason,
    }
    gate = answer | {"action": "none", "labels": [], "reason": "not written"}
    at = (T0 + timedelta(seconds=seconds)).isoformat().replace("+00:00", "Z")
    return Result(
        Opened(number, report, T0),
        {
            "stage": "done",
            "model": model,
            "dimensions": {"kind": gate, "severity": answer},
            "labelled_at": at if written else None,
        },
        ("severity: high",) * written if labels is None else labels,
    )


def printed(content: Table) -> str:
    console = Console(width=140, color_system=None)
    with console.capture() as capture:
        console.print(content)
    return capture.get()


def test_a_row_shows_what_was_written_and_how_probable_it_is() -> None:
    said = printed(table.issues([result(7)]))
    assert "kind" not in said
    assert said.splitlines()[1].split() == ["#7", "[b]report", "7", "high", "0.75"]


def test_what_was_not_written_stands_in_brackets() -> None:
    assert "(high 0.75)" in printed(table.issues([result(1), result(2, written=False)]))


def test_an_issue_that_was_never_scored_is_shown_as_such() -> None:
    dead = Result(Opened(2, Report(title="t"), T0), {"stage": "dead", "dimensions": {}}, ())
    assert "not scored" in printed(table.issues([result(1), dead]))
    assert "none 1" in printed(table.summary([result(1), dead], 1.0))


def test_times_are_counted_from_opening_to_the_label() -> None:
    said = printed(table.summary([result(n, seconds=n) for n in (1, 2, 6)], 9.5))
    assert "6.0 s, 2.00 s an issue" in said
    assert "median 2.0 s" in said
    assert "9.5 s" in said
    assert "high 3" in said


def test_agreement_is_told_with_interval_and_commonest_label() -> None:
    compared = table.agreement(
        [result(1, truth="high"), result(2, truth="low"), result(3, truth="low"), result(4)]
    )
    assert compared is not None
    said = printed(compared)
    assert "1/3 = 33%" in said
    assert "low 67%" in said


def test_an_answer_below_its_threshold_is_no_failure_and_is_counted() -> None:
    results = [result(1, model="tuned-1"), result(2, written=False, model="tuned-1")]
    assert [r.failure for r in results] == [None, None]
    said = " ".join(table.remarks(results))
    assert "1 of 2 issues got no label: every answer was below its threshold" in said
    assert "threshold is 0" not in said
    assert "1 of 2 labelled after" in printed(table.summary(results, 1.0))


def test_best_guesses_are_called_so_whatever_the_model() -> None:
    assert "threshold is 0" in table.remarks([result(1)])[0]
    assert "threshold is 0" in table.remarks([result(1, model="tuned-1")])[0]


@pytest.mark.parametrize(
    ("odd", "why"),
    [
        (result(1, labels=()), "no label on GitHub (confident"),
        (result(1, written=False, reason="a person decided"), "(a person decided"),
        (
            Result(Opened(1, Report(title="t"), T0), {"stage": "done", "dimensions": {}}, ()),
            "never",
        ),
        (
            Result(
                Opened(1, Report(title="t"), T0),
                {"stage": "dead", "error": "404", "dimensions": {}},
                ("severity: low",),
            ),
            "404",
        ),
    ],
)
def test_an_issue_without_the_labels_it_should_have_is_a_failure(odd: Result, why: str) -> None:
    assert odd.failure is not None
    assert why in odd.failure
    assert not odd.abstained


def test_what_was_decided_but_does_not_stand_on_github_is_in_brackets() -> None:
    assert "(high 0.75)" in printed(table.issues([result(1, labels=())]))


def test_without_labels_in_the_file_nothing_is_compared() -> None:
    assert table.agreement([result(1)]) is None


def test_the_interval_is_wilsons() -> None:
    # Values of R's prop.test(x, n, correct = FALSE).
    assert table._wilson(5, 10) == pytest.approx((0.2366, 0.7634), abs=5e-4)
    assert table._wilson(0, 10) == pytest.approx((0.0, 0.2775), abs=5e-4)
