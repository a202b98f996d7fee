from app.core.decision import Thresholds
from app.core.taxonomy import DEFAULT_TAXONOMY
from training.benchmarks.precision import compare


def scores(critical: float) -> dict[str, dict[str, float]]:
    even = {d.name: dict.fromkeys(d.names, 1 / len(d.names)) for d in DEFAULT_TAXONOMY.dimensions}
    rest = (1 - critical) / 3
    return even | {"severity": {"critical": critical, "high": rest, "medium": rest, "low": rest}}


def test_equal_scores_differ_in_nothing() -> None:
    found = compare([scores(0.9)], [scores(0.9)], Thresholds())
    assert (found.answers, found.flips, found.decisions, found.largest) == (4, 0, 0, 0)


def test_a_likeliest_label_that_changes_is_a_flip() -> None:
    found = compare([scores(0.26)], [scores(0.24)], Thresholds())
    assert (found.flips, found.decisions) == (1, 0)


def test_a_label_that_only_one_format_writes_is_a_decision_that_differs() -> None:
    found = compare([scores(0.51)], [scores(0.49)], Thresholds(default=0.5))
    assert (found.flips, found.decisions) == (0, 1)
    assert round(found.largest, 6) == 0.02
