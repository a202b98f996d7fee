"""Where GitHub refuses what a command needs, it waits for an owner, and does not die of it."""

from app.db.learning import Command
from app.db.tables import Repository
from tests.worker.labelling.journal import HIGH


def test_a_command_outlasts_any_number_of_refusals_and_each_ends_with_a_fresh_token(desk):
    desk.github.rest("POST", f"/repos/{desk.repository}/labels", json={"name": HIGH})
    desk.github.fault("POST /repos/*/*/issues/*/labels", "status", status=403, times=5)
    said = desk.comment("/severity high")
    tokens = []
    for _ in range(5):
        desk.commanding.run_batch()
        row = desk.row(said)
        assert (row.state, row.attempts) == ("pending", 0)
        assert row.due_at > row.created_at
        tokens.append(sum(r["path"].endswith("/access_tokens") for r in desk.github.requests()))
        desk.store.make_due(Command)
    # An owner may have granted meanwhile what the old token does not have.
    assert tokens == [1, 2, 3, 4, 5]
    assert desk.store.one(Repository).refused_since is not None
    desk.commanding.run_batch()
    assert (desk.labels, desk.row(said).state) == ({HIGH}, "done")
    assert desk.store.one(Repository).refused_since is None
