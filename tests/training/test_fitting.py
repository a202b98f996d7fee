"""Thresholds of a model, and those that its repositories may ask for instead."""

import torch

from app.core.manifest import Calibration
from app.core.taxonomy import Dimension, Label, Taxonomy
from tests.training.rows import example
from training import fitting
from training.fitting import TARGETS

LABELS = tuple(
    Label(name=name, github=name, description=name, color="ffffff") for name in ("yes", "no")
)
TAXONOMY = Taxonomy(dimensions=(Dimension(name="sure", question="?", labels=LABELS),))


def test_a_repository_may_ask_for_another_precision_than_the_model_was_fitted_for():
    # 100 reports that all say yes: the surer, the oftener right, 60 % in all.
    chance = torch.linspace(0.51, 0.99, 100)
    right = [i >= 90 or (i % 2 == 0 if i < 80 else True) for i in range(100)]
    scores = {"sure": torch.stack([chance.log(), (1 - chance).log()], dim=1)}
    plain = {"sure": Calibration(bias={"yes": 0.0, "no": 0.0})}
    answers = ["yes" if r else "no" for r in right]
    examples = [example(f"a#{n}", labels={"sure": a}) for n, a in enumerate(answers, 1)]
    fitted = fitting.thresholds(scores, examples, TAXONOMY, plain, 0.6)
    assert fitted.for_precision("sure", "yes", 0.6) == fitted.of("sure", "yes")
    assert set(fitted.reached["sure"]["yes"]) == {str(target) for target in TARGETS}
    strict = fitted.for_precision("sure", "yes", 0.9)
    kept = [r for c, r in zip(chance.tolist(), right, strict=True) if c >= strict - 1e-6]
    assert 0 < len(kept) < 100
    assert sum(kept) / len(kept) >= 0.9
    # "no" was never answered, so nothing was measured of it.
    assert "no" not in fitted.reached["sure"]
    assert fitted.for_precision("sure", "no", 0.9) == 0.9
