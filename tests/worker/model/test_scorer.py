import math
import random

import pytest
import torch
from transformers import PreTrainedModel

from app.core.decision import Thresholds
from app.core.manifest import Calibration
from app.core.taxonomy import DEFAULT_TAXONOMY
from app.core.text import IssueText
from tests.worker.model.conftest import byte_level, issues, llama, metaspace, mistral, taxonomy_of
from worker.model.encoding import Encoder, batches
from worker.model.scorer import Scorer
from worker.model.slots import read_slots, slot_logits

TOLERANCE = 1e-4


def flat(found: list[dict[str, dict[str, float]]]) -> torch.Tensor:
    return torch.tensor([[p for d in row.values() for p in d.values()] for row in found])


def test_each_dimension_sums_to_one_in_the_taxonomys_order(scorer: Scorer) -> None:
    for row in scorer.score(issues(3), DEFAULT_TAXONOMY):
        assert list(row) == [d.name for d in DEFAULT_TAXONOMY.dimensions]
        for dimension in DEFAULT_TAXONOMY.dimensions:
            assert tuple(row[dimension.name]) == dimension.names
            assert math.isclose(sum(row[dimension.name].values()), 1, abs_tol=1e-9)


def test_no_texts_give_no_scores(scorer: Scorer) -> None:
    assert scorer.score([], DEFAULT_TAXONOMY) == []


def test_a_batch_scores_as_each_text_alone(scorer: Scorer) -> None:
    texts = issues(12)
    together = scorer.logits(texts, DEFAULT_TAXONOMY)
    for row, text in enumerate(texts):
        for name, alone in scorer.logits([text], DEFAULT_TAXONOMY).items():
            assert torch.allclose(together[name][row], alone[0], atol=TOLERANCE)


def test_a_result_depends_on_neither_neighbours_nor_order(scorer: Scorer) -> None:
    texts = issues(12)
    shuffled = list(range(12))
    random.Random(7).shuffle(shuffled)
    straight = flat(scorer.score(texts, DEFAULT_TAXONOMY))
    mixed = flat(scorer.score([texts[at] for at in shuffled], DEFAULT_TAXONOMY))
    other = flat(scorer.score([*texts[:6], *issues(30)[20:]], DEFAULT_TAXONOMY))
    assert torch.allclose(straight[shuffled], mixed, atol=TOLERANCE)
    assert torch.allclose(straight[:6], other[:6], atol=TOLERANCE)


def test_texts_that_differ_score_differently(scorer: Scorer) -> None:
    # Without it the tests above would hold for a model that reads nothing.
    found = flat(scorer.score(issues(2), DEFAULT_TAXONOMY))
    assert (found[0] - found[1]).abs().max() > 100 * TOLERANCE


@pytest.mark.parametrize(
    ("model", "tokenizer"), [(llama(), byte_level()), (mistral(), metaspace())]
)
def test_scores_are_the_full_models_logits_at_the_slots(
    model: PreTrainedModel, tokenizer: object
) -> None:
    encoder = Encoder(tokenizer, 60)  # type: ignore[arg-type]
    form = encoder.form(DEFAULT_TAXONOMY)
    (prompt,) = encoder.encode([IssueText(title="It crashes")], DEFAULT_TAXONOMY)
    (batch,) = batches([prompt], 10_000)
    with torch.inference_mode():
        full = model(torch.tensor([prompt.ids])).logits[0]
        ours = slot_logits(model, batch, form)
    for question, at in zip(form.questions, prompt.slots, strict=True):
        expected = full[at, list(question.answers)]
        assert torch.allclose(ours[question.dimension][0], expected, atol=TOLERANCE)


def test_gradients_reach_the_model_through_the_slots(encoder: Encoder) -> None:
    model = llama()
    (batch,) = batches(encoder.encode(issues(2), DEFAULT_TAXONOMY), 10_000)
    scores = slot_logits(model, batch, encoder.form(DEFAULT_TAXONOMY))
    torch.nn.functional.cross_entropy(scores["kind"], torch.tensor([0, 1])).backward()
    assert model.model.layers[0].self_attn.q_proj.weight.grad.abs().sum() > 0


def test_autocast_of_a_trainer_does_not_round_the_scores(encoder: Encoder) -> None:
    model, form = llama(), encoder.form(DEFAULT_TAXONOMY)
    (batch,) = batches(encoder.encode(issues(2), DEFAULT_TAXONOMY), 10_000)
    hidden = model.get_decoder()(input_ids=batch.input_ids).last_hidden_state
    plain = read_slots(hidden, batch.slots, model.lm_head, form)
    with torch.autocast("cpu", torch.bfloat16):
        cast = read_slots(hidden, batch.slots, model.lm_head, form)
    for name, scores in plain.items():
        assert cast[name].dtype is torch.float32
        assert torch.equal(scores, cast[name])


@pytest.mark.parametrize(
    "text",
    [
        IssueText(title=""),
        IssueText(title="", body=" \n\t "),
        IssueText(title="🐛" * 1024, body="🔥" * 65536),
        IssueText(title="قفل", body="تعطل التطبيق ‮" * 4000),
        IssueText.of("\ud800", "\ud800 half a pair \udfff"),
    ],
)
def test_any_text_gets_finite_scores(scorer: Scorer, text: IssueText) -> None:
    assert torch.isfinite(flat(scorer.score([text], DEFAULT_TAXONOMY))).all()


@pytest.mark.parametrize("labels", [("yes", "no"), ("документация", "сеть"), ("P0", "P1", "P2")])
def test_any_taxonomy_can_be_asked(scorer: Scorer, labels: tuple[str, ...]) -> None:
    (found,) = scorer.score(issues(1), taxonomy_of(*labels))
    assert tuple(found["area"]) == labels


def test_without_calibration_an_empty_report_leans_nowhere(scorer: Scorer) -> None:
    (found,) = scorer.score([IssueText(title="")], DEFAULT_TAXONOMY)
    for chances in found.values():
        assert all(math.isclose(p, 1 / len(chances), abs_tol=1e-4) for p in chances.values())


def test_a_calibration_is_used_where_its_labels_are_the_taxonomys(encoder: Encoder) -> None:
    sure = Calibration(bias={"bug": 50.0, "feature": 0.0, "question": 0.0})
    other = Calibration(bias={"critical": 50.0, "minor": 0.0})
    tuned = Scorer(
        llama(),
        encoder,
        version="tiny/tuned",
        thresholds=Thresholds(),
        calibration={"kind": sure, "severity": other},
    )
    (found,) = tuned.score(issues(1), DEFAULT_TAXONOMY)
    assert found["kind"]["bug"] > 0.99
    assert found["severity"]["critical"] < 0.99
