"""Up to when is every delivery accounted for; a long gap is noticed once, a quiet time is none."""

from datetime import UTC, datetime, timedelta

import pytest

from app.db import absence
from app.db.absence import MARGIN
from app.db.tables import Delivery, Outcome

NOON = datetime(2026, 11, 1, 12, tzinfo=UTC)
DAY = timedelta(days=1)


@pytest.fixture
def note(sqlite_database):
    def note(at, *missing, complete=True):
        with sqlite_database.transaction() as session:
            return absence.note(session, at, missing, complete=complete, longest=DAY)

    return note


def test_a_first_start_and_quiet_weeks_are_no_absence(note):
    for hours in range(0, 24 * 14, 6):
        assert note(NOON + timedelta(hours=hours)) is None


def test_a_time_in_which_nothing_ran_is_noticed_once(note):
    note(NOON)
    back = NOON + timedelta(days=5)
    assert note(back) == NOON - MARGIN
    assert note(back + timedelta(minutes=5)) is None


def test_an_absence_before_the_first_sweep_is_measured_by_the_last_delivery(note, sqlite_database):
    with sqlite_database.transaction() as session:
        session.add(
            Delivery(guid="g", event="ping", outcome=Outcome.IGNORED, reason="", received_at=NOON)
        )
    assert note(NOON + 4 * DAY) == NOON - MARGIN


def test_a_receiver_that_is_down_while_the_sweeps_go_on_is_an_absence(note):
    note(NOON)
    lost = NOON + timedelta(hours=1)
    noticed = [note(lost + timedelta(hours=h), lost) for h in range(60)]
    # From the first delivery that is not here; asked once, not with every sweep.
    assert [at for at in noticed if at is not None] == [lost - MARGIN]


def test_what_arrives_after_all_ends_the_count(note):
    note(NOON)
    lost = NOON + timedelta(hours=1)
    assert note(lost + timedelta(hours=20), lost) is None
    assert note(lost + timedelta(hours=21)) is None
    assert note(lost + timedelta(hours=30)) is None


def test_a_list_that_was_cut_does_not_count_as_complete(note):
    note(NOON)
    for hours in range(1, 24):
        assert note(NOON + timedelta(hours=hours), complete=False) is None
    assert note(NOON + DAY, complete=False) == NOON - MARGIN
