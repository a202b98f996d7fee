"""`/triage rerun|explain|pause|resume|undo`."""

import pytest

from app.db import configs, words
from app.db.learning import Command, RepositoryConfig
from app.db.tables import Application, IssueSnapshot
from tests.worker.conftest import T0, meanwhile
from tests.worker.labelling.journal import HIGH, LOW, UI

AUDIO = "component: audio"


def state_of(desk):
    with desk.store.database.reading() as session:
        return configs.in_force(session, desk.store.repository_id)


def waiting(desk):
    """Texts of the issue that wait to be scored."""
    rows = desk.store.rows(IssueSnapshot, IssueSnapshot.state == "pending")
    return [(row.title, row.run_id) for row in rows]


def test_pause_and_resume_hold_for_the_repository(desk):
    desk.tell("/triage pause")
    assert state_of(desk).paused
    refused = desk.tell("/triage rerun")
    assert "`/triage resume` first" in refused.outcome
    assert waiting(desk) == []
    desk.tell("/severity high")
    assert desk.labels == {HIGH}
    desk.tell("/triage resume")
    assert not state_of(desk).paused


def test_undo_takes_back_what_nobody_touched_and_the_bot_keeps_off_until_a_rerun(desk):
    first = desk.bot_labels(severity=["high"], component=["ui"])
    desk.github.label(desk.number, AUDIO, by="mara", repository=desk.repository)
    row = desk.tell("/triage undo")
    assert desk.labels == {UI, AUDIO}
    assert row.outcome == "took back severity: high"
    assert desk.store.one(Application).undone == [HIGH]
    # Neither the same text nor a new one brings it back.
    desk.decide_again(first, severity=[LOW])
    assert desk.labels == {UI, AUDIO}
    desk.tell("/triage rerun")
    assert len(waiting(desk)) == 1
    desk.decide_again(first, severity=[LOW])
    assert desk.labels == {LOW, UI, AUDIO}


def test_undo_stops_what_was_not_written_yet(desk):
    desk.bot_labels(component=["ui"])
    desk.store.change(Application, desk.store.one(Application).id, state="pending", wanted={})
    desk.tell("/triage undo")
    assert desk.store.one(Application).state == "superseded"
    assert desk.labels == set()


def test_an_undo_whose_answer_got_lost_takes_nothing_twice_and_says_the_same(desk):
    desk.bot_labels(severity=["high"], component=["ui"])
    said = desk.comment("/triage undo")
    desk.github.fault("DELETE /repos/*/*/issues/*/labels/*", "drop-after")
    desk.commanding.run_batch()
    desk.store.make_due(Command)
    desk.commanding.run_batch()
    assert desk.labels == set()
    assert desk.row(said).outcome == "took back severity: high, component: ui"
    with desk.store.database.reading() as session:
        told = words.said(session, desk.store.repository_id, desk.number)
    assert {(word.label, word.added) for word in told} == {(HIGH, False), (UI, False)}


def test_rerun_scores_the_present_text_ahead_of_any_backfill(desk):
    desk.bot_labels(severity=["high"])
    snapshot = desk.store.one(IssueSnapshot)
    desk.store.change(IssueSnapshot, snapshot.id, run_id="backfill")
    desk.tell("/triage rerun")
    assert waiting(desk) == [(snapshot.title, None)]
    desk.github.edit_issue(desk.number, title="It burns", repository=desk.repository)
    desk.tell("/triage rerun")
    assert waiting(desk) == [("It burns", None)]


@pytest.mark.parametrize("how", ["by hand", "by command"])
def test_rerun_is_refused_where_people_decided_everything(desk, how):
    if how == "by hand":
        for name in (HIGH, UI, "reproducibility: rare"):
            desk.github.label(desk.number, name, by="mara", repository=desk.repository)
    else:
        desk.tell("/severity high\n/component ui\n/repro rare")
    row = desk.tell("/triage rerun")
    assert "nothing left to label" in row.outcome
    assert waiting(desk) == []


def in_force(desk, **config):
    with desk.store.database.transaction() as session:
        session.get_one(RepositoryConfig, desk.store.repository_id).in_force = config


@pytest.mark.parametrize(
    ("deny", "why"),
    [
        ({"authors": ["Rita"]}, "`deny.authors` names `rita`"),
        ({"titles": ["."]}, "a pattern of `deny.titles` fits the issue's title"),
        ({"labels": ["severity*", "component*", "REPRO*"]}, "no label for the bot to write"),
    ],
)
def test_rerun_says_which_rule_leaves_the_issue_alone(desk, deny, why):
    in_force(desk, deny=deny)
    said = desk.comment("/triage rerun")
    desk.commanding.run_batch()
    assert why in desk.replies()[0]
    assert (desk.reactions(said), waiting(desk)) == (["confused"], [])


def test_rerun_in_a_dry_run_decides_anew_and_says_that_nothing_is_written(desk):
    in_force(desk, dry_run=True)
    said = desk.comment("/triage rerun")
    desk.commanding.run_batch()
    assert "`dry_run` is on in `.github/triora.yml`" in desk.replies()[0]
    assert (desk.reactions(said), len(waiting(desk))) == (["confused"], 1)
    desk.triage()
    assert desk.labels == set()


def test_explain_is_one_comment_that_says_why_and_is_edited_in_place(desk):
    desk.tell("/triage explain")
    (reply,) = desk.replies()
    assert "has not been triaged yet" in reply
    desk.github.edit_issue(desk.number, title="A high wall", repository=desk.repository)
    desk.tell("/triage rerun")
    desk.triage()
    said = desk.comment("/triage explain")
    desk.commanding.run_batch()
    (reply,) = desk.replies()
    assert "`words-1`" in reply
    assert "| severity | **high** (then critical 3 %, medium 3 %) | 90 % | 50 % |" in reply
    assert "labelled: confident" in reply
    assert "not labelled: below threshold" in reply
    assert desk.reactions(said) == ["+1"]


def test_an_explanation_whose_answer_got_lost_is_not_posted_twice(desk):
    said = desk.comment("/triage explain")
    desk.github.fault("POST /repos/*/*/issues/*/comments", "drop-after")
    desk.commanding.run_batch()
    desk.store.make_due(Command)
    desk.commanding.run_batch()
    assert len(desk.replies()) == 1
    assert desk.row(said).state == "done"


def test_what_somebody_touches_while_an_undo_goes_on_stays(desk, monkeypatch):
    desk.bot_labels(severity=["high"], component=["ui"])

    def act():
        # The bot's guess is wrong in another way: whoever decides that now is heard.
        desk.github.label(desk.number, AUDIO, by="mara", repository=desk.repository)

    meanwhile(monkeypatch, "remove_label", act)
    assert desk.tell("/triage undo").outcome == "took back severity: high"
    assert desk.labels == {UI, AUDIO}


def test_what_somebody_decides_while_a_label_is_changed_stays(desk, monkeypatch):
    desk.bot_labels(severity=["low"])
    said = desk.comment("/severity high")
    desk.store.change(Command, desk.row(said).id, happened_at=T0)

    def act():
        desk.github.unlabel(desk.number, HIGH, by="mara", repository=desk.repository)

    meanwhile(monkeypatch, "add_labels", act)
    desk.commanding.run_batch()
    assert desk.labels == {LOW}


def test_where_the_configuration_was_never_right_no_label_is_guessed(desk):
    desk.store.change(
        RepositoryConfig,
        desk.store.repository_id,
        in_force=None,
        problem="foo: there is no such key",
    )
    row = desk.tell("/severity high\n/triage rerun\n/triage pause")
    assert (desk.labels, waiting(desk)) == (set(), [])
    assert row.outcome.startswith("paused; `.github/triora.yml` cannot be used as it is")
    # Nor while it is paused as well.
    desk.tell("/severity high")
    assert desk.labels == set()


def test_after_an_undo_the_comment_claims_no_label_any_more(desk):
    with desk.store.database.transaction() as session:
        session.get_one(RepositoryConfig, desk.store.repository_id).in_force = {"comment": True}
    desk.bot_labels(severity=["high"])
    assert "I read this report and set labels" in desk.replies()[0]
    desk.tell("/triage undo")
    (said,) = desk.replies()
    assert "None of the labels here is from me any more." in said


def test_names_of_labels_mention_nobody_in_what_we_say(desk):
    team = {"component": {"rename": "#1", "labels": {"@core/team": {"description": "all"}}}}
    with desk.store.database.transaction() as session:
        row = session.get_one(RepositoryConfig, desk.store.repository_id)
        row.in_force = {"dimensions": team, "comment": True}
    desk.github.edit_issue(desk.number, title="@core/team is down", repository=desk.repository)
    desk.tell("/triage rerun")
    desk.triage()
    desk.tell("/triage explain")
    said = "\n".join(desk.replies())
    assert "| `#1` | **`@core/team`** (then" in said
    assert "| `#1` | `#1: @core/team` | 90% |" in said


def test_a_pause_is_not_kept_waiting_by_a_queue_of_labels(desk, monkeypatch):
    waiting_too = desk.github.open_issue(repository=desk.repository)["number"]
    for number, title in ((desk.number, "first"), (waiting_too, "second")):
        here = desk.store.repository_id
        desk.store.to_write(number, {"severity": [HIGH]}, repository_id=here, title=title)
    meanwhile(monkeypatch, "add_labels", lambda: desk.comment("/triage pause"))
    desk.labelling.run_batch()
    desk.commanding.run_batch()
    desk.labelling.run_batch()
    assert desk.labels == {HIGH}
    assert desk.github.labels(waiting_too, desk.repository) == []
