from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from training.significance import bootstrap_p, holm, mcnemar


def test_mcnemar_is_the_binomial_test_of_the_reports_they_differ_on() -> None:
    one = np.array([True] * 9 + [False] * 1 + [True] * 50)
    other = np.array([False] * 9 + [True] * 1 + [True] * 50)
    # two-sided: 2 * (C(10,0) + C(10,1)) / 2**10
    assert mcnemar(one, other) == (9, 1, pytest.approx(22 / 1024))


def test_models_that_are_right_on_the_same_reports_do_not_differ() -> None:
    same = np.array([True, False, True])
    assert mcnemar(same, same) == (0, 0, 1.0)


def test_a_bootstrap_p_is_never_zero_and_one_when_nothing_differs() -> None:
    assert bootstrap_p(np.full(999, 0.1)) == pytest.approx(2 / 1000)
    assert bootstrap_p(np.zeros(999)) == 1.0
    assert bootstrap_p(np.array([float("nan")])) == 1.0
    half = np.array([-0.1, 0.1] * 500)
    assert bootstrap_p(half) == pytest.approx(1.0, abs=0.01)


def test_holm_by_hand() -> None:
    assert holm([0.01, 0.04, 0.03]) == pytest.approx([0.03, 0.06, 0.06])
    assert holm([]) == []


@given(ps=st.lists(st.floats(0, 1), max_size=8))
def test_a_corrected_p_is_no_smaller_and_keeps_the_order(ps: list[float]) -> None:
    corrected = holm(ps)
    assert all(p <= c <= 1 for p, c in zip(ps, corrected, strict=True))
    pairs = sorted(zip(ps, corrected, strict=True))
    assert [c for _, c in pairs] == sorted(corrected)
