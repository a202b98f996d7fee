"""Webhooks late, twice, never or out of order: the corrections end alike."""

import random
import shutil

from sqlalchemy import select

from app.core.taxonomy import DEFAULT_TAXONOMY
from app.db.learning import Correction, Review
from app.db.session import Database
from app.db.tables import Outcome, State
from app.intake.delivery import accept
from tests.webhooks import issue_event
from tests.worker.conftest import Store
from tests.worker.labelling.journal import HIGH, LOW, UI
from tests.worker.review.conftest import AUDIO, MEDIUM
from worker.review import Reviewing


def kept(database):
    """Every correction, without what is only a number of a row."""
    with database.reading() as session:
        rows = session.scalars(
            select(Correction).order_by(Correction.issue_number, Correction.dimension)
        )
        columns = [c.name for c in Correction.__table__.columns if c.name != "id"]
        return [{name: getattr(row, name) for name in columns} for row in rows]


def a_busy_day(scene):
    """Issues whose labels people, bots and Apps change in many ways."""
    first, second, third, fourth = (scene.open(title=f"Crash {n}") for n in range(4))
    for number in (first, second, third):
        scene.bot_says(number, severity=HIGH, component=UI)
    scene.hear()
    scene.unlabel(first, HIGH)
    scene.label(first, LOW)
    scene.github.edit_issue(first, title="Crash in the menu", repository=scene.repository)
    scene.label(second, LOW, by="stale-bot[bot]")
    scene.label(second, MEDIUM, by="mara")
    scene.github.relay(second, repository=scene.repository, by="mara", remove=[UI])
    scene.github.rename_label(AUDIO, "area: sound", repository=scene.repository)
    scene.label(second, "area: sound", by="mara")
    scene.github.close_issue(third, by="mara", repository=scene.repository)
    scene.label(fourth, HIGH, by="mara")
    scene.github.control("DELETE", f"/repositories/{scene.repository}/issues/{fourth}")
    scene.github.delete_label(MEDIUM, repository=scene.repository)


def test_deliveries_in_any_order_and_twice_end_alike(scene, tmp_path, settings, app_client):
    a_busy_day(scene)
    deliveries = list(scene.under_way)
    scene.under_way.clear()
    scene.store.database.close()
    before = scene.store.database.url.database
    results = []
    for seed in range(3):
        copy = shutil.copy(before, tmp_path / f"day{seed}.db")
        database = Database(f"sqlite:///{copy}")
        other = Store(database)
        reviewing = Reviewing(database, app_client, DEFAULT_TAXONOMY, settings)
        draw = random.Random(seed)
        order = list(deliveries)
        if seed:
            order += draw.sample(deliveries, len(deliveries) // 3)
            draw.shuffle(order)
        for delivery in order:
            scene.store = other
            scene.take(delivery)
            if seed and draw.random() < 0.2:
                other.make_due(Review)
                reviewing.run_batch()
        other.make_due(Review)
        while reviewing.run_batch():
            other.make_due(Review)
        results.append(kept(database))
        database.close()
    first = results[0]
    assert {(r["issue_number"], r["dimension"]): (r["change"], r["labels"]) for r in first} == {
        (1, "severity"): ("replaced", ["low"]),
        (2, "severity"): ("replaced", ["medium"]),
        (2, "component"): ("replaced", ["audio"]),
        (3, "severity"): ("confirmed", ["high"]),
        (3, "component"): ("confirmed", ["ui"]),
    }
    assert all(result == first for result in results[1:])


def test_a_webhook_that_never_came_is_made_up_for_by_githubs_list(scene):
    number = scene.open()
    scene.bot_says(number, severity=HIGH)
    scene.unlabel(number, HIGH)
    scene.label(number, LOW)
    scene.hear()
    scene.github.label(number, AUDIO, by="tom", repository=scene.repository)
    scene.under_way.clear()
    scene.review()
    assert set(scene.learnt(number)) == {"severity", "component"}


def test_a_change_while_the_issue_is_looked_at_is_not_overlooked(scene):
    number = scene.open()
    scene.label(number, LOW)
    scene.hear()

    def act_once(exchange):
        if exchange.path.endswith("/events"):
            scene.github.standin.rest.observers.remove(act_once)
            payload = issue_event("labeled", number=number, label=AUDIO, at="2026-11-23T12:00:00Z")
            payload["repository"] = {"id": scene.store.repository_id, "full_name": "x/y"}
            payload["installation"] = {"id": scene.github.installation_id}
            accept(scene.store.database, "issues", "in between", payload)

    scene.github.standin.rest.observers.append(act_once)
    scene.store.make_due(Review)
    scene.reviewing.run_batch()
    assert scene.learnt(number) == {}
    waiting = scene.store.one(Review)
    assert (waiting.state, waiting.lease_token) == (State.PENDING, None)


def test_a_redelivery_gives_a_dead_review_another_life_and_a_done_one_none(scene):
    number = scene.open()
    scene.label(number, LOW)
    heard = list(scene.under_way)
    scene.hear()
    for before, after in ((State.DONE, State.DONE), (State.DEAD, State.PENDING)):
        scene.store.change(Review, scene.store.one(Review).id, state=before)
        for delivery in heard:
            scene.take(delivery)
        assert scene.store.one(Review).state == after


def test_a_closing_is_noted_and_costs_nothing_where_we_wrote_nothing(scene):
    number = scene.open()
    scene.github.close_issue(number, by="mara", repository=scene.repository)
    scene.hear()
    before = len(scene.github.requests())
    scene.review()
    assert len(scene.github.requests()) == before
    assert scene.store.one(Review).state == State.DONE
    assert Outcome.NOTED in {row.outcome for row in scene.deliveries()}
