"""What a repository's configuration changes before anything is triaged."""

import pytest
from sqlalchemy import select, update

from app.core.repository_config import parse
from app.db.clock import from_now
from app.db.learning import RepositoryConfig
from app.db.tables import IssueSnapshot, Outcome
from tests.webhooks import issue_event


@pytest.fixture
def says(take, database):
    """`says(raw)`: the repository is known, and this is in force there."""

    def write(raw):
        take("issues", issue_event(number=99))
        parse(str(raw))
        with database.transaction() as session:
            session.execute(update(RepositoryConfig).values(in_force=raw, read_at=from_now()))

    return write


def test_a_repository_is_known_with_a_configuration_to_be_read_at_once(take, rows):
    take("issues", issue_event())
    [row] = rows(RepositoryConfig)
    assert (row.id, row.state, row.read_at, row.in_force) == (11, "pending", None, None)


def test_its_grace_delay_goes_before_the_operators(take, says, database):
    says({"grace_seconds": 600})
    take("issues", issue_event(number=1), grace_seconds=5)
    with database.reading() as session:
        found = select(IssueSnapshot).where(IssueSnapshot.issue_number == 1)
        wait = session.scalars(found).one().due_at - session.scalars(select(from_now())).one()
    assert 500 < wait.total_seconds() <= 600


def test_a_label_of_its_own_taxonomy_set_by_a_person_ends_triage(take, says):
    says({"dimensions": {"severity": {"labels": {"critical": {"github": "P0"}}}}})
    take("issues", issue_event(number=1, title="first"))
    take("issues", issue_event("labeled", number=1, label="P0"))
    edited = issue_event("edited", number=1, title="second", changes={"title": {"from": "first"}})
    accepted = take("issues", edited)
    assert accepted.outcome == Outcome.IGNORED
