from __future__ import annotations

import math

import numpy as np
import pytest

from training.preview.audit import auc
from training.preview.learners import answers_of
from training.preview.points import Said, point, say, share, threshold


def said(*pairs: tuple[float, str], label: int = 0) -> list[Said]:
    return [Said(label, p, verdict) for p, verdict in pairs]  # type: ignore[arg-type]


def test_a_point_counts_what_is_written_and_how_right_it_is() -> None:
    answers = said(
        (0.9, "right"), (0.8, "wrong"), (0.7, "right"), (0.7, "unlabelled"), (0.4, "right")
    )
    found = point(answers, 0.7, total=10)
    assert (found.written, found.right, found.unlabelled) == (4, 2, 1)
    # 2 of 4 written; 2 of the 3 that people answered; 4 of 10 issues.
    assert found.precision.value == 0.5
    assert found.precision_labelled.value == pytest.approx(2 / 3)
    assert found.coverage.value == 0.4


def test_a_share_carries_wilsons_interval() -> None:
    found = share(9, 10)
    z = 1.959964
    middle = (0.9 + z * z / 20) / (1 + z * z / 10)
    wide = z * math.sqrt(0.9 * 0.1 / 10 + z * z / 400) / (1 + z * z / 10)
    assert found.low == pytest.approx(middle - wide, abs=1e-4)
    assert found.high == pytest.approx(middle + wide, abs=1e-4)
    assert share(0, 0).value is None


def test_a_threshold_takes_eight_right_answers_for_ninety_percent() -> None:
    assert threshold(said(*[(0.95, "right")] * 7), 0.9) is None
    assert threshold(said(*[(0.95, "right")] * 8), 0.9) == 0.95
    # One more answer, wrong and less sure: the threshold stays above it.
    assert threshold(said(*[(0.95, "right")] * 8, (0.5, "wrong")), 0.9) == 0.95
    # 18 right of 19: (18 + 1) / (19 + 2) reaches it again.
    many = said(*[(0.95, "right")] * 8, (0.5, "wrong"), *[(0.4, "right")] * 10)
    assert threshold(many, 0.9) == 0.4


def test_a_threshold_does_not_cut_between_equal_answers() -> None:
    mixed = said(*[(0.9, "right")] * 8, *[(0.9, "wrong")] * 8)
    assert threshold(mixed, 0.9) is None


def test_what_people_left_open_counts_as_wrong() -> None:
    open_ones = said(*[(0.9, "right")] * 8, *[(0.9, "unlabelled")] * 4)
    assert threshold(open_ones, 0.9) is None


def test_the_likeliest_real_answer_is_said_and_never_nothing() -> None:
    probabilities = np.array([[0.2, 0.1, 0.7], [0.6, 0.3, 0.1], [0.1, 0.8, 0.1], [0.5, 0.4, 0.1]])
    truths = [frozenset({"ui"}), frozenset({"ui", "audio"}), frozenset(), None]
    found = say(probabilities, ("ui", "audio", ""), truths)
    assert [(s.label, s.p, s.verdict) for s in found] == [
        (0, 0.2, "right"),
        (0, 0.6, "right"),
        (1, 0.8, "unlabelled"),
        (0, 0.5, "unknown"),
    ]


def test_rare_answers_are_not_learned_and_nothing_is_one_if_it_is_frequent() -> None:
    truths = [frozenset({"ui"})] * 6 + [frozenset({"audio"})] * 4 + [frozenset()] * 1
    assert answers_of(truths) == ("ui", "")
    assert answers_of(truths[:6]) == ("ui",)


def test_the_area_under_the_curve_is_the_share_of_pairs_in_order() -> None:
    has = np.array([True, True, False, False, False])
    found = auc(np.array([3.0, 1.0, 2.0, 0.0, 1.0]), has)
    # Pairs: (3: 3 below), (1: one below, one equal, one above) -> (3 + 1.5) of 6.
    assert found.value == pytest.approx(0.75)
    assert found.low is not None
    assert found.high is not None
    assert found.low < 0.5 < found.high
