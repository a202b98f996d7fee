from __future__ import annotations

import pytest

from app.core.errors import ConfigProblem
from tests.training.rows import prediction, run
from training.comparison import Saved, compare


def saved(name: str, right: int, *, n: int = 60, seed: int | None = None, **more: object) -> Saved:
    """A run that gets the first `right` of n reports right."""
    rows = [prediction(f"{i:03}", "low" if i % 2 else "high", said(i, i < right)) for i in range(n)]
    return run(rows, name, seed=seed, **more), rows


def said(i: int, right: bool) -> str:
    truth, other = ("low", "high") if i % 2 else ("high", "low")
    return truth if right else other


def test_a_run_against_itself_differs_by_nothing() -> None:
    one, rows = saved("one", 40)
    found = compare([(one, rows), (one.model_copy(update={"name": "same"}), rows)])
    for contrast in found.contrasts:
        assert contrast.difference.value == 0
        assert contrast.p == 1.0
        assert not contrast.significant


def test_a_much_better_run_is_found_better_by_every_test() -> None:
    found = compare([saved("weak", 30), saved("strong", 55)])
    tested = {(c.measure, c.dimension): c for c in found.contrasts if c.scope == "bugs"}
    assert set(tested) == {("accuracy", None), ("macro_f1", None), ("accuracy", "severity")}
    assert all(c.significant and (c.difference.value or 0) > 0 for c in tested.values())
    exact = tested["accuracy", "severity"]
    assert (exact.test, exact.only_name, exact.only_reference) == ("mcnemar", 25, 0)
    assert exact.p == pytest.approx(2 / 2**25)


def test_one_report_more_is_not_significant() -> None:
    found = compare([saved("one", 40), saved("other", 41)])
    assert not any(c.significant for c in found.contrasts)


def test_p_values_are_corrected_for_the_number_of_runs_compared() -> None:
    found = compare([saved("base", 40), *(saved(f"r{i}", 46) for i in range(4))])
    exact = [c for c in found.contrasts if c.scope == "bugs" and c.dimension == "severity"]
    assert [c.p for c in exact] == [pytest.approx(2 / 2**6)] * 4
    assert [c.significant for c in exact] == [False] * 4
    assert exact[0].p_corrected == pytest.approx(8 / 2**6)


def test_seeds_of_one_name_are_averaged_and_their_spread_is_told() -> None:
    found = compare([saved("m", 30, seed=1), saved("m", 36, seed=2), saved("other", 33)])
    (standing,) = [s for s in found.of("bugs") if s.name == "m"]
    assert standing.seeds == 2
    assert standing.accuracy.value == pytest.approx(0.55)
    assert standing.seed_spread == pytest.approx(0.1 / 2**0.5)
    contrast = found.contrast("other", "bugs", "accuracy", "severity")
    assert contrast is not None
    assert contrast.test == "bootstrap"
    assert contrast.difference.value == pytest.approx(0)


def test_the_order_of_rows_in_a_file_does_not_matter() -> None:
    one, rows = saved("one", 40)
    other, others = saved("other", 50)
    assert compare([(one, rows), (other, others)]) == compare([(one, rows), (other, others[::-1])])


def test_the_reference_may_be_chosen_by_name() -> None:
    found = compare([saved("one", 40), saved("other", 41)], reference="other")
    assert {(c.name, c.reference) for c in found.contrasts} == {("one", "other")}
    with pytest.raises(ConfigProblem, match="no run is called 'third': there are one"):
        compare([saved("one", 40)], reference="third")


def test_runs_over_other_data_are_refused() -> None:
    one, rows = saved("one", 40)
    moved = one.model_copy(update={"name": "other", "digest": "e" * 64})
    with pytest.raises(ConfigProblem, match="other was evaluated on other data"):
        compare([(one, rows), (moved, rows)])
    with pytest.raises(ConfigProblem, match="no run"):
        compare([])
