import pytest

from app.core.text import IssueText
from training.benchmarks.latency import WARM_UP, measure, report_of


@pytest.mark.parametrize("tokens", [20, 270, 1000])
def test_a_report_has_the_length_asked_for(tokens: int) -> None:
    def count(text: str) -> int:
        return len(text.split())

    report = report_of(tokens, count, 1)
    assert count(f"{report.title}\n{report.body}") == tokens


def test_reports_differ() -> None:
    assert report_of(50, len, 1) != report_of(50, len, 2)


def test_arms_take_turns_and_warm_up_does_not_count() -> None:
    calls: list[str] = []
    arms = {"a": lambda _: calls.append("a"), "b": lambda _: calls.append("b")}
    found = measure(arms, [IssueText(title="x")] * 2, repeats=5)
    assert calls == ["a", "b"] * 2 * (WARM_UP + 5)
    assert [(t.arm, t.reports) for t in found] == [("a", 10), ("b", 10)]
    assert all(0 <= t.p50 <= t.p95 for t in found)
