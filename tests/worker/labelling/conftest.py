"""Issues of the stand-in that wait to be labelled."""

import pytest

from app.core.taxonomy import DEFAULT_TAXONOMY
from tests.worker.conftest import Store
from tests.worker.labelling.journal import HIGH, LOW, UI, WANTED
from worker.labelling import Labelling


@pytest.fixture
def labels(github, repository):
    """The labels of these tests are in the repository."""
    for name in (HIGH, LOW, UI, "component: audio"):
        body = {"name": name, "color": "ffffff"}
        github.rest("POST", f"/repos/{repository}/labels", json=body)


@pytest.fixture
def store(sqlite_database, github, repository):
    """SQLite: what GitHub is told does not depend on the database. test_turns.py asks both."""
    return make_store(sqlite_database, github, repository)


def make_store(database, github, repository):
    """A store that knows the stand-in's repository, under GitHub's numbers."""
    made = Store(database)
    number = github.rest("GET", f"/repos/{repository}")["id"]
    made.repository_id = number
    made.repository(number, github.installation_id, repository)
    return made


@pytest.fixture
def labelling(store, app_client, settings):
    return Labelling(store.database, app_client, DEFAULT_TAXONOMY, settings)


@pytest.fixture
def issue(github, repository):
    return github.open_issue(repository=repository)["number"]


@pytest.fixture
def wants(store):
    """Let an issue wait for labels; its Application's id."""

    def want(number, wanted=WANTED, **more):
        return store.to_write(number, wanted, repository_id=store.repository_id, **more)

    return want
