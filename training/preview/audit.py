"""Looks at a repository's labels themselves: wrong ones, twins, rare ones, and those no text tells.

Everything is cross-validated: an issue is judged by what was learned from the others.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from itertools import combinations
from statistics import median

import numpy as np

from app.core.errors import ConfigProblem
from training import baselines
from training.figures import Figure
from training.metrics import Floats
from training.preview import names
from training.preview.figures import Issue, Legible, Meaning, Overlap, Suspect
from training.preview.learners import FOLDS, NOTHING, Learned
from training.preview.rows import Row

# Labels on fewer issues teach little, and figures about them say little.
FEW = 20
# Of a label on fewer issues nothing is said about whether the text tells it.
LEAST_JUDGED = 10
SHOWN = 15
# How sure a contradiction has to be, and how little is left for the label that stands there.
SURE, DOUBTED = 0.6, 0.15
TOGETHER, CONFUSED = 0.8, 0.3


def suspects(
    dimension: str, learned: Learned, rows: Sequence[Row], issue: Mapping[str, Issue]
) -> tuple[list[Suspect], list[Suspect]]:
    """(labels that look wrong, issues that look as if they lacked one), the surest first.

    A contradiction counts if the other answer is at least as sure as it is on average where people
    gave it (confident learning: Northcutt et al. 2021), and surer than SURE.
    """
    bars = _bars(learned, rows, dimension)
    wrong: list[Suspect] = []
    missing: list[Suspect] = []
    for row, p in zip(rows, learned.crossed, strict=True):
        truth = row.truth.get(dimension, frozenset())
        real = [i for i, a in enumerate(learned.answers) if a != NOTHING]
        best = max(real, key=lambda i: p[i])
        answer = learned.answers[best]
        if answer in truth or dimension in row.disputed or p[best] < max(bars[best], SURE):
            continue
        given = sum(float(p[i]) for i, a in enumerate(learned.answers) if a in truth)
        if truth and given > DOUBTED:
            continue
        found = Suspect(
            issue=issue[row.example.id],
            dimension=dimension,
            labelled=tuple(sorted(truth)),
            p_labelled=given,
            likely=answer,
            p=float(p[best]),
        )
        (wrong if truth else missing).append(found)
    return _surest(wrong), _surest(missing)


def _bars(learned: Learned, rows: Sequence[Row], dimension: str) -> list[float]:
    bars = []
    for i, answer in enumerate(learned.answers):
        own = [
            float(p[i])
            for row, p in zip(rows, learned.crossed, strict=True)
            if answer in row.truth.get(dimension, ())
        ]
        bars.append(sum(own) / len(own) if own else 1.0)
    return bars


def _surest(found: list[Suspect]) -> list[Suspect]:
    return sorted(found, key=lambda s: s.p_labelled - s.p)


def together(rows: Sequence[Row], shown: Mapping[str, str]) -> list[Overlap]:
    """Labels that stand on the same issues. `shown` maps folded names to names as written."""
    carried: dict[str, set[int]] = {}
    for place, row in enumerate(rows):
        for name in row.carries:
            carried.setdefault(name, set()).add(place)
    found = []
    for one, other in combinations(sorted(n for n, at in carried.items() if len(at) >= 5), 2):
        both = len(carried[one] & carried[other])
        rarer = min((one, other), key=lambda n: (len(carried[n]), n))
        common = other if rarer == one else one
        # A label that nearly everything carries stands beside each.
        beside = len(carried[common]) / max(len(rows), 1)
        if both >= TOGETHER * len(carried[rarer]) and beside < TOGETHER / 2:
            found.append(
                Overlap(
                    one=shown.get(rarer, rarer),
                    other=shown.get(common, common),
                    n=both,
                    why=f"{both} of {len(carried[rarer])} issues with the first carry the second",
                )
            )
    return sorted(found, key=lambda o: -o.n)[:SHOWN]


def alike(labels: Sequence[Meaning]) -> list[Overlap]:
    """Labels whose names are the same words."""
    seen: dict[tuple[str, ...], Meaning] = {}
    found = []
    for label in labels:
        words = tuple(sorted(word.removesuffix("s") for word in names.words_of(label.name)))
        if not words:
            continue
        twin = seen.setdefault(words, label)
        if twin is not label:
            n = twin.issues + label.issues
            found.append(Overlap(one=twin.name, other=label.name, n=n, why="the names are alike"))
    return found


def confused(dimension: str, learned: Learned, rows: Sequence[Row]) -> list[Overlap]:
    """Answers that are taken for one another more often than CONFUSED."""
    known = [i for i, a in enumerate(learned.answers) if a != NOTHING]
    counts = np.zeros((len(learned.answers), len(learned.answers)), dtype=int)
    for row, p in zip(rows, learned.crossed, strict=True):
        truth = [i for i in known if learned.answers[i] in row.truth.get(dimension, ())]
        if len(truth) == 1:
            counts[truth[0], max(known, key=lambda i: p[i])] += 1
    found = []
    for one, other in combinations(known, 2):
        n = int(counts[one].sum()), int(counts[other].sum())
        if min(n) < LEAST_JUDGED:
            continue
        shares = counts[one, other] / n[0], counts[other, one] / n[1]
        if min(shares) > 0 and sum(shares) / 2 >= CONFUSED:
            why = (
                f"the text takes {shares[0]:.0%} of {n[0]} for the second and "
                f"{shares[1]:.0%} of {n[1]} for the first"
            )
            pair = (f"{dimension}: {learned.answers[i]}" for i in (one, other))
            found.append(Overlap(one=next(pair), other=next(pair), n=sum(n), why=why))
    return found


def legible(rows: Sequence[Row], labels: Sequence[Meaning], groups: Sequence[int]) -> list[Legible]:
    """How well each label in use can be told from the words of an issue, worst first.

    Words alone: what counts is whether the text says anything at all about the label.
    """
    words = [baselines.parts_of(row.example.text) for row in rows]
    carried = {
        label.name: np.array([label.name.casefold() in row.carries for row in rows])
        for label in labels
    }
    judged = [
        name
        for name, has in carried.items()
        if min(has.sum(), (~has).sum()) >= LEAST_JUDGED and len(rows) >= 4 * LEAST_JUDGED
    ]
    scores = _crossed(words, [carried[name] for name in judged], groups) if judged else None
    found = []
    for label in labels:
        process = label.reason if label.role == "process" else None
        if label.name in judged and scores is not None:
            area = auc(scores[:, judged.index(label.name)], carried[label.name])
        else:
            area = Figure(value=None, low=None, high=None, n=int(carried[label.name].sum()))
        found.append(
            Legible(
                name=label.name,
                issues=label.issues,
                auc=area,
                days=_delay(rows, label.name),
                process=process,
                verdict=_verdict(area),
            )
        )
    return sorted(found, key=lambda f: (f.auc.value is None, f.auc.value or 0.0, f.name))


def _verdict(area: Figure) -> str:
    if area.low is None or area.high is None or area.value is None:
        return "too few issues"
    if area.low <= 0.5:
        return "not from the text"
    return "from the text" if area.value >= 0.75 else "partly"


def _delay(rows: Sequence[Row], name: str) -> float | None:
    folded = name.casefold()
    waits = [
        (x.at - row.filed_at).total_seconds() / 86400
        for row in rows
        for x in row.example.github_labels
        if x.name.casefold() == folded and x.at is not None and x.by_type != "Bot"
    ]
    return max(median(waits), 0.0) if waits else None


def _crossed(
    words: Sequence[tuple[str, str]], carried: Sequence[np.ndarray], groups: Sequence[int]
) -> Floats:
    """Cross-validated scores [rows, labels]: log odds of each label from the words."""
    from sklearn.linear_model import LogisticRegression  # noqa: PLC0415 - slow to import
    from sklearn.model_selection import GroupKFold  # noqa: PLC0415

    if len(set(groups)) < FOLDS:
        raise ConfigProblem("the issues are nearly all the same text")
    found = np.zeros((len(words), len(carried)))
    folds = GroupKFold(FOLDS, shuffle=True, random_state=0)
    for inside, outside in folds.split(words, groups=groups):
        features = baselines.features(min_df=2)
        known = features.fit_transform([words[i] for i in inside])
        new = features.transform([words[i] for i in outside])
        for column, has in enumerate(carried):
            if len(set(has[inside].tolist())) == 2:
                model = LogisticRegression(C=10, class_weight="balanced", max_iter=1000)
                model.fit(known, has[inside])
                found[outside, column] = model.decision_function(new)
    return found


def auc(scores: Floats, has: np.ndarray) -> Figure:
    """Area under the ROC curve with the interval of Hanley and McNeil (1982)."""
    from scipy.stats import rankdata  # noqa: PLC0415 - slow to import

    m, n = int(has.sum()), int((~has).sum())
    area = float((rankdata(scores)[has].sum() - m * (m + 1) / 2) / (m * n))
    q1, q2 = area / (2 - area), 2 * area**2 / (1 + area)
    spread = area * (1 - area) + (m - 1) * (q1 - area**2) + (n - 1) * (q2 - area**2)
    wide = 1.96 * math.sqrt(max(spread, 0.0) / (m * n))
    return Figure(value=area, low=max(area - wide, 0.0), high=min(area + wide, 1.0), n=m)
