"""`/severity high`: a person's label, though the bot's hand writes it."""

from datetime import UTC, datetime, timedelta

import pytest

from app.core import commands
from app.db import words
from app.db.clock import from_now
from app.db.learning import Command, RepositoryConfig, Review
from app.db.tables import Application
from tests.worker.conftest import T0
from tests.worker.labelling.journal import HIGH, LOW, UI, posts, writes

MEDIUM, AUDIO, RARE = "severity: medium", "component: audio", "reproducibility: rare"


def test_the_label_is_set_with_a_reaction_and_not_a_word(desk):
    said = desk.comment("/severity high\n/repro rare")
    desk.commanding.run_batch()
    assert desk.labels == {HIGH, RARE}
    assert desk.reactions(said) == ["+1"]
    assert desk.replies() == []
    row = desk.row(said)
    assert (row.state, row.outcome) == ("done", "severity: high; reproducibility: rare")
    # What is as wished is not written again.
    before = len(writes(desk.github))
    desk.tell("/severity high")
    assert [path.rpartition("/")[2] for _, path in writes(desk.github)[before:]] == ["reactions"]


def test_the_other_label_goes_whoever_set_it_and_it_is_the_persons_word(desk):
    desk.bot_labels(severity=["low"], component=["ui"])
    row = desk.tell("/severity high")
    assert desk.labels == {HIGH, UI}
    with desk.store.database.reading() as session:
        said = words.said(session, desk.store.repository_id, desk.number)
    assert [(w.label, w.added, w.actor, w.actor_id) for w in said] == [
        (HIGH, True, "tom", row.actor_id),
        (LOW, False, "tom", row.actor_id),
    ]
    assert desk.store.one(Review).issue_number == desk.number
    desk.github.label(desk.number, MEDIUM, by="mara", repository=desk.repository)
    desk.tell("/severity low", by="mara")
    assert desk.labels == {LOW, UI}


def test_where_several_may_hold_the_bots_guess_yields_and_peoples_labels_stay(desk):
    desk.bot_labels(component=["ui"])
    desk.tell("/component audio")
    assert desk.labels == {AUDIO}
    desk.github.label(desk.number, "component: save", by="mara", repository=desk.repository)
    desk.tell("/component network")
    assert desk.labels == {AUDIO, "component: save", "component: network"}


def test_later_runs_never_override_it(desk):
    desk.tell("/severity high")
    desk.bot_labels(severity=["low"], component=["ui"])
    assert desk.labels == {HIGH, UI}
    assert desk.store.one(Application).kept == {"severity": "a person decided"}


def test_later_runs_never_override_a_label_the_person_found_right(desk):
    first = desk.bot_labels(severity=["high"])
    desk.tell("/severity high")
    desk.decide_again(first, severity=[LOW])
    assert desk.labels == {HIGH}
    assert desk.store.one(Application).kept == {"severity": "a person decided"}


def test_who_has_no_triage_rights_changes_nothing_and_hears_nothing(desk):
    said = desk.comment("/severity high\n/triage pause", by="rita")
    desk.commanding.run_batch()
    assert desk.labels == set()
    assert desk.replies() == []
    assert desk.reactions(said) == ["confused"]
    assert desk.row(said).outcome == "no triage rights in this repository"
    # Rights are looked up when it is carried out.
    said = desk.comment("/severity high", by="tom")
    desk.github.change_repository(desk.repository, roles={"tom": "read"})
    desk.commanding.run_batch()
    assert desk.labels == set()
    assert desk.reactions(said) == ["confused"]


def test_a_mistake_is_said_once_exactly_and_the_rest_is_done(desk):
    said = desk.comment("/severity hihg\n/component ui")
    desk.commanding.run_batch()
    assert desk.labels == {UI}
    (reply,) = desk.replies()
    assert "`/severity`: no label `hihg`. Allowed: `critical`, `high`, `medium`, `low`." in reply
    assert desk.reactions(said) == ["confused"]


def test_a_label_its_people_deleted_is_not_created_again(desk):
    desk.tell("/severity high")
    desk.github.rest("DELETE", f"/repos/{desk.repository}/labels/{HIGH}")
    desk.tell("/severity high")
    assert desk.labels == set()
    assert "There is no label `severity: high`" in desk.replies()[0]


def test_what_somebody_did_after_the_comment_stands(desk):
    said = desk.comment("/severity high")
    desk.store.change(Command, desk.row(said).id, happened_at=T0)
    desk.github.label(desk.number, LOW, by="mara", repository=desk.repository)
    desk.commanding.run_batch()
    assert desk.labels == {LOW}
    assert desk.row(said).outcome == "somebody has decided otherwise since"


# Bad days


def test_a_lost_answer_repeats_neither_label_nor_reply(desk):
    said = desk.comment("/severity high\n/component nope")
    desk.github.fault("POST /repos/*/*/issues/*/labels", "drop-after")
    desk.github.fault("POST /repos/*/*/issues/*/comments", "drop-after")
    for _ in range(3):
        desk.commanding.run_batch()
        desk.store.make_due(Command)
    assert desk.labels == {HIGH}
    assert len(desk.replies()) == 1
    assert len(posts(desk.github)) == 1
    assert desk.row(said).state == "done"


def test_a_run_after_a_lost_answer_leaves_the_persons_label(desk):
    said = desk.comment("/severity high")
    desk.github.fault("POST /repos/*/*/issues/*/labels", "drop-after")
    desk.commanding.run_batch()
    assert desk.row(said).state == "pending"
    desk.store.change(Command, desk.row(said).id, due_at=datetime.now(UTC) + timedelta(hours=1))
    desk.bot_labels(severity=["low"])
    assert desk.labels == {HIGH}


def test_labels_stand_back_while_a_command_waits(desk):
    desk.comment("/severity high")
    desk.bot_labels(component=["ui"])
    assert desk.labels == set()
    desk.commanding.run_batch()
    desk.labelling.run_batch()
    assert desk.labels == {HIGH, UI}


def test_nothing_is_done_before_the_repositorys_configuration_was_read(desk):
    desk.store.change(RepositoryConfig, desk.store.repository_id, read_at=None)
    said = desk.comment("/severity high")
    desk.commanding.run_batch()
    assert desk.labels == set()
    assert (desk.row(said).state, desk.row(said).attempts) == ("pending", 0)


def unread(desk, body, by="tom"):
    """A comment that came before the configuration was read; its row waits for the reading."""
    desk.store.change(RepositoryConfig, desk.store.repository_id, read_at=None)
    lines = commands.find(body, None)
    said = desk.comment(body, by, lines=lines)
    desk.store.change(Command, desk.row(said).id, words={"unread": True})
    desk.commanding.run_batch()
    assert (desk.row(said).state, desk.row(said).lines) == ("pending", lines)
    return said


def read(desk, **in_force):
    """The first reading; what waited for it is due."""
    here = desk.store.repository_id
    desk.store.change(RepositoryConfig, here, read_at=from_now(), in_force=in_force)
    desk.store.make_due(Command)
    desk.commanding.run_batch()


AREA = {"component": {"rename": "area", "labels": {"ui": {"github": UI}}}}


def test_a_command_in_the_repositorys_own_words_waits_for_the_first_reading(desk):
    desk.github.rest(
        "POST", f"/repos/{desk.repository}/labels", json={"name": UI, "color": "ffffff"}
    )
    said = unread(desk, "/area ui\n/assign @tom\n/lgtm")
    read(desk, dimensions=AREA)
    assert (desk.labels, desk.reactions(said), desk.replies()) == ({UI}, ["+1"], [])
    assert (desk.row(said).lines, desk.row(said).words["added"]) == (["/area ui"], [UI])


@pytest.mark.parametrize("by", ["tom", "rita"])
def test_nobody_is_answered_who_told_another_bot_something_before_the_first_reading(desk, by):
    said = unread(desk, "/assign @tom\n/area ui", by)
    read(desk)
    assert (desk.reactions(said), desk.replies()) == ([], [])
    assert (desk.row(said).state, desk.row(said).lines) == ("done", [])


def test_what_was_kept_unread_is_sorted_once_though_github_does_not_answer_then(desk):
    said = unread(desk, "/severity high\n/lgtm")
    desk.github.fault("GET /repos/*/*/collaborators/*/permission", "drop")
    read(desk)
    assert desk.row(said).state == "pending"
    desk.store.make_due(Command)
    desk.commanding.run_batch()
    assert (desk.labels, desk.replies()) == ({HIGH}, [])
