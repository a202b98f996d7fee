"""The sweep asks for the retrainings that are due, by each repository's own rule."""

from __future__ import annotations

from app.db.learning import Retraining
from tests.training import taught
from worker.reconcile import bells_to_ring
from worker.relearning import ask_where_due


def test_a_hundred_corrections_start_one_retraining_and_ring_for_it(store):
    # Two corrections in every other issue; the rest is confirmed.
    taught.teach(store.database, taught.reports(98))
    assert ask_where_due(store.database) == 0
    taught.teach(store.database, taught.reports(99)[98:], first=100)
    assert ask_where_due(store.database) == 1
    assert ask_where_due(store.database) == 0
    assert store.one(Retraining).asked_by == "schedule"
    assert "triora.retrain" in bells_to_ring(store.database)
