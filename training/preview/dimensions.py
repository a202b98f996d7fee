"""Learns one dimension from the older issues and measures it on the newest."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from training.preview import learners, points
from training.preview.figures import Answer, DimensionFigures, Entrant, LabelFigures
from training.preview.learners import NOTHING, Learned, Matter
from training.preview.points import Said
from training.preview.rows import History, Row, counts

# Below these nothing honest can be said of a dimension.
LEAST_OLDER, LEAST_NEWEST = 30, 10


def lacks(base: DimensionFigures, history: History) -> str | None:
    """What is missing to say anything of a dimension, in words; None if nothing is."""
    older = undisputed(history.older, base.name)
    answers = learners.answers_of([row.truth[base.name] for row in older])
    if len(answers) < 2:
        counted = counts(older, base.name)
        there = ", ".join(f"{n} {answer}" for answer, n in counted.most_common()) or "none"
        return f"two answers with {learners.ENOUGH} older issues each are needed; there: {there}"
    if base.older < LEAST_OLDER:
        return f"{base.older} older issues carry an answer; {LEAST_OLDER} are needed"
    if base.newest < LEAST_NEWEST:
        return f"{base.newest} of the newest issues carry an answer; {LEAST_NEWEST} are needed"
    return None


def learn(name: str, history: History, matter: Matter, groups: Sequence[int]) -> Learned:
    """What the older issues teach; `matter` and `groups` are theirs."""
    kept = [i for i, row in enumerate(history.older) if name not in row.disputed]
    return learners.learn(
        name,
        matter.take(kept),
        [history.older[i].truth[name] for i in kept],
        [groups[i] for i in kept],
    )


def truths(rows: Sequence[Row], name: str) -> list[frozenset[str] | None]:
    """What people say of each row; None where nobody knows."""
    return [
        None if name in row.disputed or not row.triaged else row.truth.get(name, frozenset())
        for row in rows
    ]


def undisputed(rows: Sequence[Row], name: str) -> list[Row]:
    """The rows whose answer is known."""
    return [row for row in rows if name not in row.disputed]


def figures(
    base: DimensionFigures,
    learned: Learned,
    history: History,
    matter: Matter,
    github: Mapping[str, Sequence[str]],
    target: float,
) -> DimensionFigures:
    """`base` with every figure. `matter` is of the newest issues; `github`: answer -> labels."""
    name = base.name
    kept = [i for i, row in enumerate(history.newest) if name not in row.disputed]
    newest, older = [history.newest[i] for i in kept], undisputed(history.older, name)
    matter, known = matter.take(kept), truths(newest, name)
    said = points.say(learned.predict(matter), learned.answers, known)
    before = points.say(learned.crossed, learned.answers, truths(older, name))
    labels = [
        _label(i, answer, (before, said), (older, newest), name, github, target)
        for i, answer in enumerate(a for a in learned.answers if a != NOTHING)
    ]
    written = [s for s in said if (bar := labels[s.label].threshold) is not None and s.p >= bar]
    answered = [truth for truth in known if truth]
    commonest = learners.majority([row.truth[name] for row in older])
    return base.model_copy(
        update={
            "learner": learned.chosen,
            "labelled": points.share(len(answered), len(newest)),
            "majority": commonest,
            "majority_accuracy": points.share(sum(commonest in t for t in answered), len(answered)),
            "entrants": _entrants(learned, matter, known),
            "proposed": points.tally(written, 0.0, len(newest)),
            "points": tuple(points.point(said, t, len(newest)) for t in points.GRID),
            "labels": tuple(labels),
            "answers": tuple(
                Answer(label=s.label, p=round(s.p, 4), verdict=s.verdict) for s in said
            ),
        }
    )


def _entrants(
    learned: Learned, matter: Matter, known: Sequence[frozenset[str] | None]
) -> tuple[Entrant, ...]:
    found = []
    for name, predict in learned.others.items():
        said = points.say(predict(matter), learned.answers, known)
        judged = [s for s in said if s.verdict in ("right", "wrong")]
        right = sum(s.verdict == "right" for s in judged)
        found.append(
            Entrant(
                name=name,
                chosen=name == learned.chosen,
                loss=learned.losses[name],
                accuracy=points.share(right, len(judged)),
            )
        )
    return tuple(found)


def _label(
    index: int,
    answer: str,
    said: tuple[Sequence[Said], Sequence[Said]],
    rows: tuple[Sequence[Row], Sequence[Row]],
    dimension: str,
    github: Mapping[str, Sequence[str]],
    target: float,
) -> LabelFigures:
    before, now = ([s for s in part if s.label == index] for part in said)
    threshold = points.threshold(before, target)
    older, newest = (sum(answer in row.truth[dimension] for row in part) for part in rows)
    total = len(rows[1])
    proposed = None if threshold is None else points.point(now, threshold, total)
    return LabelFigures(
        name=answer,
        github=tuple(github.get(answer, ())),
        older=older,
        newest=newest,
        share=points.share(newest, total),
        threshold=threshold,
        proposed=proposed,
        found=None if proposed is None else points.share(proposed.right, newest),
        points=tuple(points.point(now, t, total) for t in points.GRID),
    )
