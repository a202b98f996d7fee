"""A version is found worse only when chance does not explain it, however often one looks."""

import random

import pytest
from scipy.stats import fisher_exact

from app.core.override import Tally, chance, worse


@pytest.mark.parametrize(
    ("new", "old"), [((20, 9), (200, 30)), ((7, 0), (9, 4)), ((40, 40), (40, 0)), ((5, 5), (5, 5))]
)
def test_the_chance_is_fishers(new, old):
    table = [[new[1], new[0] - new[1]], [old[1], old[0] - old[1]]]
    expected = fisher_exact(table, alternative="greater").pvalue
    assert chance(Tally(*new), Tally(*old)) == pytest.approx(expected, rel=1e-9)


def issues(rate, count, seed):
    dice = random.Random(seed)
    return [Tally(3, sum(dice.random() < rate for _ in range(3))) for _ in range(count)]


def test_a_version_overridden_three_times_as_often_is_found():
    found = worse(issues(0.6, 100, 1), Tally(300, 60), least=20, level=0.01)
    assert found is not None
    assert found.new.written < 60
    assert found.p < found.level


def test_a_version_as_good_as_the_one_before_is_left_alone_nearly_always():
    """Looked at after every issue, as the sweep does."""
    wrong = sum(
        any(
            worse(issues(0.2, 120, seed)[:seen], Tally(1000, 200), least=20, level=0.01)
            for seen in range(0, 121, 20)
        )
        for seed in range(200)
    )
    assert wrong <= 4


def test_few_labels_say_nothing():
    assert worse([Tally(3, 3)] * 6, Tally(300, 3), least=20, level=0.01) is None
    assert worse([Tally(3, 3)] * 60, Tally(19, 0), least=20, level=0.01) is None


def test_a_level_of_zero_never_finds_anything():
    assert worse([Tally(3, 3)] * 60, Tally(300, 0), least=20, level=0) is None
