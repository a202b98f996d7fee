"""Evidence: the phrase that carries an answer is named, and nothing else is."""

from __future__ import annotations

import pytest

from app.core.decision import Thresholds
from app.core.taxonomy import Taxonomy
from app.core.text import IssueText, visible
from tests.worker.model.conftest import taxonomy_of
from worker.model.evidence import MOST_PIECES, explain, pieces

TAXONOMY = taxonomy_of("alpha", "beta")


class Counting:
    """Sure of alpha by as much as the text says "crash"; counts its passes."""

    version = "counting"
    thresholds = Thresholds()

    def __init__(self) -> None:
        self.passes = 0

    def score(self, texts, taxonomy: Taxonomy):
        self.passes += 1
        found = []
        for text in texts:
            alpha = 0.5 + 0.2 * min(2, f"{text.title} {text.body}".count("crash"))
            found.append({"area": {"alpha": alpha, "beta": 1 - alpha}})
        return found


def test_the_phrases_that_carry_the_answer_are_named_in_one_pass():
    scorer = Counting()
    text = IssueText(
        title="Editor problem",
        body="It is slow. It can crash when saving. Nice colours. Another crash happens later.",
    )

    scores, found = explain(scorer, text, TAXONOMY)

    assert scores == scorer.score([text], TAXONOMY)[0]
    assert scorer.passes == 2  # explain's one pass, and the line above
    assert {e.phrase for e in found["area"]} == {
        "It can crash when saving.",
        "Another crash happens later.",
    }
    assert all(e.drop == pytest.approx(0.2) for e in found["area"])


def test_no_phrase_is_named_where_none_matters():
    _, found = explain(Counting(), IssueText(title="Hello", body="One. Two. Three."), TAXONOMY)

    assert found == {"area": []}


@pytest.mark.parametrize("body", ["", "one line", "word " * 9000, "a. " * 20000, "x\n" * 30000])
def test_pieces_are_few_and_together_are_the_text(body):
    text = IssueText.of("A title", body)

    found = pieces(text)

    assert len(found) <= MOST_PIECES
    assert " ".join(part for part in found if part) == visible(f"A title {text.body}")


def test_a_real_pass_explains_with_phrases_of_the_report(scorer):
    text = IssueText(title="Crash in the menu", body="I open the menu. The game crashes.")

    scores, found = explain(scorer, text, TAXONOMY)

    assert set(scores["area"]) == {"alpha", "beta"}
    assert {e.phrase for e in found["area"]} <= set(pieces(text))
