"""The same delivery again makes no second job, and tries again what died."""

import threading
from concurrent.futures import ThreadPoolExecutor

from app.db.clock import from_now
from app.db.session import Database
from app.db.tables import (
    Application,
    Delivery,
    IssueSnapshot,
    Outcome,
    State,
)
from app.intake.delivery import accept
from app.queue import Task
from tests.webhooks import installation_event, issue_event


def test_duplicate_makes_no_second_job(take, rows):
    first = take("issues", issue_event(), guid="g-1")
    again = take("issues", issue_event(), guid="g-1")
    assert (first.duplicate, again.duplicate) == (False, True)
    assert again.ring is None
    assert len(rows(IssueSnapshot)) == len(rows(Delivery, Delivery.guid)) == 1


def test_same_delivery_at_the_same_time_from_several_processes_makes_one_job(database, rows):
    start = threading.Barrier(4)

    def once(_):
        mine = Database(database.url.render_as_string(hide_password=False))
        start.wait()
        accepted = accept(mine, "issues", "g-1", issue_event())
        mine.close()
        return accepted.duplicate

    with ThreadPoolExecutor(4) as pool:
        assert sorted(pool.map(once, range(4))) == [False, True, True, True]
    assert len(rows(IssueSnapshot)) == len(rows(Delivery, Delivery.guid)) == 1


def test_redelivery_reopens_an_issue_that_died(take, texts, finish_all):
    take("issues", issue_event(title="Crash"), guid="g-1")
    finish_all(State.DEAD)
    again = take("issues", issue_event(title="Crash"), guid="g-1")
    assert (again.duplicate, again.ring) == (True, Task.TRIAGE)
    assert texts() == [("Crash", "pending")]


def test_redelivery_reopens_labels_that_died(take, rows, database, finish_all):
    take("issues", issue_event(), guid="g-1")
    finish_all()
    [snapshot] = rows(IssueSnapshot)
    with database.transaction() as session:
        session.add(
            Application(
                snapshot_id=snapshot.id,
                model_version="m",
                run_id="r",
                wanted={},
                created_at=from_now(),
                due_at=from_now(),
                state=State.DEAD,
            )
        )
    assert take("issues", issue_event(), guid="g-1").ring == Task.LABEL
    assert [str(row.state) for row in rows(Application)] == ["pending"]


def test_redelivery_of_a_done_issue_does_nothing(take, texts, finish_all):
    take("issues", issue_event(title="Crash"), guid="g-1")
    finish_all()
    assert take("issues", issue_event(title="Crash"), guid="g-1").ring is None
    assert texts() == [("Crash", "done")]


def test_redelivery_of_an_ignored_delivery_is_looked_at_again(take, rows):
    take("installation", installation_event("suspend"))
    assert take("issues", issue_event(), guid="g-1").outcome == Outcome.IGNORED
    take("installation", installation_event("unsuspend"))
    assert take("issues", issue_event(), guid="g-1").outcome == Outcome.TRIAGE
    [stored] = [row for row in rows(Delivery, Delivery.guid) if row.guid == "g-1"]
    assert stored.outcome == Outcome.TRIAGE
