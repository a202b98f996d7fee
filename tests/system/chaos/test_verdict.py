"""The count finds each kind of failure, in books made up for it, and nothing where nothing is."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.system.chaos import cheap
from tests.system.chaos.verdict import (
    EVENTS,
    LABELS,
    Books,
    Count,
    Entry,
    Request,
    Touch,
    count,
    read_books,
)

TITLE = "The lantern goes out"
RIGHT = cheap.labels(TITLE)
KEY = ("amber", 1)
LOW, HIGH = "severity: low", "severity: high"


def _touches(*acts: tuple[str, str], first: int = 100) -> tuple[Touch, ...]:
    """Touches in order, from pairs like ("bot +", label) and ("mara -", label)."""
    return tuple(
        Touch(first + 10 * at, label, who.endswith("+"), who.startswith("bot"))
        for at, (who, label) in enumerate(acts)
    )


def _standing(touches: tuple[Touch, ...]) -> frozenset[str]:
    labels: set[str] = set()
    for touch in touches:
        (labels.add if touch.added else labels.discard)(touch.label)
    return frozenset(labels)


def _entry(*acts: tuple[str, str], answers: tuple[int, ...] = (202,)) -> Entry:
    touches = _touches(*acts)
    return Entry(KEY, TITLE, False, _standing(touches), answers, touches)


LABELLED = _entry(*(("bot +", name) for name in RIGHT.values()))


def _judge(entry: Entry, *posts: Request, dead: tuple[tuple[str, int], ...] = ()) -> Count:
    return count(Books([entry], posts, []), cheap.labels, dead)


def test_an_issue_with_all_its_labels_counts_as_nothing_but_accepted() -> None:
    post = Request(150, KEY, tuple(RIGHT.values()))
    assert _judge(LABELLED, post) == Count(issues=1, accepted=1, posts=1)


def test_an_accepted_issue_without_labels_is_lost() -> None:
    found = _judge(_entry())
    assert found.lost == (KEY,)
    assert not found.settled


def test_one_missing_dimension_is_enough_to_be_lost() -> None:
    some = [name for dimension, name in RIGHT.items() if dimension != "component"]
    assert _judge(_entry(*(("bot +", name) for name in some))).lost == (KEY,)


def test_what_is_visibly_dead_or_closed_is_not_lost() -> None:
    assert _judge(_entry(), dead=(KEY,)) == Count(issues=1, accepted=1, posts=0, dead=(KEY,))
    assert _judge(replace(_entry(), closed=True)).lost == ()


def test_a_person_who_took_the_label_off_explains_its_absence() -> None:
    severity = RIGHT["severity"]
    acts = [("bot +", name) for name in RIGHT.values()]
    found = _judge(_entry(*acts, ("mara -", severity)))
    assert (found.lost, found.overridden) == ((), ())


@pytest.mark.parametrize("answers", [(), (502,), (504, 503)])
def test_an_issue_nobody_answered_for_with_a_2xx_was_never_accepted(answers) -> None:
    found = _judge(_entry(answers=answers))
    assert (found.accepted, found.refused, found.lost) == (0, (KEY,), ())
    assert not found.settled


def test_a_label_shows_that_an_issue_arrived_whose_answer_got_lost() -> None:
    found = _judge(replace(LABELLED, answers=(502,)))
    assert (found.accepted, found.refused) == (0, ())


def test_a_label_of_another_text_is_outdated() -> None:
    other = replace(LABELLED, title="Something else entirely")
    assert cheap.labels(other.title) != RIGHT
    assert _judge(other).outdated == (KEY,)


def test_two_labels_where_there_can_be_one_are_outdated() -> None:
    other = LOW if RIGHT["severity"] != LOW else HIGH
    acts = [("bot +", name) for name in (*RIGHT.values(), other)]
    assert _judge(_entry(*acts)).outdated == (KEY,)


def test_a_post_of_what_an_earlier_post_put_there_is_repeated() -> None:
    first, second = Request(150, KEY, (LOW,)), Request(160, KEY, (LOW, "component: ui"))
    assert _judge(LABELLED, second, first).repeated == (KEY,)
    third = Request(170, KEY, ("component: ui",))
    assert _judge(LABELLED, first, second, third).repeated == (KEY, KEY)


def test_a_post_after_the_label_was_taken_off_is_no_repetition() -> None:
    entry = _entry(("bot +", LOW), ("bot -", LOW), ("bot +", LOW))
    assert _judge(entry, Request(105, KEY, (LOW,)), Request(125, KEY, (LOW,))).repeated == ()


@pytest.mark.parametrize(
    "acts",
    [
        (("mara +", LOW), ("bot +", HIGH)),
        (("bot +", LOW), ("mara -", LOW), ("bot +", LOW)),
        (("bot +", LOW), ("mara -", LOW), ("bot +", HIGH)),
        (("mara +", LOW), ("bot -", LOW)),
        (("bot +", HIGH), ("mara +", LOW), ("bot -", HIGH)),
    ],
)
def test_what_the_bot_does_where_a_person_has_decided_overrides_them(acts) -> None:
    assert _judge(_entry(*acts)).overridden == (KEY,)


def test_a_write_that_crossed_a_persons_and_was_taken_back_overrides_nobody() -> None:
    found = _judge(_entry(("mara +", LOW), ("bot +", HIGH), ("bot -", HIGH)))
    assert (found.overridden, found.crossed) == ((), (KEY,))


def test_people_overrule_the_bot_and_each_other() -> None:
    acts = (("bot +", LOW), ("mara -", LOW), ("mara +", HIGH), ("noor -", HIGH))
    found = _judge(_entry(*acts))
    assert (found.overridden, found.crossed) == ((), ())


def test_other_dimensions_are_not_what_a_person_decided() -> None:
    acts = (("mara +", LOW), ("bot +", RIGHT["component"]), ("bot +", RIGHT["reproducibility"]))
    found = _judge(_entry(*acts))
    assert (found.lost, found.overridden, found.crossed) == ((), (), ())


def _line(method: str, route: str, mark: int, **more: object) -> dict[str, object]:
    path = "/repos/amber/game/issues/1/" + route.rpartition("/")[2]
    line = {"method": method, "route": route, "mark": mark, "path": path, "status": 200}
    return {**line, "actor": "installation 5", "applied": True, "body": None, **more}


def test_books_are_read_as_the_stand_in_writes_them() -> None:
    event = {"id": 9, "event": "labeled", "label": LOW, "actor": "triora[bot]", "by_app": True}
    renamed = {"id": 8, "event": "renamed", "label": None, "actor": "rita", "by_app": False}
    entry = {
        "repository": "amber/game-two",
        "number": 1,
        "title": TITLE,
        "state": "open",
        "labels": [LOW],
        "opened_deliveries": [502, 202],
        "events": [renamed, event],
    }
    body = {"labels": [LOW]}
    journal = [
        _line("POST", LABELS, 10, body=body),
        _line("GET", EVENTS, 11),
        _line("POST", LABELS, 12, body=body, actor="person mara"),
        _line("POST", LABELS, 13, body=body, applied=False, status=0),
        _line("POST", LABELS, 14, body=body, status=403),
        _line("POST", LABELS, 15, body=body, status=301),
    ]
    books = read_books([entry], journal)
    touch = Touch(9, LOW, True, True)
    assert books.entries == [
        Entry(KEY, TITLE, False, frozenset({LOW}), (502, 202), (touch,)),
    ]
    assert books.posts == [Request(10, KEY, (LOW,))]
    assert books.reads == [Request(11, KEY)]
