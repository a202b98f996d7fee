from __future__ import annotations

import math
import warnings

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn import metrics as reference

from training import metrics


def ints(*values: int) -> metrics.Ints:
    return np.array(values, dtype=np.int64)


def floats(*values: float) -> metrics.Floats:
    return np.array(values, dtype=np.float64)


PAIRS = st.integers(2, 5).flatmap(
    lambda k: st.tuples(
        st.just(k),
        st.lists(st.tuples(st.integers(0, k - 1), st.integers(0, k - 1)), min_size=1, max_size=40),
    )
)


@given(pairs=PAIRS)
def test_figures_equal_those_of_scikit_learn(pairs: tuple[int, list[tuple[int, int]]]) -> None:
    k, rows = pairs
    truth, said = ints(*(t for t, _ in rows)), ints(*(s for _, s in rows))
    counts = metrics.confusion(truth, said, k)
    assert (counts[0] == reference.confusion_matrix(truth, said, labels=range(k))).all()
    assert metrics.accuracy(counts)[0] == pytest.approx(reference.accuracy_score(truth, said))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        macro = reference.f1_score(truth, said, average="macro")
        p, r, f, _ = reference.precision_recall_fscore_support(
            truth, said, labels=range(k), zero_division=np.nan
        )
    assert metrics.macro_f1(counts)[0] == pytest.approx(macro)
    np.testing.assert_allclose(metrics.precision(counts)[0], p)
    np.testing.assert_allclose(metrics.recall(counts)[0], r)
    # scikit-learn says 0 where a class is neither true nor predicted; here it has no F1.
    np.testing.assert_allclose(np.nan_to_num(metrics.f1(counts)[0]), np.nan_to_num(f))


def test_macro_f1_by_hand_leaves_out_a_class_that_is_neither_true_nor_said() -> None:
    counts = metrics.confusion(ints(0, 0, 1, 1), ints(0, 1, 1, 1), 3)
    # class 0: precision 1, recall 1/2; class 1: precision 2/3, recall 1
    assert metrics.macro_f1(counts)[0] == pytest.approx((2 / 3 + 4 / 5) / 2)


def test_a_class_always_missed_counts_as_zero() -> None:
    counts = metrics.confusion(ints(0, 1), ints(0, 0), 2)
    assert metrics.f1(counts)[0].tolist() == pytest.approx([2 / 3, 0])
    assert math.isnan(metrics.precision(counts)[0, 1])


@given(pairs=PAIRS, seed=st.integers(0, 9))
def test_a_weighted_confusion_is_that_of_the_drawn_reports(
    pairs: tuple[int, list[tuple[int, int]]], seed: int
) -> None:
    k, rows = pairs
    truth, said = ints(*(t for t, _ in rows)), ints(*(s for _, s in rows))
    weights = metrics.resample(len(rows), 3, seed)
    assert (weights.sum(axis=1) == len(rows)).all()
    for drawn, counts in zip(weights, metrics.confusion(truth, said, k, weights), strict=True):
        again = np.repeat(np.arange(len(rows)), drawn)
        assert (counts == metrics.confusion(truth[again], said[again], k)[0]).all()


def test_equal_seeds_draw_equal_reports() -> None:
    assert (metrics.resample(7, 5, 1) == metrics.resample(7, 5, 1)).all()
    assert (metrics.resample(7, 5, 1) != metrics.resample(7, 5, 2)).any()


def test_calibration_error_by_hand() -> None:
    # bin (0.5, 0.6]: confidence 0.55, accuracy 0.5; bin (0.8, 0.9]: confidence 0.9, accuracy 1
    confidence = floats(0.52, 0.58, 0.9, 0.9)
    correct = np.array([True, False, True, True])
    assert metrics.calibration_error(confidence, correct)[0] == pytest.approx(
        (2 * 0.05 + 2 * 0.1) / 4
    )
    first, second = metrics.reliability(confidence, correct)
    assert (first.low, first.high, first.n) == (0.5, 0.6, 2)
    assert (second.confidence, second.accuracy) == (pytest.approx(0.9), 1.0)


@pytest.mark.parametrize("sure", [0.0, 0.1, 0.3, 0.7, 1.0])
def test_a_confidence_on_a_border_belongs_to_the_bin_below(sure: float) -> None:
    (one,) = metrics.reliability(floats(sure), np.array([True]))
    assert one.high == pytest.approx(max(sure, 0.1))


def test_answers_that_are_right_as_often_as_they_say_have_no_calibration_error() -> None:
    confidence = np.full(10, 0.7)
    correct = np.array([True] * 7 + [False] * 3)
    assert metrics.calibration_error(confidence, correct)[0] == pytest.approx(0)


def test_log_loss_by_hand_and_by_scikit_learn() -> None:
    probabilities = np.array([[0.9, 0.1], [0.4, 0.6]])
    assert metrics.log_loss(ints(0, 0), probabilities) == pytest.approx(
        -(math.log(0.9) + math.log(0.4)) / 2
    )
    assert metrics.log_loss(ints(0, 1), probabilities) == pytest.approx(
        reference.log_loss([0, 1], probabilities)
    )
    assert math.isfinite(metrics.log_loss(ints(1), np.array([[1.0, 0.0]])))


def test_precision_against_coverage_by_hand() -> None:
    confidence = floats(0.9, 0.8, 0.7, 0.6, 0.5)
    correct = np.array([True, True, False, True, False])
    curve = metrics.coverage_curve(confidence, correct)
    assert curve.coverage[0].tolist() == pytest.approx([0.2, 0.4, 0.6, 0.8, 1.0])
    assert curve.precision[0].tolist() == pytest.approx([1, 1, 2 / 3, 3 / 4, 3 / 5])
    assert curve.coverage_at(0.95)[0] == pytest.approx(0.4)
    assert curve.coverage_at(0.75)[0] == pytest.approx(0.8)
    assert curve.precision_at(0.6)[0] == pytest.approx(2 / 3)
    assert metrics.coverage_curve(confidence, ~correct).coverage_at(0.95)[0] == 0


def test_reports_of_equal_confidence_are_answered_together() -> None:
    correct = np.array([True, False, True, False])
    curve = metrics.coverage_curve(floats(0.5, 0.5, 0.5, 0.5), correct)
    assert curve.coverage[0].tolist() == [1.0]
    assert curve.precision[0].tolist() == [0.5]
    again = metrics.coverage_curve(floats(0.5, 0.5, 0.5, 0.5), correct[::-1])
    assert again.coverage_at(0.9)[0] == 0


def test_the_end_of_the_curve_is_the_accuracy() -> None:
    chance = np.random.default_rng(1)
    confidence, correct = chance.random(50), chance.random(50) < 0.6
    assert metrics.coverage_curve(confidence, correct).precision[0, -1] == correct.mean()


def test_a_bootstrap_interval_holds_the_true_rate_about_as_often_as_it_says() -> None:
    chance = np.random.default_rng(0)
    held = 0
    for trial in range(200):
        right = (chance.random(80) < 0.7).astype(np.int64)
        drawn = metrics.accuracy(
            metrics.confusion(ints(*[1] * 80), right, 2, metrics.resample(80, 300, trial))
        )
        low, high = metrics.interval(drawn)
        held += low <= 0.7 <= high
    assert 0.88 <= held / 200 <= 0.99


def test_wilson_by_hand() -> None:
    low, high = metrics.wilson(9, 10)
    z = 1.959964
    centre = (0.9 + z * z / 20) / (1 + z * z / 10)
    half = z / (1 + z * z / 10) * math.sqrt(0.9 * 0.1 / 10 + z * z / 400)
    assert (low, high) == (pytest.approx(centre - half, abs=1e-6), pytest.approx(centre + half))
    assert all(math.isnan(v) for v in metrics.wilson(0, 0))


def test_resamples_without_a_value_do_not_spoil_the_interval() -> None:
    assert metrics.interval(floats(float("nan"), 1.0, 1.0)) == (1.0, 1.0)
    assert all(math.isnan(v) for v in metrics.interval(floats(float("nan"))))
