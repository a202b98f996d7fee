"""The nearest corrected issues of a repository."""

import numpy as np
import pytest

from app.db import memories
from app.db.learning import Correction
from app.db.memories import Kept
from tests.worker.conftest import T0, Store
from worker.nearest import nearest


@pytest.fixture
def store(sqlite_database):
    made = Store(sqlite_database)
    made.repository()
    return made


def seen(store, number, *vector, label=None):
    """An issue with that vector, corrected if a severity is given; its snapshot's id."""
    snapshot = store.issue(number, f"issue {number}")
    with store.database.transaction() as session:
        bytes_ = np.array(vector, dtype="<f2").tobytes()
        memories.keep(session, 1, snapshot, "words-1", Kept(bytes_, {}))
        if label is not None:
            session.add(
                Correction(
                    repository_id=1,
                    issue_number=number,
                    snapshot_id=snapshot,
                    dimension="severity",
                    change="replaced",
                    labels=[label],
                    predicted=["low"],
                    actor_id=1,
                    actor="tom",
                    happened_at=T0,
                )
            )
    return snapshot


def test_the_nearest_corrected_issues_are_named_whatever_all_issues_share(store):
    here = seen(store, 1, 100, 1, 0)
    seen(store, 2, 100, 0.9, 0.1, label="high")
    seen(store, 3, 100, -1, 0, label="low")
    seen(store, 4, 100, 1, 0)
    seen(store, 5, 100, -0.9, -0.1)
    with store.database.reading() as session:
        (near,) = nearest(session, 1, here, "words-1")
        assert (near.number, near.labels) == (2, {"severity": "high"})
        assert near.likeness > 0.9
        assert nearest(session, 1, here, "another-2") == []
        assert nearest(session, 2, here, "words-1") == []
