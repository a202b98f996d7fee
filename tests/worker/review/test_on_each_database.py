"""The same on SQLite and on PostgreSQL: one reviewer an installation, and nothing lost between."""

import threading

import pytest

from app.core.taxonomy import DEFAULT_TAXONOMY
from app.db import reviews, work
from app.db.learning import Review
from app.db.session import Database
from app.db.tables import State
from tests.worker.labelling.conftest import make_store
from tests.worker.labelling.journal import HIGH, LOW
from worker.review import Reviewing


@pytest.fixture
def store(database, github, repository):
    return make_store(database, github, repository)


def test_the_whole_way_and_two_reviewers_who_start_together(scene, app_client, settings):
    numbers = [scene.open() for _ in range(3)]
    scene.bot_says(numbers[0], severity=HIGH)
    for number in numbers:
        scene.label(number, LOW)
        scene.github.edit_issue(number, title="edited", repository=scene.repository)
    scene.hear()
    scene.store.make_due(Review)
    other = Database(scene.store.database.url.render_as_string(hide_password=False))
    barrier = threading.Barrier(2)
    claimed = []

    def look(database):
        barrier.wait(30)
        claimed.append(Reviewing(database, app_client, DEFAULT_TAXONOMY, settings).run_batch())

    threads = [threading.Thread(target=look, args=(d,)) for d in (scene.store.database, other)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    other.close()
    assert sorted(claimed) == [0, 3]
    assert scene.learnt(numbers[0]) == {"severity": ("replaced", ["low"])}
    assert scene.learnt(numbers[1]) == scene.learnt(numbers[2]) == {"severity": ("added", ["low"])}
    # What happens while somebody is at it takes the lease away, and the issue waits again.
    repository_id = scene.store.repository_id
    with scene.store.database.transaction() as session:
        reviews.want(session, repository_id, numbers[0])
    scene.store.make_due(Review)
    with scene.store.database.transaction() as session:
        (held,) = work.claim(session, Review, 1, 300)
    with scene.store.database.transaction() as session:
        reviews.want(session, repository_id, numbers[0])
    with scene.store.database.transaction() as session:
        assert work.finish(session, held) is False
    row = scene.store.one(Review, Review.issue_number == numbers[0])
    assert (row.state, row.lease_token, row.attempts) == (State.PENDING, None, 0)
