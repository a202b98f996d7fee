"""What the promotion gate lets in, and for which reason it keeps the rest out."""

from __future__ import annotations

import random

import pytest

from app.core.errors import BadRequest
from app.core.taxonomy import DEFAULT_TAXONOMY
from training.gate import Rules, judge
from training.predictions import Prediction

RULES = Rules(resamples=200)
WRITTEN = [d.name for d in DEFAULT_TAXONOMY.written]


def said(seed: int, count: int, right: dict[str, float] | float, sure: float = 0.7):
    """Predictions of `count` reports, of which a share `right` (by dimension) is right."""
    chance = random.Random(seed)
    truths = random.Random(f"truth {count}")
    found = []
    for number in range(count):
        truth, scores = {}, {}
        for name in WRITTEN:
            labels = DEFAULT_TAXONOMY[name].names
            truth[name] = truths.choice(labels)
            share = right if isinstance(right, float) else right[name]
            answer = truth[name]
            if chance.random() >= share:
                answer = chance.choice([label for label in labels if label != answer])
            rest = (1 - sure) / (len(labels) - 1)
            scores[name] = {label: sure if label == answer else rest for label in labels}
        found.append(
            Prediction(id=f"r{number}", repository="a/b", bug=True, truth=truth, scores=scores)
        )
    return found


def verdict(new, old, rules=RULES):
    return judge(new, old, DEFAULT_TAXONOMY, rules)


def test_a_clearly_better_model_passes():
    found = verdict(said(1, 80, 0.8), said(2, 80, 0.5, sure=0.55))
    assert found.promote
    assert found.reason.startswith("better on 80 newer reports (")
    assert all(check.passed for check in found.checks)


def test_the_same_answers_do_not_pass():
    found = verdict(said(1, 80, 0.7), said(1, 80, 0.7))
    assert not found.promote
    assert "not shown to be better" in found.reason
    assert found.p == 1


@pytest.mark.parametrize("seed", range(20))
def test_what_is_worse_on_the_holdout_never_passes(seed):
    chance = random.Random(seed)
    for _ in range(3):
        count, base = chance.choice([40, 80, 160]), chance.uniform(0.4, 0.9)
        old = said(chance.random(), count, base)
        new = said(chance.random(), count, base - chance.uniform(-0.05, 0.4))
        found = verdict(new, old)
        if found.accuracy.candidate.value < found.accuracy.active.value:
            assert not found.promote


def test_a_small_holdout_proves_nothing():
    found = verdict(said(1, 39, 0.9), said(2, 39, 0.3))
    assert not found.promote
    assert "39 reports, fewer than the 40" in found.reason


def test_a_holdout_of_mistakes_alone_does_not_show_what_would_break():
    found = verdict(said(1, 60, 0.9), said(2, 60, 0.0))
    assert not found.promote
    assert "cannot be seen" in found.reason


def blind(predictions, dimension, label, count, otherwise):
    """The first `count` answers `label` of a dimension become another label."""
    found = []
    for one in predictions:
        best = max(one.scores[dimension], key=lambda name: one.scores[dimension][name])
        if best == one.truth[dimension] == label and count > 0:
            count -= 1
            scores = dict(one.scores[dimension])
            scores[label], scores[otherwise] = scores[otherwise], scores[label]
            one = one.model_copy(update={"scores": {**one.scores, dimension: scores}})
        found.append(one)
    return found


def test_one_report_of_the_highest_severity_lost_is_one_too_many():
    same = said(3, 160, {"severity": 1.0, "component": 0.3, "reproducibility": 0.3})
    better = said(4, 160, {"severity": 1.0, "component": 0.9, "reproducibility": 0.9})
    found = verdict(blind(better, "severity", "critical", 1, "low"), same)
    assert not found.promote
    assert found.reason.startswith("loss in recall of critical")
    assert verdict(better, same, Rules(resamples=200, tolerance=1)).promote


def test_without_reports_of_the_highest_severity_nobody_can_tell():
    def harmless(predictions):
        return [p for p in predictions if p.truth["severity"] != "critical"]

    found = verdict(harmless(said(1, 120, 0.9)), harmless(said(2, 120, 0.4)))
    assert not found.promote
    assert "recall of critical cannot be judged: 0 reports" in found.reason


def test_better_on_the_whole_does_not_excuse_a_dimension_that_got_worse():
    old = said(5, 160, {"severity": 0.6, "component": 0.3, "reproducibility": 0.9})
    new = said(6, 160, {"severity": 0.95, "component": 0.95, "reproducibility": 0.6})
    found = verdict(new, old)
    assert not found.promote
    assert "worse in reproducibility" in found.reason


def test_a_model_that_is_surer_than_right_does_not_pass():
    found = verdict(said(7, 160, 0.75, sure=0.999), said(8, 160, 0.5, sure=0.5))
    assert not found.promote
    assert found.reason.startswith("worse calibrated")


def test_two_models_are_compared_on_the_same_reports_only():
    with pytest.raises(BadRequest, match="same reports"):
        verdict(said(1, 50, 0.5), said(1, 51, 0.5))
