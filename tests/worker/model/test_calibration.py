import pytest
import torch

from app.core.manifest import Calibration
from training.metrics import calibration_error
from worker.model.calibration import content_free, fit, probabilities, threshold

LABELS = ("a", "b", "c")


def drawn(count: int, temperature: float, bias: list[float]) -> tuple[torch.Tensor, torch.Tensor]:
    """Scores, and truths drawn from softmax(scores / temperature + bias)."""
    generator = torch.Generator().manual_seed(1)
    scores = torch.randn(count, 3, generator=generator) * 4
    chances = torch.softmax(scores / temperature + torch.tensor(bias), dim=-1)
    return scores, torch.multinomial(chances, 1, generator=generator)[:, 0]


def loss(scores: torch.Tensor, truth: torch.Tensor, calibration: Calibration) -> float:
    chances = probabilities(scores, LABELS, calibration)
    return float(-chances[torch.arange(len(truth)), truth].log().mean())


def gap(chances: torch.Tensor, truth: torch.Tensor) -> float:
    """Expected calibration error of the answers."""
    confidence, answer = chances.max(dim=-1)
    (error,) = calibration_error(confidence.double().numpy(), (answer == truth).numpy())
    return float(error)


def test_the_fit_finds_the_temperature_and_bias_that_made_the_data() -> None:
    scores, truth = drawn(20_000, 2.5, [1.0, 0.0, -1.0])
    found = fit(scores, truth, LABELS)
    assert found.temperature == pytest.approx(2.5, rel=0.1)
    assert [found.bias[label] for label in LABELS] == pytest.approx([1.0, 0.0, -1.0], abs=0.15)


def test_the_fit_makes_overconfident_scores_honest() -> None:
    scores, truth = drawn(2000, 4.0, [0.0, 0.0, 0.0])
    plain = Calibration(bias=dict.fromkeys(LABELS, 0.0))
    fitted = fit(scores[:1000], truth[:1000], LABELS)
    held = slice(1000, None)
    before = gap(probabilities(scores[held], LABELS, plain), truth[held])
    after = gap(probabilities(scores[held], LABELS, fitted), truth[held])
    assert after < 0.05 < before
    assert loss(scores[held], truth[held], fitted) < loss(scores[held], truth[held], plain)


def test_a_label_that_never_occurs_keeps_a_finite_bias() -> None:
    scores, _ = drawn(50, 1.0, [0.0, 0.0, 0.0])
    found = fit(scores, torch.zeros(50, dtype=torch.long), LABELS)
    assert all(abs(value) < 20 for value in found.bias.values())
    assert 0.05 < found.temperature < 20


def test_one_row_hardly_moves_anything() -> None:
    found = fit(torch.zeros(1, 3), torch.tensor([0]), LABELS)
    assert abs(found.bias["a"]) < 1


def test_the_order_of_labels_does_not_matter_to_probabilities() -> None:
    calibration = Calibration(temperature=2, bias={"c": 3.0, "a": 1.0, "b": 2.0})
    straight = probabilities(torch.tensor([[1.0, 2.0, 3.0]]), LABELS, calibration)
    turned = probabilities(torch.tensor([[3.0, 2.0, 1.0]]), ("c", "b", "a"), calibration)
    assert torch.allclose(straight, turned.flip(-1))


def test_what_an_empty_report_gets_is_taken_away() -> None:
    empty = torch.tensor([3.0, 1.0, -2.0])
    chances = probabilities(empty.unsqueeze(0), LABELS, content_free(empty, LABELS))
    assert torch.allclose(chances, torch.full((1, 3), 1 / 3, dtype=torch.float64))


def test_a_threshold_is_the_lowest_that_keeps_the_precision() -> None:
    chances = torch.tensor([0.9, 0.8, 0.7, 0.6, 0.5])
    right = torch.tensor([True, True, True, False, False])
    assert threshold(chances, right, 0.75) == pytest.approx(0.6)
    assert threshold(chances, right, 0.95) == pytest.approx(0.7)
    assert threshold(chances, right, 0.5) == pytest.approx(0.5)


def test_answers_of_one_probability_are_not_torn_apart() -> None:
    chances = torch.tensor([0.9, 0.8, 0.8, 0.8])
    right = torch.tensor([True, True, False, False])
    assert threshold(chances, right, 0.6) == pytest.approx(0.9)


@pytest.mark.parametrize("right", [[], [False, False]])
def test_without_any_precise_answer_the_label_is_never_written(right: list[bool]) -> None:
    assert threshold(torch.linspace(0.5, 0.9, len(right)), torch.tensor(right), 0.9) == 1.0
