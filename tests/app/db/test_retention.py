"""What the App left is forgotten after the days of the setting, and nothing else is."""

from sqlalchemy import func, select

from app.db import retention
from app.db.clock import from_now
from app.db.learning import Correction
from app.db.tables import Application, Decision, Installation, IssueSnapshot, Prediction, Repository
from app.intake.delivery import accept
from tests.webhooks import installation_event, issue_event, repository


def left(database, table):
    with database.reading() as session:
        return session.scalar(select(func.count()).select_from(table))


def forget_all(database, days=30):
    rounds = 0
    while True:
        with database.transaction() as session:
            if not retention.forget(session, days):
                return rounds
        rounds += 1


def change(database, row, **values):
    with database.transaction() as session:
        kept = session.get_one(*row)
        for column, value in values.items():
            setattr(kept, column, value)


def fill(database):
    """Installation 5 has repositories 11 (two issues, one scored) and 12; installation 6 has 13."""
    for number, (home, installation) in enumerate(((11, 5), (11, 5), (12, 5), (13, 6)), start=1):
        event = issue_event(
            number=number,
            repository=repository(home, f"octo/r{home}"),
            installation=installation,
        )
        accept(database, "issues", f"g-{number}", event)
    with database.transaction() as session:
        snapshot = session.scalar(select(IssueSnapshot.id).where(IssueSnapshot.issue_number == 1))
        prediction = Prediction(
            snapshot_id=snapshot,
            dimension="severity",
            model_version="m",
            scores={},
            created_at=from_now(),
        )
        session.add(prediction)
        session.flush()
        session.add(
            Decision(
                prediction_id=prediction.id,
                action="apply",
                labels=[],
                reason="",
                created_at=from_now(),
            )
        )
        session.add(
            Application(
                snapshot_id=snapshot,
                model_version="m",
                run_id="r",
                wanted={},
                created_at=from_now(),
                due_at=from_now(),
            )
        )
        session.add(
            Correction(
                repository_id=11,
                issue_number=1,
                snapshot_id=snapshot,
                dimension="severity",
                change="corrected",
                labels=["high"],
                predicted=[],
                actor_id=1,
                actor="tom",
                happened_at=from_now(),
            )
        )


def test_texts_of_an_uninstalled_app_are_deleted_after_the_days_and_no_others(
    database, monkeypatch
):
    monkeypatch.setattr(retention, "PORTION", 2)
    fill(database)
    accept(database, "installation", "gone", installation_event("deleted"))
    change(database, (Installation, 5), deleted_at=from_now(-29 * 86400))
    assert forget_all(database) == 0
    assert left(database, IssueSnapshot) == 4
    change(database, (Installation, 5), deleted_at=from_now(-31 * 86400))
    assert forget_all(database) > 2
    assert left(database, IssueSnapshot) == 1
    for table in (Prediction, Decision, Application, Correction):
        assert left(database, table) == 0, table
    # Numbers are kept: a late delivery must not bring an uninstalled App back.
    assert left(database, Repository) == 3


def test_a_repository_taken_out_is_forgotten_and_its_neighbour_is_not(database):
    fill(database)
    change(database, (Repository, 12), removed_at=from_now(-31 * 86400))
    forget_all(database)
    assert left(database, IssueSnapshot) == 3


def test_a_repository_that_came_back_under_a_new_installation_is_kept(database):
    fill(database)
    change(database, (Installation, 5), deleted_at=from_now(-31 * 86400))
    back = issue_event(number=9, repository=repository(11, "octo/r11"), installation=7)
    accept(database, "issues", "g-9", back)
    forget_all(database)
    with database.reading() as session:
        kept = session.scalars(select(IssueSnapshot.issue_number).order_by(IssueSnapshot.id))
        assert list(kept) == [1, 2, 4, 9]
