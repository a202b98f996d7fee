"""What any model has to beat: the majority class, keyword rules, TF-IDF with logistic regression.

Each baseline is fitted on training rows alone and gives the same Scores as a model does.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Protocol

from app.core.taxonomy import Taxonomy
from app.core.text import IssueText, visible
from training import keywords
from training.example import Example

if TYPE_CHECKING:
    from sklearn.pipeline import Pipeline

Said = dict[str, dict[str, float]]

# Rows of a fold are near-duplicate-free of the other folds: see `training.split.folds`.
FOLDS = 5
STRENGTHS = (1.0, 3.0, 10.0, 30.0, 100.0)


class Baseline(Protocol):
    """Scores texts; `settings` are what a table may want to show."""

    name: str
    settings: Mapping[str, str | int | float | bool | None]

    def score(self, texts: Sequence[IssueText], taxonomy: Taxonomy) -> list[Said]:
        """One dict dimension -> label -> probability a text, in order."""
        ...


class Majority:
    """Says the training rows' label shares to everything, so its answer is the commonest one."""

    name = "majority class"
    settings: Mapping[str, str | int | float | bool | None] = {}

    def __init__(self, train: Sequence[Example], taxonomy: Taxonomy) -> None:
        self._shares = {
            name: _shares(Counter(e.label(name) for e in train), labels)
            for name, labels in taxonomy.vocabulary.items()
        }

    def score(self, texts: Sequence[IssueText], taxonomy: Taxonomy) -> list[Said]:
        """The same shares for every text."""
        return [{name: dict(said) for name, said in self._shares.items()} for _ in texts]


class Keywords:
    """The label functions of `training.keywords`; learns nothing."""

    name = "keyword rules"
    settings: Mapping[str, str | int | float | bool | None] = {}

    def score(self, texts: Sequence[IssueText], taxonomy: Taxonomy) -> list[Said]:
        """The rules' votes as shares."""
        return [keywords.scores(text, taxonomy) for text in texts]


class TfIdf:
    """TF-IDF of words and word pairs with one logistic regression a dimension.

    The regularisation is chosen by cross-validated accuracy on the training rows, a dimension at
    a time, with near-duplicates in one fold.
    """

    name = "TF-IDF + logistic regression"

    def __init__(self, train: Sequence[Example], taxonomy: Taxonomy, *, seed: int = 0) -> None:
        from training.duplicates import clusters  # noqa: PLC0415 - slow to import

        self._models: dict[str, Pipeline | None] = {}
        self._fallback = Majority(train, taxonomy)
        self.settings: dict[str, str | int | float | bool | None] = {}
        groups = clusters(train)
        for name in taxonomy.vocabulary:
            known = [i for i, e in enumerate(train) if name in e.labels]
            labels = [train[i].labels[name].label for i in known]
            texts = [_words(train[i].text) for i in known]
            if len(set(labels)) < 2:
                self._models[name] = None
                continue
            model, strength = _fitted(texts, labels, [groups[i] for i in known], seed)
            self._models[name] = model
            self.settings[f"C {name}"] = strength

    def score(self, texts: Sequence[IssueText], taxonomy: Taxonomy) -> list[Said]:
        """Probabilities; a label training never saw has 0."""
        said = self._fallback.score(texts, taxonomy)
        words = [_words(text) for text in texts]
        for name, labels in taxonomy.vocabulary.items():
            model = self._models.get(name)
            if model is None or not words:
                continue
            for row, probabilities in zip(said, model.predict_proba(words), strict=True):
                known = dict(zip(model.classes_, map(float, probabilities), strict=True))
                row[name] = {label: known.get(label, 0.0) for label in labels}
        return said


def _words(text: IssueText) -> str:
    return f"{visible(text.title)}\n{visible(text.body)}"


def _shares(counts: Counter[str | None], labels: Sequence[str]) -> dict[str, float]:
    total = sum(counts[label] for label in labels)
    return {label: counts[label] / total if total else 1 / len(labels) for label in labels}


def _fitted(
    texts: Sequence[str], labels: Sequence[str], groups: Sequence[int], seed: int
) -> tuple[Pipeline, float]:
    import numpy as np  # noqa: PLC0415 - heavy imports wait until a baseline is fitted
    from sklearn.feature_extraction.text import TfidfVectorizer  # noqa: PLC0415
    from sklearn.linear_model import LogisticRegression  # noqa: PLC0415
    from sklearn.model_selection import GroupKFold, cross_val_predict  # noqa: PLC0415
    from sklearn.pipeline import make_pipeline  # noqa: PLC0415

    def pipeline(strength: float) -> Pipeline:
        return make_pipeline(
            TfidfVectorizer(ngram_range=(1, 2), min_df=2, sublinear_tf=True),
            LogisticRegression(C=strength, max_iter=2000),
        )

    best = 3.0
    if len(set(groups)) >= FOLDS:
        truth = np.array(labels)
        scores = {}
        for strength in STRENGTHS:
            predicted = cross_val_predict(
                pipeline(strength),
                texts,
                truth,
                groups=groups,
                cv=GroupKFold(FOLDS, shuffle=True, random_state=seed),
            )
            scores[strength] = float((predicted == truth).mean())
        best = max(STRENGTHS, key=lambda strength: scores[strength])
    try:
        return pipeline(best).fit(texts, labels), best
    except ValueError:
        # No word stands in two reports: too few rows for min_df.
        model = pipeline(best)
        model[0].set_params(min_df=1)
        return model.fit(texts, labels), best
