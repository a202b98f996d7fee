"""A retraining takes in what it can use, however much people have said in all the years."""

from __future__ import annotations

import gc
import tracemalloc

import pytest

from app.core.settings import Settings
from app.db import corrections
from app.db.clock import from_now
from app.db.learning import Retraining
from app.db.session import Database
from app.db.tables import State
from tests.training import taught
from training.lessons import Shares
from training.retraining import draft
from training.retraining import plan as plans

MANY = 230
PARTS = ("fit", "calibration", "holdout")


@pytest.fixture
def long_ago(sqlite_database):
    """A repository of which much was said; the very first issue was corrected last of all."""
    taught.repository(sqlite_database)
    taught.teach(sqlite_database, taught.reports(MANY))
    return sqlite_database


def draw_up(database: Database, folder, **settings):
    given = Settings(_env_file=None, data_dir=folder, model="smollm2-135m", **settings)
    with database.transaction() as session:
        row = Retraining(
            repository_id=taught.REPOSITORY,
            asked_by="a test",
            created_at=from_now(),
            due_at=from_now(),
            state=State.DONE,
        )
        session.add(row)
        session.flush()
        plan = draft.draw_up(session, row, folder / "plan", given, Shares())
    parts = {part: plans.rows(folder / "plan", plan, part) for part in PARTS}
    return plan, {part: [row.number for row in rows] for part, rows in parts.items()}


def test_of_a_long_history_the_newer_half_is_taken_and_a_draw_of_the_rest(long_ago, tmp_path):
    plan, parts = draw_up(long_ago, tmp_path, retraining_rows=100)
    taken = sorted(number for numbers in parts.values() for number in numbers)
    # Four times the least that may judge; the newer half of them is the newest there is.
    assert len(taken) == 160
    assert taken[80:] == list(range(MANY - 79, MANY + 1))
    assert max(parts["fit"]) < min(parts["holdout"])
    # What was left behind is no news: it would be trained on again and again.
    with long_ago.reading() as session:
        assert plan.until == corrections.newest(session, taught.REPOSITORY)
    assert draw_up(long_ago, tmp_path / "again", retraining_rows=100)[1] == parts


def test_a_short_history_is_taken_whole(long_ago, tmp_path):
    _, parts = draw_up(long_ago, tmp_path)
    assert sum(map(len, parts.values())) == MANY


def test_texts_that_are_not_asked_for_are_not_held(sqlite_database):
    size, count = 60_000, 400
    taught.repository(sqlite_database)
    big = [r.model_copy(update={"body": r.body.ljust(size, ".")}) for r in taught.reports(count)]
    taught.teach(sqlite_database, big)
    del big
    gc.collect()
    tracemalloc.start()
    with sqlite_database.reading() as session:
        numbers = corrections.issues(session, taught.REPOSITORY)
        few = corrections.lessons(session, taught.REPOSITORY, issues=set(numbers[-2:]))
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert {lesson.issue_number for lesson in few} == {count - 1, count}
    assert len(few[0].text.body) == size
    assert peak < count * size / 2
