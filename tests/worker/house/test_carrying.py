"""What a repository's rules let through to GitHub, and in which form."""

from datetime import timedelta

import pytest

from app.core.decision import Thresholds
from app.db import configs
from app.db.clock import from_now
from app.db.tables import Application, IssueSnapshot, State
from tests.worker.conftest import T0, WordScorer
from tests.worker.labelling.journal import posts, writes

HIGH, UI = "severity: high", "component: ui"
# Between the middle band's lower end and the model's threshold lies what WordScorer is sure of.
UNSURE = WordScorer(thresholds=Thresholds(default=0.95))


@pytest.fixture
def rules(house):
    """`rules(text)`: this stands in the file, and was read."""

    def write(text):
        house.write(text)
        house.read()
        return house

    return write


@pytest.fixture
def preview(house):
    """GitHub's suggestions are switched on in the repository."""
    house.github.change_repository(house.repository, suggestions_enabled=True)


def test_the_repositorys_own_questions_and_names_reach_github(rules):
    house = rules(
        "dimensions:\n  severity: {labels: {high: {github: P1}}}\n  component: false\n"
        "  platform:\n    question: Where?\n    labels:\n"
        "      windows: {description: On Windows}\n      linux: {description: On Linux}\n"
    )
    house.github.rest("POST", f"/repos/{house.repository}/labels", json={"name": "P1"})
    number = house.issue("high ui on linux")
    house.work()
    assert house.labels(number) == ["P1", "platform: linux"]
    # Silent, unless the repository asks for the comment.
    assert house.comments(number) == []


def test_no_label_is_created_for_an_alias_that_the_repository_lacks(rules):
    house = rules("dimensions: {severity: {labels: {high: {github: P1}}}}")
    number = house.issue("high ui")
    house.work()
    assert house.labels(number) == [UI]
    assert house.application().kept == {
        "severity": "the repository has no such label, and none is to be created"
    }


def test_a_repository_that_wants_no_new_labels_gets_none(rules):
    house = rules("create_labels: false")
    number = house.issue("high ui")
    house.work()
    assert house.labels(number) == []
    assert writes(house.github) == []


def test_thresholds_of_the_repository_decide(rules):
    house = rules("threshold: 0.95\nsuggest_from: false")
    house.issue("high ui")
    house.work()
    assert house.decisions()["severity"] == ("abstain", "below threshold")


def test_the_gate_can_be_closed_and_opened(rules):
    house = rules("gate: {threshold: 0.5}")
    house.issue("feature: high ui")
    house.work()
    assert house.decisions()["severity"] == ("abstain", "not a bug")
    assert house.decisions()["component"] == ("apply", "confident")
    rules("gate: false")
    house.issue("feature: high again")
    house.work()
    assert house.decisions()["severity"] == ("apply", "confident")


def test_a_dry_run_records_what_it_would_have_done_and_writes_nothing(rules, preview):
    house = rules("dry_run: true\ncomment: true")
    house.issue("high ui")
    house.work()
    assert house.decisions()["severity"] == ("apply", "confident")
    assert house.application().kept == {"severity": "a dry run", "component": "a dry run"}
    assert house.application().state == State.DONE
    assert writes(house.github) == []


def test_denied_issues_are_left_alone_with_the_reason(rules):
    house = rules("deny: {authors: [RITA], titles: ['^low']}")
    for title, by, reason in (("high ui", "rita", "author"), ("low ui", "tom", "title")):
        house.issue(title, by=by)
        house.work()
        said = ("abstain", f"a rule of the repository denies the {reason}")
        assert set(house.decisions().values()) == {said, ("abstain", "below threshold")}
    assert writes(house.github) == []


def test_a_label_that_only_people_set_is_neither_written_nor_proposed(rules, preview):
    house = rules("deny: {labels: ['severity: high']}\nsuggest_only: true")
    number = house.issue("high ui")
    house.work()
    assert [s["rationale"][:12] for s in house.suggestions(number)] == ["component ui"]


def test_paused_nothing_is_done_and_afterwards_everything(rules):
    house = rules("comment: false")
    with house.store.database.transaction() as session:
        configs.pause(session, house.number, "mara")
    number = house.issue("high ui")
    house.work()
    assert house.store.rows(Application) == []
    with house.store.database.transaction() as session:
        configs.resume(session, house.number)
    house.work()
    assert house.labels(number) == [UI, HIGH]


def test_a_pause_stops_what_was_decided_already(rules):
    house = rules("comment: false")
    number = house.issue("high ui")
    house.triage()
    with house.store.database.transaction() as session:
        configs.pause(session, house.number, "mara")
    house.label()
    assert (house.labels(number), house.application().state) == ([], State.PENDING)
    with house.store.database.transaction() as session:
        configs.resume(session, house.number)
    house.work()
    assert house.labels(number) == [UI, HIGH]


def test_what_was_decided_under_another_configuration_is_decided_again(rules):
    house = rules("comment: false")
    number = house.issue("high ui")
    house.triage()
    rules("dimensions: {component: {rename: area}}")
    house.work()
    assert house.labels(number) == ["area: ui", HIGH]


# Proposals


def test_the_middle_band_is_proposed_with_its_confidence(house, preview):
    house.read()
    number = house.issue("high ui")
    house.triage(UNSURE)
    house.label()
    assert house.labels(number) == []
    proposals = house.suggestions(number)
    assert [(s["rationale"].split(".")[0], s["confidence"]) for s in proposals] == [
        ("severity high: 90% sure", "HIGH"),
        ("component ui: 90% sure", "HIGH"),
    ]
    assert house.application().proposed == [HIGH, UI]
    assert house.decisions()["severity"] == ("suggest", "likely, but below its threshold")
    (body,) = posts(house.github)
    assert [item["suggest"] for item in body["labels"]] == [True, True]


def test_nothing_of_a_proposal_is_rendered(rules, preview):
    said = "<!-- triora:labels --> @core/team ![x](//x.y)"
    labels = f"{{high: {{github: P1, create: true, description: '{said}'}}}}"
    house = rules(
        f"suggest_only: true\ndimensions: {{severity: {{rename: '#1', labels: {labels}}}}}"
    )
    number = house.issue("high")
    house.work()
    (proposal,) = house.suggestions(number)
    assert proposal["rationale"] == f"`#1` high: 90% sure. `{said}`"


def test_suggest_only_proposes_what_would_be_written(rules, preview):
    house = rules("suggest_only: true")
    number = house.issue("high ui")
    house.work()
    assert house.labels(number) == []
    assert len(house.suggestions(number)) == 2
    assert house.decisions()["severity"] == ("suggest", "the repository wants proposals only")


def test_without_the_preview_a_proposal_is_not_written_as_a_label(rules):
    house = rules("suggest_only: true")
    number = house.issue("high ui")
    house.work()
    assert house.labels(number) == []
    assert writes(house.github) == []
    assert house.application().kept["severity"].startswith("GitHub has no suggestions")


def test_a_preview_switched_off_in_the_last_moment_leaves_no_label(rules, preview):
    house = rules("suggest_only: true")
    number = house.issue("high ui")
    house.triage()
    world = house.github.standin.world.repository(*house.repository.split("/"))

    def switch_off(exchange):
        if exchange.path.endswith("/suggestions"):
            world.suggestions_enabled = False

    house.github.standin.rest.observers.append(switch_off)
    house.label()
    assert len(posts(house.github)) == 1
    assert house.labels(number) == []


def test_nothing_is_proposed_twice_nor_after_a_person_dismissed_it(rules, preview):
    house = rules("suggest_only: true")
    number = house.issue("high ui")
    house.work()
    first = house.suggestions(number)
    path = f"/repos/{house.repository}/issues/{number}/suggestions/{first[0]['id']}/dismiss"
    house.github.rest("POST", path)
    snapshot = house.store.one(IssueSnapshot)
    house.store.change(IssueSnapshot, snapshot.id, state=State.PENDING, due_at=from_now())
    house.work()
    assert [s["id"] for s in house.suggestions(number)] == [s["id"] for s in first]


def test_a_dimension_that_a_person_decided_is_not_proposed(rules, preview):
    house = rules("suggest_only: true")
    number = house.issue("high ui")
    house.github.rest("POST", f"/repos/{house.repository}/labels", json={"name": "severity: low"})
    house.github.label(number, "severity: low", repository=house.repository)
    house.work()
    assert [s["rationale"][:9] for s in house.suggestions(number)] == ["component"]


# The comment


def test_one_comment_says_labels_and_confidence_and_is_edited_in_place(rules):
    house = rules("comment: true\ndimensions: {component: {rename: area}}")
    number = house.issue("high ui secret-word")
    house.work()
    (said,) = house.comments(number)
    assert "| severity | `severity: high` | 90% |" in said
    assert "| area | `area: ui` | 90% |" in said
    assert "secret-word" not in said
    later = T0 + timedelta(days=400)
    house.store.issue(number, "low ui", repository_id=house.number, observed_at=later)
    house.work()
    (said,) = house.comments(number)
    assert "`severity: low`" in said
    assert "`severity: high`" not in said


def test_a_comment_whose_answer_was_lost_is_not_made_again(rules):
    house = rules("comment: true")
    number = house.issue("high ui")
    house.github.fault("POST /repos/*/*/issues/*/comments", "drop-after")
    house.work()
    house.store.make_due(Application)
    house.work()
    assert len(house.comments(number)) == 1
    assert house.application().state == State.DONE


def test_a_backfill_is_silent(rules):
    house = rules("comment: true")
    number = house.issue("high ui")
    house.store.change(IssueSnapshot, house.store.one(IssueSnapshot).id, run_id="f" * 32)
    house.work()
    assert house.labels(number) == [UI, HIGH]
    assert house.comments(number) == []


def test_somebody_elses_comment_with_our_marker_is_not_taken_for_ours(rules):
    house = rules("comment: true")
    number = house.issue("high ui")
    house.github.comment(number, "<!-- triora:labels -->", by="rita", repository=house.repository)
    house.work()
    assert len(house.comments(number)) == 2


def test_a_comment_that_a_person_deleted_does_not_come_back(rules):
    house = rules("comment: true")
    number = house.issue("high ui")
    house.work()
    comments = f"/repos/{house.repository}/issues"
    (said,) = house.github.rest("GET", f"{comments}/{number}/comments")
    house.github.rest("DELETE", f"{comments}/comments/{said['id']}")
    later = T0 + timedelta(days=400)
    house.store.issue(number, "low ui", repository_id=house.number, observed_at=later)
    house.work()
    assert house.labels(number) == [UI, "severity: low"]
    assert house.comments(number) == []
