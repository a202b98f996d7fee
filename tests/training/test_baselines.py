from __future__ import annotations

import pytest

from app.core.taxonomy import DEFAULT_TAXONOMY
from app.core.text import IssueText
from tests.training.rows import distinct, example
from training.baselines import Baseline, Keywords, Majority, TfIdf
from training.example import Example


def corpus() -> list[Example]:
    rows = []
    for i, row in enumerate(distinct(60)):
        loud = i % 3 == 0
        topic = "sound speaker volume" if loud else "button panel window"
        labels = {"component": "audio" if loud else "ui", "severity": "low"}
        update = {"title": f"{topic} {row.title}", "labels": example(labels=labels).labels}
        rows.append(row.model_copy(update=update))
    return rows


def test_the_majority_class_says_the_training_shares_to_everything() -> None:
    said = Majority(corpus(), DEFAULT_TAXONOMY).score(
        [IssueText(title="any"), IssueText(title="other")], DEFAULT_TAXONOMY
    )
    assert said[0] == said[1]
    assert said[0]["component"]["ui"] == pytest.approx(2 / 3)
    assert said[0]["severity"]["low"] == 1
    # No row says anything about it: nobody knows better than chance.
    assert said[0]["kind"] == {"bug": 1 / 3, "feature": 1 / 3, "question": 1 / 3}


def test_tf_idf_learns_what_words_tell() -> None:
    baseline = TfIdf(corpus(), DEFAULT_TAXONOMY)
    said = baseline.score(
        [IssueText(title="volume of the speaker"), IssueText(title="panel and button")],
        DEFAULT_TAXONOMY,
    )
    assert [max(s["component"], key=lambda label: s["component"][label]) for s in said] == [
        "audio",
        "ui",
    ]
    # Labels training never saw, and dimensions with one label or none, are the majority's.
    assert said[0]["component"]["network"] == 0
    assert said[0]["severity"]["low"] == 1
    assert "C component" in baseline.settings
    assert baseline.score([], DEFAULT_TAXONOMY) == []


def test_tf_idf_learns_from_a_handful_of_rows_too() -> None:
    rows = [
        example(str(i), title=word, labels={"severity": "low" if i % 2 else "high"})
        for i, word in enumerate(["crash", "typo", "hang", "colour"])
    ]
    said = TfIdf(rows, DEFAULT_TAXONOMY).score([IssueText(title="crash")], DEFAULT_TAXONOMY)
    assert said[0]["severity"]["high"] > said[0]["severity"]["low"]


def test_every_baseline_gives_probabilities_for_every_label() -> None:
    train = corpus()
    baselines: list[Baseline] = [
        Majority(train, DEFAULT_TAXONOMY),
        Keywords(),
        TfIdf(train, DEFAULT_TAXONOMY),
    ]
    for baseline in baselines:
        (said,) = baseline.score([IssueText(title="x", body="crash")], DEFAULT_TAXONOMY)
        assert {name: tuple(labels) for name, labels in said.items()} == DEFAULT_TAXONOMY.vocabulary
        for labels in said.values():
            assert sum(labels.values()) == pytest.approx(1)
