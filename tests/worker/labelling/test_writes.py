"""Labels reach GitHub once, beside what is there, and never against a person."""

import threading
from datetime import timedelta
from functools import partial

from sqlalchemy import select

from app.core.taxonomy import DEFAULT_TAXONOMY
from app.db.clock import from_now
from app.db.insertion import insert_new
from app.db.tables import (
    Application,
    Delivery,
    LabelEvent,
    Outcome,
    SeenLabel,
    State,
)
from tests.worker.conftest import T0, meanwhile
from tests.worker.labelling.journal import CREATE, HIGH, LOW, UI, posts, writes
from worker.labelling import Labelling
from worker.plan import DELETED


def test_nothing_to_do_asks_github_nothing(labelling, github):
    before = len(github.requests())
    assert labelling.run_batch() == 0
    assert len(github.requests()) == before


def test_missing_labels_are_created_and_the_issue_gets_them(
    labelling, github, repository, issue, wants, store
):
    wants(issue)
    assert labelling.run_batch() == 1
    assert set(github.labels(issue, repository)) == {HIGH, UI}
    made = {x["name"]: x for x in github.rest("GET", f"/repos/{repository}/labels")}
    high = DEFAULT_TAXONOMY["severity"].label("high")
    assert made[HIGH]["color"] == high.color
    assert made[HIGH]["description"] == high.description
    assert set(made) == {HIGH, UI}
    row = store.one(Application)
    assert (row.state, row.written, row.kept) == (State.DONE, [HIGH, UI], {})
    assert row.applied_at is not None


def test_an_issue_costs_one_write(labelling, github, repository, labels, issue, wants):
    wants(issue)
    labelling.run_batch()
    assert writes(github) == [("POST", f"/repos/{repository}/issues/{issue}/labels")]
    assert posts(github) == [{"labels": [HIGH, UI]}]


def test_existing_labels_survive(labelling, github, repository, labels, issue, wants):
    body = {"name": "good first issue", "color": "7057ff"}
    github.rest("POST", f"/repos/{repository}/labels", json=body)
    github.label(issue, "good first issue", repository=repository)
    wants(issue)
    labelling.run_batch()
    assert set(github.labels(issue, repository)) == {"good first issue", HIGH, UI}


def test_a_label_that_is_there_in_another_case_is_not_added_again(
    labelling, github, repository, issue, wants, store
):
    github.rest(
        "POST", f"/repos/{repository}/labels", json={"name": "Component: UI", "color": "0" * 6}
    )
    wants(issue, {"component": [UI]})
    labelling.run_batch()
    assert github.labels(issue, repository) == ["Component: UI"]
    assert posts(github, CREATE) == []


# People come first


def test_a_label_a_person_set_keeps_its_dimension(
    labelling, github, repository, labels, issue, wants, store
):
    github.label(issue, LOW, by="tom", repository=repository)
    wants(issue)
    labelling.run_batch()
    assert set(github.labels(issue, repository)) == {LOW, UI}
    assert store.one(Application).kept == {"severity": "a person decided"}
    assert store.one(Application).written == [UI]


def test_a_label_of_the_issue_template_keeps_its_dimension(
    labelling, github, repository, labels, wants
):
    opened = github.open_issue(by="mara", labels=[LOW], repository=repository)["number"]
    wants(opened)
    labelling.run_batch()
    assert set(github.labels(opened, repository)) == {LOW, UI}


def test_a_label_of_another_bot_keeps_its_dimension(
    labelling, github, repository, labels, issue, wants
):
    github.label(issue, LOW, by="stale-bot[bot]", repository=repository)
    wants(issue)
    labelling.run_batch()
    assert set(github.labels(issue, repository)) == {LOW, UI}


def test_a_label_a_person_removed_does_not_come_back(
    labelling, github, repository, labels, issue, wants, store
):
    wants(issue)
    labelling.run_batch()
    github.unlabel(issue, HIGH, by="tom", repository=repository)
    wants(issue, title="edited", observed_at=T0 + timedelta(hours=1))
    labelling.run_batch()
    assert github.labels(issue, repository) == [UI]
    again = store.rows(Application)[1]
    assert again.kept == {"severity": "a person decided"}
    assert again.written == []


def test_a_removal_that_only_the_webhook_told_is_known(
    labelling, github, repository, labels, issue, wants, store
):
    with store.database.transaction() as session:
        insert_new(
            session,
            Delivery,
            guid="g",
            event="issues",
            outcome=Outcome.LABEL_EVENT,
            reason="",
            received_at=from_now(),
        )
        session.add(
            LabelEvent(
                guid="g",
                repository_id=store.repository_id,
                issue_number=issue,
                label=HIGH,
                added=False,
                actor_id=5,
                actor="tom",
                actor_type="User",
                happened_at=T0,
            )
        )
    wants(issue)
    labelling.run_batch()
    assert github.labels(issue, repository) == [UI]


def test_somebody_who_acts_while_labels_are_created_is_seen(
    labelling, github, repository, issue, wants, store
):
    def act_once(exchange):
        if exchange.method == "POST" and exchange.path == f"/repos/{repository}/labels":
            github.standin.rest.observers.remove(act_once)
            person = threading.Thread(target=label_by_hand)
            person.start()
            people.append(person)

    def label_by_hand():
        body = {"name": LOW, "color": "ffffff"}
        github.rest("POST", f"/repos/{repository}/labels", json=body)
        github.label(issue, LOW, by="tom", repository=repository)
        acted.set()

    people, acted = [], threading.Event()
    create_label = Labelling._pause

    class Patient(Labelling):
        """Waits after a write until the person has acted, as the pause of 1 s would."""

        def _pause(self):
            assert acted.wait(30)
            create_label(self)

    github.standin.rest.observers.append(act_once)
    wants(issue)
    Patient(**vars(labelling)).run_batch()
    for person in people:
        person.join()
    assert set(github.labels(issue, repository)) == {LOW, UI}
    assert store.one(Application).kept == {"severity": "a person decided"}


def test_a_closed_issue_is_left_alone(labelling, github, repository, labels, issue, wants, store):
    github.edit_issue(issue, state="closed", repository=repository)
    wants(issue)
    labelling.run_batch()
    assert writes(github) == []
    row = store.one(Application)
    assert set(row.kept.values()) == {"the issue is closed"}
    assert (row.state, row.written, row.applied_at) == (State.DONE, [], None)


def test_a_label_that_was_deleted_from_the_repository_is_not_created_again(
    labelling, github, repository, issue, wants, store
):
    wants(issue)
    labelling.run_batch()
    github.rest("DELETE", f"/repos/{repository}/labels/severity:%20high")
    second = github.open_issue(repository=repository)["number"]
    wants(second)
    labelling.run_batch()
    assert github.labels(second, repository) == [UI]
    assert store.rows(Application)[1].kept == {"severity": DELETED}
    assert len(posts(github, CREATE)) == 2


def test_a_label_that_was_only_found_is_not_created_once_it_is_deleted(
    labelling, github, repository, labels, issue, wants, store
):
    wants(issue)
    labelling.run_batch()
    assert {row.name for row in _seen(store)} == {HIGH, UI}
    github.rest("DELETE", f"/repos/{repository}/labels/component:%20ui")
    second = github.open_issue(repository=repository)["number"]
    wants(second)
    labelling.run_batch()
    assert github.labels(second, repository) == [HIGH]


def _seen(store):
    with store.database.reading() as session:
        return list(session.scalars(select(SeenLabel)))


# A new decision on an edited text


def test_an_exclusive_label_of_ours_is_replaced(
    labelling, github, repository, labels, issue, wants
):
    wants(issue, {"severity": [LOW], "component": ["component: audio"]})
    labelling.run_batch()
    wants(issue, title="edited", observed_at=T0 + timedelta(hours=1))
    labelling.run_batch()
    assert set(github.labels(issue, repository)) == {HIGH, UI, "component: audio"}


def test_a_label_of_ours_that_a_person_confirmed_is_not_replaced(
    labelling, github, repository, labels, issue, wants
):
    wants(issue, {"severity": [LOW]})
    labelling.run_batch()
    github.unlabel(issue, LOW, by="tom", repository=repository)
    github.label(issue, LOW, by="tom", repository=repository)
    wants(issue, title="edited", observed_at=T0 + timedelta(hours=1))
    labelling.run_batch()
    assert set(github.labels(issue, repository)) == {LOW, UI}


def test_somebody_who_refuses_the_new_label_before_the_old_one_goes_keeps_the_old_one(
    labelling, github, repository, labels, issue, wants, monkeypatch
):
    wants(issue, {"severity": [LOW]})
    labelling.run_batch()
    wants(issue, {"severity": [HIGH]}, title="edited", observed_at=T0 + timedelta(hours=1))
    refuse = partial(github.unlabel, issue, HIGH, by="tom", repository=repository)
    meanwhile(monkeypatch, "add_labels", refuse)
    labelling.run_batch()
    assert github.labels(issue, repository) == [LOW]


def test_a_person_who_was_faster_than_a_write_under_way_keeps_the_dimension(
    labelling, github, repository, labels, issue, wants, store, monkeypatch
):
    wants(issue)
    decide = partial(github.label, issue, LOW, by="tom", repository=repository)
    meanwhile(monkeypatch, "issue_events", decide)
    labelling.run_batch()
    assert posts(github) == [{"labels": [HIGH, UI]}]
    assert set(github.labels(issue, repository)) == {LOW, UI}
    row = store.one(Application)
    assert (row.written, row.kept) == ([UI], {"severity": "a person decided"})


def test_a_write_that_crossed_a_persons_is_taken_back_also_when_its_answer_got_lost(
    labelling, github, repository, labels, issue, wants, store, monkeypatch
):
    wants(issue)
    decide = partial(github.label, issue, LOW, by="tom", repository=repository)
    meanwhile(monkeypatch, "issue_events", decide)
    github.fault("POST /repos/*/*/issues/*/labels", "drop-after", skip=1)
    labelling.run_batch()
    assert set(github.labels(issue, repository)) == {LOW, HIGH, UI}
    store.make_due(Application)
    labelling.run_batch()
    assert set(github.labels(issue, repository)) == {LOW, UI}
    row = store.one(Application)
    assert (row.state, row.written, row.kept) == (
        State.DONE,
        [UI],
        {"severity": "a person decided"},
    )


def test_an_overtaken_text_is_not_labelled(
    labelling, github, repository, labels, issue, wants, store
):
    wants(issue, {"severity": [LOW]})
    wants(issue, {"severity": [HIGH]}, title="edited", observed_at=T0 + timedelta(hours=1))
    labelling.run_batch()
    assert github.labels(issue, repository) == [HIGH]
    assert [row.state for row in store.rows(Application)] == [State.SUPERSEDED, State.DONE]
