"""The vector of a text is its own: the questions after it and its neighbours leave it alone."""

import numpy as np
import torch

from app.core.taxonomy import DEFAULT_TAXONOMY
from app.core.text import IssueText
from tests.worker.model.conftest import issues, taxonomy_of
from worker.model.encoding import Encoder
from worker.model.scorer import NOTHING, Scorer


def vectors(scorer: Scorer, texts: list[IssueText], taxonomy=DEFAULT_TAXONOMY):
    return np.stack([one.vector for one in scorer.impressions(texts, taxonomy)])


def test_a_vector_is_the_mean_state_of_the_text_alone(scorer: Scorer, encoder: Encoder) -> None:
    texts = issues(6)
    form = encoder.form(DEFAULT_TAXONOMY)
    for text, found in zip(texts, vectors(scorer, texts), strict=True):
        (prompt,) = encoder.encode([text], DEFAULT_TAXONOMY)
        alone = torch.tensor([prompt.ids[: len(prompt) - len(form.ids)]])
        with torch.inference_mode():
            states = scorer.model.get_decoder()(alone).last_hidden_state[0]
        np.testing.assert_allclose(found, states.mean(dim=0).numpy(), atol=5e-3)


def test_the_taxonomy_does_not_change_a_vector(scorer: Scorer) -> None:
    texts = issues(4)
    other = vectors(scorer, texts, taxonomy_of("A", "B"))
    np.testing.assert_allclose(vectors(scorer, texts), other, atol=5e-3)


def test_texts_that_differ_have_vectors_that_differ(scorer: Scorer) -> None:
    one, other = vectors(scorer, issues(2)).astype(np.float64)
    assert np.abs(one - other).max() > 0.05


def test_a_report_without_text_has_a_vector_too(scorer: Scorer) -> None:
    assert np.isfinite(vectors(scorer, [NOTHING])).all()
