"""One person's flood teaches nothing, however slowly it comes and in whatever order it is told."""

from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import select

from app.core.corrections import Change, Finding
from app.db import corrections
from app.db.clock import from_now
from app.db.learning import Correction
from app.db.tables import Installation, Repository

T0 = datetime(2026, 11, 1, tzinfo=UTC)
TOO_MANY = "more than 3 a day by one person"


@pytest.fixture
def say(database):
    """`say(number, hours)`: somebody sets a label then; three a day teach, and two an hour."""
    with database.transaction() as session:
        session.add(Installation(id=1, account="octo", created_at=from_now()))
        session.flush()
        session.add(Repository(id=1, installation_id=1, full_name="octo/game", private=False))

    def add(number, hours, change=Change.ADDED, actor_id=5):
        at = T0 + timedelta(hours=hours)
        finding = Finding("severity", change, ("low",), (), actor_id, "tom", at)
        nobody = {"snapshot_id": None, "versions": {}}
        caps = {"per_hour": 2, "per_day": 3}
        with database.transaction() as session:
            corrections.store(session, 1, number, [finding], **nobody, **caps)

    return add


@pytest.fixture
def held(database):
    """Number of the issue -> why its correction teaches nothing."""

    def read():
        with database.reading() as session:
            rows = session.scalars(select(Correction).order_by(Correction.issue_number))
            return {row.issue_number: row.quarantine for row in rows}

    return read


def test_more_than_a_days_share_teaches_nothing_and_the_next_day_there_is_room(say, held):
    for number in (4, 1, 6, 3, 5, 2):
        say(number, 5 * number)
    assert held() == {1: None, 2: None, 3: None, 4: TOO_MANY, 5: TOO_MANY, 6: TOO_MANY}
    say(7, 5 * 6 + 24)
    assert held()[7] is None


def test_an_hours_share_holds_within_the_day(say, held):
    for number in range(1, 5):
        say(number, number / 10)
    assert held() == {
        1: None,
        2: None,
        3: "more than 2 an hour by one person",
        4: "more than 2 an hour by one person",
    }


def test_confirmations_and_other_people_are_counted_apart(say, held):
    for number in range(1, 4):
        say(number, 5 * number)
    say(4, 16, Change.CONFIRMED)
    say(5, 16, actor_id=6)
    say(6, 17)
    assert {number for number, why in held().items() if why} == {6}


def test_an_earlier_one_that_is_told_late_pushes_a_later_one_out(say, held):
    for number in (2, 3, 4):
        say(number, 5 * number)
    assert held() == {2: None, 3: None, 4: None}
    say(1, 5)
    assert held() == {1: None, 2: None, 3: None, 4: TOO_MANY}
