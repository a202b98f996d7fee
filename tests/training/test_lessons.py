"""What people taught becomes rows; newer ones judge what older ones taught."""

from __future__ import annotations

from datetime import timedelta

from app.core.taxonomy import DEFAULT_TAXONOMY
from app.core.text import IssueText
from app.db.corrections import Lesson
from tests.training.rows import distinct, example, filed
from tests.training.taught import T0
from training import dataset, lessons
from training.guard import find_leaks
from training.lessons import Shares

HIGHEST = ("severity", "critical")
SHARES = Shares(holdout=0.2, calibration=0.1, least=10, highest=3)


def lesson(number, dimension="severity", label="high", provenance="corrected", **more):
    wanted = {
        "snapshot_id": number,
        "text": IssueText(title=f"Report {number}"),
        "happened_at": T0 + timedelta(days=number),
        "actor_id": 5,
        "opened_at": T0 + timedelta(hours=number),
    }
    return Lesson(
        issue_number=number,
        dimension=dimension,
        label=label,
        provenance=provenance,
        **{**wanted, **more},
    )


def rows(count, label="high", first=0):
    """Rows a day apart, no two alike."""
    return [
        row.model_copy(update={"number": first + i + 1, "filed_at": filed(first + i)})
        for i, row in enumerate(distinct(count, labels={"severity": label}))
    ]


def divide(found, **more):
    return lessons.divide(found, **{"highest": HIGHEST, "shares": SHARES, **more})


def test_an_issue_is_one_row_with_all_that_people_said_of_it():
    found, left_out = lessons.examples(
        [lesson(1), lesson(1, "component", "ui", "confirmed"), lesson(2)], "a/b", DEFAULT_TAXONOMY
    )
    assert [row.id for row in found] == ["a/b#1", "a/b#2"]
    assert {name: (a.label, a.provenance) for name, a in found[0].labels.items()} == {
        "severity": ("high", "corrected"),
        "component": ("ui", "confirmed"),
    }
    assert (found[0].text_as_of, found[0].filed_at) == ("filing", T0 + timedelta(hours=1))
    assert not left_out


def test_what_the_taxonomy_no_longer_has_is_left_out_and_counted():
    found, left_out = lessons.examples(
        [lesson(1, label="blocker"), lesson(2, "platform", "web"), lesson(3)],
        "a/b",
        DEFAULT_TAXONOMY,
    )
    assert [row.number for row in found] == [3]
    assert left_out == {lessons.UNKNOWN_LABEL: 2}


def test_the_newest_judge_those_before_calibrate_and_the_rest_teaches():
    parts = divide(rows(100), highest=None)
    assert [row.number for row in parts.fit] == list(range(1, 71))
    assert [row.number for row in parts.calibration] == list(range(71, 81))
    assert [row.number for row in parts.holdout] == list(range(81, 101))
    assert parts.learned == list(range(1, 81))


def test_the_holdout_reaches_back_for_reports_of_the_highest_severity_but_never_past_half():
    found = rows(100)
    for i in (95, 70, 60):
        found[i] = example(
            found[i].id,
            **{
                "title": found[i].title,
                "body": found[i].body,
                "number": found[i].number,
                "filed_at": found[i].filed_at,
                "labels": {"severity": "critical"},
            },
        )
    assert [row.number for row in divide(found).holdout] == list(range(61, 101))
    assert len(divide(rows(100)).holdout) == 50


def test_near_duplicates_are_learned_from_and_judge_nothing():
    found = rows(100)
    flood = [
        found[5].model_copy(update={"id": f"copy{i}", "number": 200 + i, "filed_at": filed(90 + i)})
        for i in range(12)
    ]
    parts = divide([*found, *flood], highest=None)
    assert {row.number for row in flood} <= {row.number for row in parts.fit}
    assert not find_leaks([*parts.fit, *parts.calibration], parts.holdout)


def test_what_the_active_model_learned_from_never_judges_it():
    found = rows(100)
    parts = divide(found, highest=None, learned={99, 100, 95})
    assert {row.number for row in parts.holdout} == set(range(78, 101)) - {95, 99, 100}


def test_a_report_with_a_severity_is_a_bug_for_judging_only():
    severe, other = (
        example("a#1", labels={"severity": "low"}),
        example("a#2", labels={"component": "ui"}),
    )
    found = lessons.witnessed([severe, other], DEFAULT_TAXONOMY)
    assert [row.label("kind") for row in found] == ["bug", None]


def test_replayed_rows_resemble_nothing_of_the_repositorys_own(tmp_path):
    parts = divide(rows(40), highest=None)
    own = parts.holdout[0].model_copy(update={"id": "copy", "repository": "c/d"})
    path = tmp_path / "replay.jsonl"
    dataset.write(
        path, [own, *(e.model_copy(update={"id": f"r{e.id}"}) for e in distinct(60)[50:])]
    )
    assert lessons.replayed([path], DEFAULT_TAXONOMY, parts, 5, seed=1) == []
    dataset.write(
        path,
        [
            own,
            *(
                e.model_copy(update={"id": f"r{e.id}"})
                for e in distinct(60, labels={"severity": "low", "gone": "x"})[50:]
            ),
        ],
    )
    found = lessons.replayed([path], DEFAULT_TAXONOMY, parts, 5, seed=1)
    assert len(found) == 5
    assert {tuple(row.labels) for row in found} == {("severity",)}


def test_a_long_history_is_thinned_and_its_newer_half_kept_whole():
    found = lessons.thinned(rows(100), 40, seed=1)
    numbers = [row.number for row in found]
    assert len(numbers) == 40
    assert numbers[20:] == list(range(81, 101))
    assert numbers == sorted(numbers)
