"""What becomes of corrections when issues close, move and go, or labels are renamed or deleted."""

from datetime import timedelta

import pytest

from app.core.decision import Reason
from app.db import corrections
from app.db.learning import Correction, RepositoryConfig, Review
from app.db.tables import Application, Installation, IssueSnapshot, Repository, SeenLabel, State
from tests.worker.conftest import T0
from tests.worker.labelling.journal import HIGH, LOW, UI
from tests.worker.review.conftest import AUDIO, MEDIUM
from worker.config_reading import refresh


def lessons(scene, **options):
    with scene.store.database.reading() as session:
        return corrections.lessons(session, scene.store.repository_id, **options)


def test_a_lesson_is_the_text_as_filed_with_its_one_label(scene):
    number = scene.open(title="It hangs")
    scene.bot_says(number, severity=HIGH, component=UI)
    scene.github.edit_issue(number, title="It hangs in menus", repository=scene.repository)
    scene.label(number, LOW)
    scene.label(number, AUDIO)
    scene.github.close_issue(number, by="mara", repository=scene.repository)
    scene.review()
    (only,) = lessons(scene)
    assert (only.text.title, only.dimension, only.label) == ("It hangs", "severity", "low")
    assert (only.provenance, only.issue_number) == ("corrected", number)
    assert only.opened_at <= only.happened_at
    assert lessons(scene, until=only.happened_at) == [only]
    assert lessons(scene, until=only.happened_at - timedelta(seconds=1)) == []


def test_who_closes_an_issue_confirms_our_labels_until_it_is_reopened(scene):
    number = scene.open()
    scene.bot_says(number, severity=HIGH)
    scene.github.close_issue(number, by="tom", repository=scene.repository)
    scene.review()
    assert scene.learnt(number) == {"severity": ("confirmed", ["high"])}
    assert [lesson.provenance for lesson in lessons(scene)] == ["confirmed"]
    scene.github.edit_issue(number, by="rita", state="open", repository=scene.repository)
    scene.review()
    assert scene.learnt(number) == {}


def test_a_closing_by_somebody_without_rights_or_for_other_reasons_confirms_nothing(scene):
    for by, reason in (("rita", "completed"), ("tom", "not_planned"), ("tom", "duplicate")):
        number = scene.open(title=f"{by}: {reason}", by="rita")
        scene.bot_says(number, severity=HIGH)
        scene.github.close_issue(number, by=by, reason=reason, repository=scene.repository)
    scene.review()
    assert scene.store.rows(Correction) == []


@pytest.mark.parametrize("late", [False, True])
def test_what_was_learnt_of_an_issue_goes_with_it(scene, late):
    deleted, moved, other = scene.open(), scene.open(), scene.open()
    for issue in (deleted, moved, other):
        scene.label(issue, LOW)
    if not late:
        scene.review()
        assert len(scene.store.rows(Correction)) == 3
    path = f"/repositories/{scene.repository}/issues"
    scene.github.control("DELETE", f"{path}/{deleted}")
    target = {"repository": "lantern-works/emberfall"}
    scene.github.control("POST", f"{path}/{moved}/transfer", json=target)
    scene.under_way.reverse()
    scene.review()
    assert [row.issue_number for row in scene.store.rows(Correction)] == [other]
    gone = scene.store.rows(Review, Review.issue_number != other)
    assert {row.state for row in gone} == {State.SUPERSEDED}


# Labels of the repository


def test_a_renamed_label_keeps_its_meaning_in_the_past_and_from_now_on(scene):
    before, after = scene.open(), scene.open()
    for number in (before, after):
        scene.bot_says(number, severity=HIGH)
    scene.label(before, LOW)
    scene.review()
    scene.github.rename_label(LOW, "P3", repository=scene.repository)
    renamed = [d for d in scene.under_way if d.event == "label"]
    scene.under_way.clear()
    scene.label(after, "P3")
    scene.review()
    assert scene.learnt(after) == {}, "nobody told us of the new name yet"
    scene.take(renamed[0])
    scene.review()
    assert scene.learnt(before) == scene.learnt(after) == {"severity": ("replaced", ["low"])}
    scene.unlabel(before, "P3")
    scene.review()
    assert scene.learnt(before) == {"severity": ("confirmed", ["high"])}


def test_we_write_a_renamed_label_under_its_new_name_and_respect_who_used_it(scene):
    scene.bot_says(scene.open(), severity=HIGH)
    scene.github.rename_label(HIGH, "P1", repository=scene.repository)
    scene.github.rename_label(LOW, "P3", repository=scene.repository)
    fresh, decided, kept = scene.open(), scene.open(), scene.open()
    for issue in (decided, kept):
        scene.label(issue, "P3")
    scene.unlabel(kept, "P3")
    for number in (fresh, decided, kept):
        scene.bot_says(number, severity=HIGH)
    assert scene.github.labels(fresh, scene.repository) == ["P1"]
    assert scene.github.labels(decided, scene.repository) == ["P3"], "a person decided"
    assert scene.github.labels(kept, scene.repository) == [], "a person took it off"
    names = {x["name"] for x in scene.github.rest("GET", f"/repos/{scene.repository}/labels")}
    assert HIGH not in names, "the old name is not created again"
    # The author edits, and the bot thinks again: its own label, under its new name, makes room.
    snapshot = scene.store.rows(IssueSnapshot, IssueSnapshot.issue_number == fresh)[0]
    scene.store.change(IssueSnapshot, snapshot.id, state=State.SUPERSEDED)
    scene.bot_says(fresh, version="words-2", severity=LOW)
    assert scene.github.labels(fresh, scene.repository) == ["P3"]


def test_a_label_renamed_to_what_is_not_ours_to_write_is_left_to_people(scene):
    with scene.store.database.transaction() as session:
        row = session.get_one(RepositoryConfig, scene.store.repository_id)
        row.in_force = {"deny": {"labels": ["P*"]}}
    scene.bot_says(scene.open(), severity=HIGH, component=UI)
    scene.github.rename_label(HIGH, "P1", repository=scene.repository)
    scene.github.rename_label(UI, "Auto-Merge", repository=scene.repository)
    number = scene.open()
    scene.bot_says(number, severity=HIGH, component=UI, reproducibility="reproducibility: rare")
    assert scene.github.labels(number, scene.repository) == ["reproducibility: rare"]
    row = scene.store.rows(Application)[-1]
    assert row.kept == dict.fromkeys(("severity", "component"), str(Reason.PEOPLES))


def test_a_deleted_label_does_not_look_as_if_people_had_taken_it_off(scene):
    number, corrected = scene.open(), scene.open()
    for issue in (number, corrected):
        scene.bot_says(issue, severity=HIGH)
    scene.label(corrected, LOW)
    scene.review()
    for name in (HIGH, LOW):
        scene.github.delete_label(name, repository=scene.repository)
    scene.label(number, AUDIO)
    scene.review()
    assert scene.learnt(number) == {"component": ("added", ["audio"])}
    assert scene.learnt(corrected) == {"severity": ("replaced", ["low"])}


def test_a_label_people_deleted_before_we_ever_wrote_it_is_not_created_by_us(scene):
    scene.github.delete_label(MEDIUM, repository=scene.repository)
    number = scene.open()
    scene.bot_says(number, severity=MEDIUM)
    assert scene.github.labels(number, scene.repository) == []
    with scene.store.database.reading() as session:
        assert MEDIUM in {row.name for row in session.query(SeenLabel)}


# Safety


def test_more_corrections_an_hour_than_one_person_makes_teach_nothing(scene, settings):
    object.__setattr__(settings, "corrections_per_hour", 2)
    numbers = [scene.open(title=f"Crash {n}") for n in range(4)]
    for number in numbers:
        scene.label(number, LOW, by="tom")
    scene.label(numbers[0], AUDIO, by="mara")
    # Looked at in the wrong order, which must not matter.
    scene.hear()
    for number in reversed(numbers):
        scene.store.make_due(Review, Review.issue_number == number)
        scene.reviewing.run_batch()
    held = {n: scene.corrections(n)["severity"].quarantine for n in numbers}
    assert [held[n] is None for n in numbers] == [True, True, False, False]
    assert "2 an hour" in held[numbers[3]]
    assert {(x.issue_number, x.dimension) for x in lessons(scene)} == {
        (numbers[0], "severity"),
        (numbers[0], "component"),
        (numbers[1], "severity"),
    }
    # One of the first is taken back: there is room for another.
    scene.unlabel(numbers[0], LOW, by="tom")
    scene.review()
    assert scene.corrections(numbers[2])["severity"].quarantine is None


def test_an_outage_or_a_limit_puts_reviews_off_without_a_count(scene):
    numbers = [scene.open() for _ in range(2)]
    for number in numbers:
        scene.label(number, LOW)
    scene.hear()
    scene.github.limit(exhaust_seconds=600)
    scene.store.make_due(Review)
    scene.reviewing.run_batch()
    assert [row.attempts for row in scene.store.rows(Review)] == [0, 0]
    blocked = scene.store.one(Installation).blocked_until
    assert blocked is not None
    calls = len(scene.github.requests())
    scene.store.make_due(Review)
    assert scene.reviewing.run_batch() == 0
    assert len(scene.github.requests()) == calls
    scene.github.clear_faults()
    scene.store.change(Installation, scene.github.installation_id, blocked_until=None)
    scene.review()
    assert all(scene.learnt(number) for number in numbers)


def test_a_renamed_repository_is_followed(scene):
    number = scene.open()
    scene.label(number, LOW)
    scene.hear()
    scene.github.change_repository(scene.repository, name="ash")
    scene.store.make_due(Review)
    scene.reviewing.run_batch()
    assert set(scene.learnt(number)) == {"severity"}
    assert scene.store.one(Repository).full_name == "lantern-works/ash"


def test_nothing_is_looked_at_where_the_app_was_removed(scene):
    number = scene.open()
    scene.label(number, LOW)
    scene.hear()
    scene.store.change(Installation, scene.github.installation_id, deleted_at=T0)
    scene.store.make_due(Review)
    scene.reviewing.run_batch()
    assert scene.store.rows(Correction) == []
    assert scene.store.one(Review).state == State.SUPERSEDED


def test_what_we_took_back_was_no_prediction(scene):
    number = scene.open()
    scene.bot_says(number, severity=HIGH)
    row = scene.store.one(Application)
    scene.store.change(Application, row.id, undone=[HIGH])
    scene.github.relay(number, repository=scene.repository, app="triora", remove=[HIGH])
    scene.label(number, LOW)
    scene.review()
    assert scene.learnt(number) == {"severity": ("added", ["low"])}


def test_a_changed_taxonomy_is_held_against_what_people_did_before(scene, app_client):
    number = scene.open()
    scene.bot_says(number, severity=HIGH)
    scene.label(number, "question")
    scene.review()
    assert scene.learnt(number) == {}
    text = "dimensions:\n  severity:\n    labels:\n      low: {github: question}\n"
    scene.github.put_file(".github/triora.yml", text, repository=scene.repository)
    repository = scene.store.one(Repository)
    with app_client.installation(scene.github.installation_id) as client:
        assert refresh(scene.store.database, client, repository)
    scene.review()
    assert scene.learnt(number) == {"severity": ("replaced", ["low"])}
