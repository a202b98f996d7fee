"""What a memory may do to scores: learn what people agree on, little of what one says."""

import numpy as np
import pytest

from worker.shift import LIMIT, Lessons, Shift

WIDTH, LABELS = 32, 3


def issues(count, seed=0):
    """Reports of three kinds: each kind's states lie around a point of its own."""
    chance = np.random.default_rng(seed)
    points = np.random.default_rng(99).normal(size=(LABELS, WIDTH)) * 2
    kinds = chance.integers(LABELS, size=count)
    return points[kinds] + chance.normal(size=(count, WIDTH)), kinds


def unsure(count):
    return np.full((count, LABELS), 1 / LABELS)


def lessons(vectors, labels, chances=None, weight=1.0):
    n = len(labels)
    own = unsure(n) if chances is None else chances
    return Lessons(vectors, own, np.asarray(labels), np.full(n, weight))


def sure_of(labels, p=0.9):
    rest = (1 - p) / (LABELS - 1)
    return np.where(np.eye(LABELS)[labels] == 1, p, rest)


CENTRE = issues(300, seed=5)[0].mean(axis=0)


def test_probabilities_stay_probabilities():
    vectors, kinds = issues(20)
    found = Shift(lessons(vectors, kinds), CENTRE)(*(issues(50, seed=1)[0], unsure(50)))
    assert found.shape == (50, LABELS)
    assert (found > 0).all()
    assert found.sum(axis=1) == pytest.approx(np.ones(50))


def test_issues_near_corrected_ones_get_their_labels():
    vectors, kinds = issues(30)
    new, truth = issues(200, seed=1)
    found = Shift(lessons(vectors, kinds), CENTRE)(new, unsure(200))
    assert (found.argmax(axis=1) == truth).mean() > 0.9


def test_what_people_always_say_reaches_far_issues_too():
    vectors, _ = issues(40)
    far = np.random.default_rng(3).normal(size=(50, WIDTH)) * 5
    found = Shift(lessons(vectors, [2] * 40), CENTRE)(far, unsure(50))
    assert (found.argmax(axis=1) == 2).all()


def test_a_model_that_people_agree_with_is_left_alone():
    vectors, kinds = issues(40)
    new, truth = issues(200, seed=1)
    own = sure_of(truth, 0.95)
    found = Shift(lessons(vectors, kinds, sure_of(kinds, 0.95)), CENTRE)(new, own)
    assert np.abs(found - own).max() < 0.06


@pytest.mark.parametrize("before", [0, 10, 50])
def test_one_wrong_correction_flips_nothing_the_model_is_sure_of(before):
    vectors, kinds = issues(before + 1)
    new, truth = issues(300, seed=1)
    own, lesson_own = sure_of(truth, 0.8), sure_of(kinds, 0.8)
    wrong = (kinds[-1] + 1) % LABELS
    taught = Shift(lessons(vectors, [*kinds[:-1], wrong], lesson_own), CENTRE)(new, own)
    assert (taught.argmax(axis=1) == truth).all()


def test_one_correction_alone_shifts_far_issues_by_a_sixteenth_of_a_nat_at_most():
    (vector, *_), _ = issues(1)
    far = 2 * CENTRE - vector
    found = Shift(lessons(vector[None], [0]), CENTRE)(far[None], unsure(1))
    odds = np.log(found[0, 0] / found[0, 1])
    assert 0 < odds <= 0.25 / 4 + 1e-3


def test_one_correction_counts_at_once_for_the_same_text():
    vectors, _ = issues(1)
    before = np.array([[0.55, 0.35, 0.1]])
    found = Shift(lessons(vectors, [1], before), CENTRE)(vectors, before)
    assert found.argmax() == 1


def test_no_number_of_corrections_outdoes_the_limit():
    vectors, _ = issues(1)
    many = np.repeat(vectors, 300, axis=0)
    own = sure_of(np.array([0]), 1 - 1e-7)
    found = Shift(lessons(many, [1] * 300, np.repeat(own, 300, axis=0)), CENTRE)(vectors, own)
    shifted = np.log(found[0]) - np.log(own[0])
    assert np.ptp(shifted) <= 2 * LIMIT + 1e-6
    assert found.argmax() == 0


def test_a_tenth_of_wrong_corrections_costs_little():
    vectors, kinds = issues(50)
    new, truth = issues(300, seed=1)
    poisoned = kinds.copy()
    poisoned[::10] = (poisoned[::10] + 1) % LABELS
    clean = Shift(lessons(vectors, kinds), CENTRE)(new, unsure(300))
    poor = Shift(lessons(vectors, poisoned), CENTRE)(new, unsure(300))
    right = [(found.argmax(axis=1) == truth).mean() for found in (clean, poor)]
    assert right[0] - right[1] <= 0.03


def test_a_weaker_word_pulls_less():
    vectors, _ = issues(1)
    strong, weak = (
        Shift(lessons(vectors, [1], weight=weight), CENTRE)(vectors, unsure(1))[0, 1]
        for weight in (1.0, 0.5)
    )
    assert strong > weak > 1 / LABELS


def test_the_shift_does_not_depend_on_where_the_states_lie():
    vectors, kinds = issues(20)
    new, _ = issues(30, seed=1)
    here = Shift(lessons(vectors, kinds), CENTRE)(new, unsure(30))
    there = Shift(lessons(vectors + 7, kinds), CENTRE + 7)(new + 7, unsure(30))
    assert here == pytest.approx(there)
