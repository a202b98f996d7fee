"""Only people with triage rights correct the bot: never bots, Apps, templates or ourselves."""

from app.db.learning import Correction, Review
from app.db.tables import LabelEvent, State
from tests.worker.labelling.journal import HIGH, LOW, UI
from tests.worker.review.conftest import AUDIO, MEDIUM

PERMISSION = "/repos/{owner}/{repo}/collaborators/{username}/permission"


def test_a_person_with_triage_rights_corrects_the_bot(scene):
    number = scene.open(title="Crash on start")
    scene.bot_says(number, severity=HIGH, component=UI)
    scene.unlabel(number, HIGH, by="tom")
    scene.label(number, LOW, by="tom")
    scene.review()
    assert scene.learnt(number) == {"severity": ("replaced", ["low"])}
    row = scene.corrections(number)["severity"]
    assert (row.predicted, row.model_version, row.actor) == (["high"], "words-1", "tom")
    assert row.quarantine is None


def test_what_the_bot_left_open_and_a_person_filled_in_is_learnt(scene):
    number = scene.open()
    scene.label(number, LOW, by="tom")
    scene.review()
    assert scene.learnt(number) == {"severity": ("added", ["low"])}


def test_a_label_taken_off_teaches_that_none_belongs_there(scene):
    number = scene.open()
    scene.bot_says(number, severity=HIGH)
    scene.unlabel(number, HIGH)
    scene.review()
    assert scene.learnt(number) == {"severity": ("removed", [])}


def test_an_area_added_beside_ours_lets_ours_stand(scene):
    number = scene.open()
    scene.bot_says(number, component=UI)
    scene.label(number, AUDIO)
    scene.review()
    assert scene.learnt(number) == {"component": ("added", ["ui", "audio"])}


def test_labels_that_are_none_of_ours_cost_github_nothing(scene):
    number = scene.open()
    scene.label(number, "question", by="mara")
    scene.review()
    assert scene.learnt(number) == {}
    assert scene.github.requests("GET", PERMISSION) == []


def test_bots_and_other_apps_are_not_heard(scene):
    number = scene.open()
    scene.bot_says(number, severity=HIGH)
    scene.github.relay(number, repository=scene.repository, add=[LOW], remove=[HIGH])
    scene.label(number, MEDIUM, by="stale-bot[bot]")
    # A person's word on something else, so that the issue is looked at.
    scene.label(number, AUDIO)
    scene.review()
    assert scene.learnt(number) == {"component": ("added", ["audio"])}


def test_what_an_app_writes_in_a_persons_name_is_not_that_persons_word(scene):
    for app in ("triora", "board-sync"):
        number = scene.open(title=app)
        scene.bot_says(number, severity=HIGH)
        act = {"app": app, "by": "tom", "repository": scene.repository}
        scene.github.relay(number, add=[LOW, AUDIO], remove=[HIGH], **act)
    # Our own label, carried over by another App, is no confirmation either.
    scene.github.relay(number, add=[HIGH], remove=[LOW], **act)
    scene.review()
    assert scene.store.rows(Correction) == []


def test_labels_of_the_issue_template_are_nobodys_word_though_the_author_has_rights(scene):
    # tom may triage, and the label is set in his name: by the template, as far as we can tell.
    number = scene.open(by="tom", labels=[LOW])
    scene.review()
    assert scene.learnt(number) == {}
    scene.github.skew(60)
    scene.unlabel(number, LOW, by="tom")
    scene.label(number, MEDIUM, by="tom")
    scene.review()
    assert scene.learnt(number) == {"severity": ("added", ["medium"])}


def test_an_author_without_rights_is_not_heard(scene):
    number = scene.open(by="rita")
    scene.bot_says(number, severity=HIGH)
    scene.github.change_repository(scene.repository, roles={"rita": "triage"})
    scene.unlabel(number, HIGH, by="rita")
    scene.github.change_repository(scene.repository, roles={"rita": "read"})
    scene.review()
    assert scene.learnt(number) == {}
    with scene.store.database.reading() as session:
        asked = {e.actor: e.trusted for e in session.query(LabelEvent) if e.actor == "rita"}
    assert asked == {"rita": False}


def test_rights_are_asked_once_and_losing_them_later_does_not_change_the_past(scene):
    number = scene.open()
    scene.bot_says(number, severity=HIGH)
    scene.label(number, LOW, by="tom")
    scene.review()
    scene.github.change_repository(scene.repository, roles={"tom": "read"})
    before = len(scene.github.requests("GET", PERMISSION))
    scene.label(number, AUDIO, by="mara")
    scene.review()
    assert scene.learnt(number)["severity"] == ("replaced", ["low"])
    asked = scene.github.requests("GET", PERMISSION)[before:]
    assert [line["path"].split("/")[-2] for line in asked] == ["mara"]


def test_one_person_is_asked_for_once_in_a_turn(scene):
    numbers = [scene.open() for _ in range(3)]
    for number in numbers:
        scene.label(number, LOW, AUDIO, by="tom")
    scene.review()
    assert {tuple(scene.learnt(n)) for n in numbers} == {("severity", "component")}
    assert len(scene.github.requests("GET", PERMISSION)) == 1


def test_a_burst_of_changes_is_one_look(scene):
    number = scene.open()
    for name in (LOW, MEDIUM, AUDIO):
        scene.label(number, name)
        scene.unlabel(number, name)
    scene.hear()
    assert len(scene.store.rows(Review)) == 1
    before = len(scene.github.requests("GET"))
    scene.review()
    assert [line["path"].split("/")[-1] for line in scene.github.requests("GET")[before:]].count(
        "events"
    ) == 1
    assert scene.store.one(Review).state == State.DONE
