"""The simulated maintainer teaches, the same way each time, and the figures say what happened."""

import numpy as np
import pytest

from app.core.decision import Thresholds
from app.core.repository_config import Config
from app.core.settings import Settings
from tests.worker.model.conftest import byte_level, llama
from training.benchmarks.feedback_loop import offline
from training.benchmarks.maintainer import Maintainer
from training.benchmarks.memory import MARKS, Reports, curve
from training.example import Example
from worker.model.encoding import Encoder
from worker.model.query import Answer
from worker.model.scorer import Scorer

TAXONOMY = Config().taxonomy
TOPICS = (
    ("the game crashes when I open the menu", "critical", "ui", "always"),
    ("UI reproducibility sometimes low sound audio", "low", "audio", "rare"),
    ("How reliably does it happen network save other", "high", "network", "sometimes"),
)


def reports(count, start=0):
    """Reports of three kinds, told apart by their words."""
    found = []
    for number in range(start, start + count):
        text, *labels = TOPICS[number % 3]
        told = dict(zip(("severity", "component", "reproducibility"), labels, strict=True))
        found.append(
            Example.model_validate(
                {
                    "id": f"r{number}",
                    "repository": "octo/game",
                    "title": f"{text} {number}",
                    "body": f"{text} " * 4,
                    "labels": {
                        d: {"label": label, "provenance": "imported"}
                        for d, label in {"kind": "bug", **told}.items()
                    },
                }
            )
        )
    return found


class Tiny:
    """The small random model of the tests, as triage asks models."""

    def __init__(self):
        encoder = Encoder(byte_level(), 60, context=1024)
        self.scorer = Scorer(
            llama(), encoder, version="tiny", thresholds=Thresholds(default=0.0), batch_tokens=2000
        )

    def answer(self, queries):
        seen = self.scorer.impressions([q.text for q in queries], queries[0].taxonomy)
        return [Answer("tiny", one.scores, self.scorer.thresholds, one.vector) for one in seen]


@pytest.fixture(scope="module")
def played(tmp_path_factory):
    settings = Settings(_env_file=None, data_dir=tmp_path_factory.mktemp("loop"), threshold=0.0)
    tiny = Tiny()

    def play(*memory):
        return offline(
            [(on, None) for on in memory],
            reports(24),
            reports(12, start=300),
            tiny,
            settings,
            {"reviewed": 0.9, "errors": 0.1, "closed": 0.5},
            seed=3,
            marks=(0, 20),
        )

    return play


def test_memory_gains_while_the_model_alone_stays_as_it_is(played):
    found = played(True, False)
    with_memory, alone = found["memory"], found["neither"]
    assert with_memory[0].accuracy == alone[0].accuracy
    assert len({mark.accuracy for mark in alone}) == 1
    assert with_memory[-1].accuracy >= alone[-1].accuracy + 0.2
    # Who is right more often is overridden less, and has fewer corrections to wait for.
    assert with_memory[-1].overridden < alone[-1].overridden
    assert with_memory[-1].corrections < alone[-1].corrections
    assert with_memory[-1].wrong > 0
    assert played(True)["memory"] == with_memory


def test_the_maintainer_looks_and_errs_as_often_as_told():
    maintainer = Maintainer(reviewed=0.3, errors=0.2, seed=1)
    assert sum(maintainer.looks() for _ in range(2000)) == pytest.approx(600, abs=80)
    truth = {"severity": "low", "component": "ui", "reproducibility": "always"}
    for _ in range(1000):
        named = maintainer.corrects({"severity": "high", "component": "ui"}, truth, TAXONOMY)
        assert set(named) == {"severity"}
    assert maintainer.corrections == 1000
    assert maintainer.wrong == pytest.approx(200, abs=50)


def test_gains_are_measured_on_reports_that_taught_nothing():
    """States that tell the truth: the half that measures is learnt from the other half."""
    chance = np.random.default_rng(0)
    truth = {d.name: chance.integers(len(d.names), size=80) for d in TAXONOMY.written}
    vectors = np.hstack([np.eye(len(d.names))[truth[d.name]] for d in TAXONOMY.written])
    vectors = vectors + 0.1 * chance.normal(size=vectors.shape)
    own = {d.name: np.full((80, len(d.names)), 1 / len(d.names)) for d in TAXONOMY.written}
    judged = tuple(d.name for d in TAXONOMY.written)
    told = Reports(vectors, own, truth, TAXONOMY, judged)
    points = curve(told, splits=3, errors=0.0, reviewed=1.0)
    assert [p.corrections for p in points] == list(MARKS[: len(points)])
    assert points[0].gain == 0
    assert points[-1].gain > 0.3
    assert points[-1].low <= points[-1].accuracy <= points[-1].high
    noise = Reports(chance.normal(size=vectors.shape), own, truth, TAXONOMY, judged)
    assert abs(curve(noise, splits=3, errors=0.0, reviewed=1.0)[-1].gain) < 0.2
