"""A run or a model version is taken back: ours alone, and what nobody touched since."""

from datetime import UTC, datetime, timedelta

from app.db import work
from app.db.learning import Run
from app.db.tables import Application, State
from tests.worker.conftest import meanwhile
from tests.worker.labelling.journal import HIGH, LOW, UI, writes

AUDIO = "component: audio"


def deletions(github):
    return [path for method, path in writes(github) if method == "DELETE"]


def test_a_backfill_is_taken_back_and_what_people_touched_stays(works, store):
    plain, joined, confirmed, bare = (works.open(t) for t in ("high ui", "high ui", "low", "ui"))
    live = works.open("high live")
    store.to_write(live, {"severity": [HIGH]}, repository_id=store.repository_id, body="live")
    works.labelling.run_batch()
    done = works.backfill()
    works.finish(done)
    repository = works.repository
    works.github.label(joined, AUDIO, by="mara", repository=repository)
    works.github.unlabel(confirmed, LOW, by="mara", repository=repository)
    works.github.label(confirmed, LOW, by="mara", repository=repository)
    works.github.unlabel(bare, UI, by="mara", repository=repository)
    run = works.finish(works.undo(done[:6]))
    assert works.labels(plain) == set()
    assert works.labels(joined) == {UI, AUDIO}
    assert works.labels(confirmed) == {LOW}
    assert works.labels(live) == {HIGH}
    assert run.counts == {
        "stopped": 0,
        "taken_back": 3,
        "left": {"a person decided": 2, "somebody took it off already": 1},
    }
    undone = {row.snapshot_id: row.undone for row in store.rows(Application)}
    assert sorted(names for names in undone.values() if names) == [[HIGH], [HIGH, UI]]


def test_what_was_taken_back_can_be_backfilled_again(works):
    number = works.open("high")
    first = works.backfill()
    works.finish(first)
    works.finish(works.undo(first))
    assert works.labels(number) == set()
    works.finish(works.backfill())
    assert works.labels(number) == {HIGH}


def test_everything_a_model_version_wrote_is_taken_back(works, store):
    mine, other = works.open("high"), works.open("low")
    repository = {"repository_id": store.repository_id}
    store.to_write(mine, {"severity": [HIGH]}, version="bad-2", **repository)
    store.to_write(other, {"severity": [LOW]}, **repository)
    works.labelling.run_batch()
    works.finish(works.undo("bad-2"))
    assert works.labels(mine) == set()
    assert works.labels(other) == {LOW}


def test_a_backfill_that_goes_on_is_stopped_first(works, store):
    for i in range(3):
        works.open(f"high {i}")
    run = works.backfill()
    works.step()
    works.triage()
    undo = works.undo(run)
    works.finish(undo)
    assert works.run(run).state == State.SUPERSEDED
    assert works.run(undo).counts["stopped"] == 3
    assert works.step() == 0
    assert works.labelling.run_batch() == 0
    assert all(works.labels(n) == set() for n in (1, 2, 3))


def test_an_undo_that_was_killed_in_the_middle_goes_on_and_counts_each_label_once(works, store):
    numbers = [works.open(f"high {i}") for i in range(7)]
    done = works.backfill()
    works.finish(done)
    works.github.fault("DELETE /repos/*/*/issues/*/labels/*", "drop-after", skip=2)
    undo = works.undo(done)
    works.step()
    assert works.run(undo).counts["taken_back"] == 2
    works.finish(undo)
    assert [works.labels(n) for n in numbers] == [set()] * 7
    assert works.run(undo).counts["taken_back"] == 7
    assert works.run(undo).counts["left"] == {}
    assert len(deletions(works.github)) == 7


def test_issues_that_are_gone_are_passed_over(works, store):
    kept, deleted, moved = works.open("high a"), works.open("high b"), works.open("high c")
    done = works.backfill()
    works.finish(done)
    home = f"/repositories/{works.repository}/issues"
    works.github.control("DELETE", f"{home}/{deleted}")
    target = {"repository": "lantern-works/emberfall"}
    works.github.control("POST", f"{home}/{moved}/transfer", json=target)
    run = works.finish(works.undo(done))
    assert works.labels(kept) == set()
    assert run.counts["left"] == {"the issue is not there any more": 2}
    assert run.counts["taken_back"] == 1


def test_labels_and_undo_take_turns_at_an_installation(works, store):
    works.open("high")
    done = works.backfill()
    works.finish(done)
    undo = works.undo(done)
    live = works.open("low live")
    store.to_write(live, {"severity": [LOW]}, repository_id=store.repository_id)
    assert works.labelling.run_batch() == 0
    works.running.run_batch()
    store.change(Run, undo, due_at=datetime.now(UTC) + timedelta(minutes=1))
    assert works.labelling.run_batch() == 1


def test_a_label_somebody_touches_while_the_one_before_it_goes_stays(works, monkeypatch):
    number = works.open("high ui")
    done = works.backfill()
    works.finish(done)

    def act():
        works.github.label(number, AUDIO, by="mara", repository=works.repository)

    meanwhile(monkeypatch, "remove_label", act)
    run = works.finish(works.undo(done))
    assert works.labels(number) == {UI, AUDIO}
    assert run.counts == {"stopped": 0, "taken_back": 1, "left": {"a person decided": 1}}


def test_a_label_whose_row_died_of_lost_answers_is_taken_back_and_stays_off(works, store):
    number = works.open("high")
    run = works.backfill()
    works.step()
    works.triage()
    works.step()
    works.step()
    works.github.fault("POST /repos/*/*/issues/*/labels", "drop-after")
    works.labelling.run_batch()
    row = store.one(Application)
    store.change(Application, row.id, state=State.DEAD)
    assert works.labels(number) == {HIGH}
    works.finish(works.undo(run))
    with store.database.transaction() as session:
        assert work.revive(session, Application) == 0
    assert works.labels(number) == set()
