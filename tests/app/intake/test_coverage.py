"""Installations and repositories: what the App covers, whatever arrives first."""

import pytest
from sqlalchemy import select

from app.db.clock import from_now
from app.db.tables import (
    Application,
    Installation,
    IssueSnapshot,
    Outcome,
    Repository,
    State,
)
from tests.webhooks import actor, installation_event, issue_event, repository


def test_installation_brings_its_repositories(take, rows):
    listed = [
        {"id": 12, "name": "b", "full_name": "octo/b", "private": True},
        {"id": 11, "name": "a", "full_name": "octo/a", "private": False},
    ]
    accepted = take("installation", installation_event("created", repositories=listed))
    assert accepted.outcome == Outcome.INSTALLATION
    assert [(row.id, row.full_name, row.private) for row in rows(Repository)] == [
        (11, "octo/a", False),
        (12, "octo/b", True),
    ]


def test_installation_that_arrives_after_its_first_issue_corrects_the_account(take, rows):
    take("issues", issue_event())
    account = actor("acme", 100, "Organization")
    take("installation", installation_event("created", installation={"account": account}))
    assert [row.account for row in rows(Installation)] == ["acme"]


def test_uninstalled_app_does_nothing_more(take, rows):
    take("installation", installation_event("deleted"))
    accepted = take("issues", issue_event(at="2099-01-01T00:00:00Z"))
    assert (accepted.outcome, accepted.reason) == (Outcome.IGNORED, "the App was uninstalled")
    assert rows(Installation)[0].deleted_at is not None


def test_late_creation_does_not_undo_an_uninstallation(take, rows):
    take("installation", installation_event("deleted"))
    take("installation", installation_event("created"))
    assert rows(Installation)[0].deleted_at is not None


def test_new_installation_takes_the_repository_over_and_keeps_it(take, rows):
    take("issues", issue_event())
    take("installation", installation_event("deleted"))
    assert take("issues", issue_event(number=2, installation=6)).outcome == Outcome.TRIAGE
    take("issues", issue_event(number=3, installation=5))
    assert [row.installation_id for row in rows(Repository)] == [6]


def test_suspended_installation_is_ignored_until_it_is_back(take):
    suspension = {"suspended_at": "2026-11-02T00:00:00Z"}
    take("installation", installation_event("suspend", installation=suspension))
    assert "suspended" in take("issues", issue_event()).reason
    take("installation", installation_event("unsuspend"))
    assert take("issues", issue_event()).outcome == Outcome.TRIAGE


@pytest.fixture
def refused(take, database):
    """Labels of issue 1 that GitHub refused for good, and of issue 2 that wait for an hour."""
    for number, state in ((1, State.DEAD), (2, State.PENDING)):
        take("issues", issue_event(number=number))
        with database.transaction() as session:
            snapshot = session.scalar(
                select(IssueSnapshot).where(IssueSnapshot.issue_number == number)
            )
            snapshot.state = State.DONE
            session.add(
                Application(
                    snapshot_id=snapshot.id,
                    model_version="m/1",
                    run_id="r",
                    wanted={"severity": ["severity: high"]},
                    created_at=from_now(),
                    due_at=from_now(3600),
                    attempts=8,
                    state=state,
                    error="NotPermitted: GitHub refused (403)",
                )
            )
    # Its text was put off while nothing was to be done.
    take("issues", issue_event(number=3), grace_seconds=3600)
    with database.transaction() as session:
        put_off = session.scalar(select(IssueSnapshot).where(IssueSnapshot.issue_number == 3))
        put_off.error = "the installation is suspended"


@pytest.mark.parametrize("action", ["unsuspend", "new_permissions_accepted"])
def test_an_owner_who_lets_us_back_in_gets_the_labels_that_were_refused(
    take, database, refused, action
):
    take("installation", installation_event(action))
    with database.reading() as session:
        for table, count in ((Application, 2), (IssueSnapshot, 1)):
            ready = session.scalars(
                select(table).where(table.state == State.PENDING, table.due_at <= from_now())
            )
            assert len(list(ready)) == count


def test_an_owner_of_another_installation_changes_nothing(take, rows, refused):
    take("installation", installation_event("unsuspend", number=6))
    assert [row.state for row in rows(Application)] == [State.DEAD, State.PENDING]


def test_event_after_a_suspension_proves_that_it_is_over(take):
    suspension = {"suspended_at": "2026-11-02T00:00:00Z"}
    take("installation", installation_event("unsuspend"))
    take("installation", installation_event("suspend", installation=suspension))
    assert take("issues", issue_event(at="2026-11-02T00:00:01Z")).outcome == Outcome.TRIAGE


def test_removed_repository_is_ignored_until_it_is_back(take, rows):
    take("issues", issue_event())
    listed = {"id": 11, "full_name": "octo/game", "private": False}
    removed = installation_event("removed", repositories_removed=[listed])
    assert take("installation_repositories", removed).outcome == Outcome.INSTALLATION
    assert "removed" in take("issues", issue_event(number=2)).reason
    added = installation_event("added", repositories_added=[listed])
    take("installation_repositories", added)
    assert rows(Repository)[0].removed_at is None
    assert take("issues", issue_event(number=2)).outcome == Outcome.TRIAGE


def test_event_after_a_removal_proves_that_the_repository_is_back(take):
    take("issues", issue_event())
    listed = {"id": 11, "full_name": "octo/game", "private": False}
    take(
        "installation_repositories",
        installation_event("removed", repositories_removed=[listed]),
    )
    later = issue_event(number=2, at="2099-01-01T00:00:00Z")
    assert take("issues", later).outcome == Outcome.TRIAGE


def test_removal_by_another_installation_changes_nothing(take, rows):
    take("issues", issue_event())
    listed = {"id": 11, "full_name": "octo/game", "private": False}
    take(
        "installation_repositories",
        installation_event("removed", number=6, repositories_removed=[listed]),
    )
    assert rows(Repository)[0].removed_at is None


def repository_event(action, **keys):
    return {
        "action": action,
        "repository": repository() | keys,
        "installation": {"id": 5},
        "sender": actor(),
    }


def test_renamed_repository_keeps_its_row(take, rows):
    take("issues", issue_event())
    take("repository", repository_event("renamed", full_name="octo/engine"))
    assert [(row.id, row.full_name) for row in rows(Repository)] == [(11, "octo/engine")]


@pytest.mark.parametrize(("action", "private"), [("privatized", True), ("publicized", False)])
def test_visibility_follows(take, rows, action, private):
    take("repository", repository_event(action, private=private))
    assert [row.private for row in rows(Repository)] == [private]


def test_deleted_repository_is_covered_no_more(take, rows):
    take("repository", repository_event("deleted"))
    assert rows(Repository)[0].removed_at is not None


def test_repository_transferred_away_is_covered_no_more(take, rows):
    take("installation", installation_event("created"))
    moved = repository_event("transferred", full_name="evil/game", owner=actor("evil", 8))
    take("repository", moved)
    assert rows(Repository)[0].removed_at is not None


def test_repository_transferred_to_us_is_covered(take, rows):
    take("installation", installation_event("created"))
    take("repository", repository_event("transferred"))
    assert rows(Repository)[0].removed_at is None
