"""What is listed of each issue: its newest text, and of one repository only what was asked for."""

from datetime import UTC, datetime, timedelta

import pytest

from app import predictions
from app.core.errors import ConfigProblem
from app.db.clock import from_now
from app.db.insertion import insert_new
from app.db.tables import Application, Installation, IssueSnapshot, Prediction, Repository, State

T0 = datetime(2026, 11, 1, 12, tzinfo=UTC)


@pytest.fixture
def add(database):
    """Keep a text that was scored and labelled: `add(number, title, observed)`, hours after T0."""

    def add(number, title, observed, repository_id=1):
        with database.transaction() as session:
            insert_new(session, Installation, id=1, account="octo", created_at=T0)
            name = f"octo/{repository_id}"
            known = {"installation_id": 1, "full_name": name, "private": False}
            insert_new(session, Repository, id=repository_id, **known)
            snapshot = IssueSnapshot(
                repository_id=repository_id,
                issue_number=number,
                author="ann",
                title=title,
                body="",
                content_hash=title,
                observed_at=T0 + timedelta(hours=observed),
                created_at=from_now(),
                due_at=from_now(),
                state=State.DONE,
            )
            session.add(snapshot)
            session.flush()
            session.add(
                Prediction(
                    snapshot_id=snapshot.id,
                    dimension="severity",
                    model_version="m/1",
                    scores={title: 1.0},
                    created_at=T0,
                )
            )
            session.add(
                Application(
                    snapshot_id=snapshot.id,
                    model_version="m/1",
                    run_id="r",
                    state=State.DONE,
                    due_at=T0,
                    wanted={"severity": [title]},
                    written=[title],
                    created_at=T0,
                )
            )

    return add


@pytest.fixture
def listed(database):
    """(repository, number, written, scores) of each line."""

    def listed(repository=None):
        with database.reading() as session:
            return [
                (line.repository, line.number, line.written, line.dimensions["severity"])
                for line in predictions.latest(session, repository)
            ]

    return listed


def test_a_text_an_author_returned_to_is_the_one_that_is_listed(add, listed):
    add(1, "first", observed=2)
    add(1, "second", observed=1)
    [(_, _, written, answer)] = listed()
    assert written == ["first"]
    assert answer.probabilities == {"first": 1.0}


def test_issues_come_in_the_order_in_which_they_were_first_seen(add, listed):
    add(1, "one", observed=0)
    add(2, "two", observed=1)
    add(1, "one again", observed=2)
    assert [(number, written) for _, number, written, _ in listed()] == [
        (1, ["one again"]),
        (2, ["two"]),
    ]


def test_a_named_repository_is_listed_alone_and_whole(add, listed):
    add(1, "here", observed=0)
    add(1, "there", observed=0, repository_id=2)
    assert [line[:3] for line in listed("octo/2")] == [("octo/2", 1, ["there"])]
    assert listed("octo/2")[0][3].probabilities == {"there": 1.0}
    with pytest.raises(ConfigProblem, match="not installed on octo/3"):
        listed("octo/3")
