"""So much is written for an installation as GitHub bears, whichever process writes."""

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from itertools import pairwise

import pytest
from sqlalchemy import delete, insert, select

from app.db import budget
from app.db.clock import from_now
from app.db.tables import Write

SECOND = timedelta(seconds=1)


@pytest.fixture
def take(database):
    """How long one more write of an installation has to wait, at most 500 an hour."""

    def ask(installation=1, per_hour=500, spacing=SECOND):
        with database.transaction() as session:
            at, now = budget.take(session, installation, per_hour=per_hour, spacing=spacing)
        return at - now

    return ask


@pytest.fixture
def written(database):
    """Writes that were made so many seconds ago."""

    def make(*ages, installation=1):
        with database.transaction() as session:
            for age in ages:
                values = {"installation_id": installation, "at": from_now(-float(age))}
                session.execute(insert(Write).values(values))

    return make


def test_a_first_write_waits_for_nothing_and_the_next_one_for_a_second(take):
    assert take() == timedelta(0)
    assert timedelta(0) < take() <= SECOND


def test_writers_who_start_together_get_moments_of_their_own(database, take):
    with ThreadPoolExecutor(4) as writers:
        list(writers.map(lambda _: take(spacing=timedelta(seconds=60)), range(4)))
    with database.reading() as session:
        times = sorted(session.scalars(select(Write.at)))
    # The first now, the second a minute later; there is no room for the others yet.
    assert [later - earlier for earlier, later in pairwise(times)] == [timedelta(seconds=60)]


@pytest.mark.parametrize(
    ("ages", "per_hour", "least", "most"),
    [
        ([10.0] * 79, 500, 0, 0),
        ([10.0] * 80, 500, 49, 50),
        ([59.0] * 79 + [61.0], 500, 0, 0),
        ([1800.0] * 19 + [3000.0], 20, 599, 600),
        ([1800.0] * 19 + [3601.0], 20, 0, 0),
    ],
)
def test_no_minute_sees_more_than_80_and_no_hour_more_than_its_budget(
    take, written, ages, per_hour, least, most
):
    written(*ages)
    assert least <= take(per_hour=per_hour).total_seconds() <= most


def test_what_is_put_off_is_not_counted_and_other_installations_go_on(database, take, written):
    written(*[10.0] * 80)
    take()
    assert take(installation=2) == timedelta(0)
    with database.reading() as session:
        mine = session.scalars(select(Write.id).where(Write.installation_id == 1)).all()
    assert len(mine) == 80


def test_writes_are_forgotten_after_an_hour(database, take, written):
    written(3601.0, 7200.0, 30.0)
    take()
    with database.transaction() as session:
        assert len(session.scalars(select(Write.id)).all()) == 2
        session.execute(delete(Write))
