"""What any model has to beat: the majority class, keyword rules, TF-IDF with logistic regression.

Each baseline is fitted on training rows alone and gives the same Scores as a model does.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Protocol

from app.core.taxonomy import Taxonomy
from app.core.text import IssueText, visible
from training import keywords
from training.duplicates import clusters
from training.example import Example

if TYPE_CHECKING:
    from sklearn.pipeline import Pipeline

Said = dict[str, dict[str, float]]

# Rows of a fold are near-duplicate-free of the other folds: see `training.split.folds`.
FOLDS = 5
STRENGTHS = (1.0, 3.0, 10.0, 30.0)
# Below so many rows every word counts, above only those of two reports.
SMALL = 50


class Baseline(Protocol):
    """Scores texts; `settings` are what a table may want to show."""

    @property
    def name(self) -> str:
        """How tables call it."""

    @property
    def settings(self) -> Mapping[str, str | int | float | bool | None]:
        """What was chosen or set."""

    def score(self, texts: Sequence[IssueText], taxonomy: Taxonomy) -> list[Said]:
        """One dict dimension -> label -> probability a text, in order."""


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
    """TF-IDF of words and word pairs with one balanced logistic regression a dimension.

    The title counts twice: alone, and with the body. That shape and the balancing were chosen by
    cross-validation on triage_train; the regularisation is chosen anew on the training rows, a
    dimension at a time, by 5-fold accuracy with near-duplicates in one fold.
    """

    name = "TF-IDF + logistic regression"

    def __init__(self, train: Sequence[Example], taxonomy: Taxonomy, *, seed: int = 0) -> None:
        from sklearn.pipeline import make_pipeline  # noqa: PLC0415 - slow to import

        self._models: dict[str, Pipeline | None] = {}
        self._fallback = Majority(train, taxonomy)
        self.settings: dict[str, str | int | float | bool | None] = {}
        groups = clusters(train)
        for name in taxonomy.vocabulary:
            known = [i for i, e in enumerate(train) if name in e.labels]
            labels = [train[i].labels[name].label for i in known]
            parts = [parts_of(train[i].text) for i in known]
            if len(set(labels)) < 2:
                self._models[name] = None
                continue
            strength = _best_strength(parts, labels, [groups[i] for i in known], seed)
            model = make_pipeline(
                features(min_df=1 if len(parts) < SMALL else 2), _classifier(strength)
            )
            self._models[name] = model.fit(parts, labels)
            self.settings[f"C {name}"] = strength

    def score(self, texts: Sequence[IssueText], taxonomy: Taxonomy) -> list[Said]:
        """Probabilities; a label training never saw has 0."""
        said = self._fallback.score(texts, taxonomy)
        parts = [parts_of(text) for text in texts]
        for name, labels in taxonomy.vocabulary.items():
            model = self._models.get(name)
            if model is None or not parts:
                continue
            for row, probabilities in zip(said, model.predict_proba(parts), strict=True):
                known = dict(zip(model.classes_, map(float, probabilities), strict=True))
                row[name] = {label: known.get(label, 0.0) for label in labels}
        return said


def parts_of(text: IssueText) -> tuple[str, str]:
    """(title, title and body), as a reader sees them."""
    title = visible(text.title)
    return title, f"{title}\n{visible(text.body)}"


def _shares(counts: Counter[str | None], labels: Sequence[str]) -> dict[str, float]:
    total = sum(counts[label] for label in labels)
    return {label: counts[label] / total if total else 1 / len(labels) for label in labels}


def _titles(parts: Sequence[tuple[str, str]]) -> list[str]:
    return [title for title, _ in parts]


def _wholes(parts: Sequence[tuple[str, str]]) -> list[str]:
    return [whole for _, whole in parts]


def features(min_df: int) -> Any:
    """TF-IDF of titles beside that of whole texts; takes what `parts_of` gives."""
    from sklearn.feature_extraction.text import TfidfVectorizer  # noqa: PLC0415
    from sklearn.pipeline import make_pipeline, make_union  # noqa: PLC0415
    from sklearn.preprocessing import FunctionTransformer  # noqa: PLC0415

    return make_union(
        *(
            make_pipeline(
                FunctionTransformer(part),
                TfidfVectorizer(ngram_range=(1, 2), min_df=min_df, sublinear_tf=True),
            )
            for part in (_titles, _wholes)
        )
    )


def _classifier(strength: float) -> Any:
    from sklearn.linear_model import LogisticRegression  # noqa: PLC0415

    return LogisticRegression(C=strength, class_weight="balanced", max_iter=2000)


def _best_strength(
    parts: Sequence[tuple[str, str]], labels: Sequence[str], groups: Sequence[int], seed: int
) -> float:
    import numpy as np  # noqa: PLC0415
    from sklearn.model_selection import GroupKFold  # noqa: PLC0415

    if len(set(groups)) < FOLDS:
        return STRENGTHS[1]
    truth = np.array(labels)
    right = dict.fromkeys(STRENGTHS, 0)
    for inside, outside in GroupKFold(FOLDS, shuffle=True, random_state=seed).split(
        parts, groups=groups
    ):
        if len(set(truth[inside])) < 2:
            continue
        words = features(min_df=1 if len(inside) < SMALL else 2)
        rows = words.fit_transform([parts[i] for i in inside])
        others = words.transform([parts[i] for i in outside])
        for strength in STRENGTHS:
            said = _classifier(strength).fit(rows, truth[inside]).predict(others)
            right[strength] += int((said == truth[outside]).sum())
    return max(STRENGTHS, key=lambda strength: right[strength])
