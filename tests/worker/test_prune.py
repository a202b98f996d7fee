"""The model store forgets what nobody will ask for, and nothing else."""

import pytest
from sqlalchemy import update

from app.core.errors import TriageError
from app.db.clock import from_now
from app.db.learning import ModelVersion
from tests.worker.test_version_commands import adapter, commands, run, store  # noqa: F401
from worker import prune_command

HOME = ("--repository", "octo/game")


@pytest.fixture
def history(store, adapter):  # noqa: F811
    """Of octo/game: a, b and c served one after the other, d is a candidate; e is shared."""
    for version in "abcd":
        run("models", "add", adapter(version), *HOME)
    run("models", "add", adapter("e"))
    for version in "abce":
        run("promote", version)
    return store


def age(store, *versions, days=31):  # noqa: F811
    """Let these have changed last so many days ago."""
    ago = from_now(-days * 86400.0)
    with store.database.transaction() as session:
        for column in ("created_at", "activated_at", "retired_at"):
            had = getattr(ModelVersion, column).is_not(None)
            chosen = update(ModelVersion).where(ModelVersion.version.in_(versions), had)
            session.execute(chosen.values({column: ago}))


def kept(tmp_path):
    return len(list((tmp_path / "store").iterdir()))


def test_what_serves_and_what_a_rollback_goes_back_to_stays(history, tmp_path):
    age(history, *"abcde")
    listed = run("models", "prune")
    assert [line.split()[1] for line in listed.splitlines()[:-1]] == ["a", "d"]
    assert listed.splitlines()[-1].endswith("; add --yes to delete them")
    assert kept(tmp_path) == 5
    assert (
        run("models", "prune", "--yes").splitlines()[-1].startswith("deleted: 2 adapters, 0.0 MB")
    )
    assert kept(tmp_path) == 3
    assert "b answers from the next batch on" in run("rollback", "octo/game")
    assert run("models", "prune") == "nothing to delete\n"


def test_what_changed_a_short_while_ago_stays(history, tmp_path):
    age(history, "a", "d", days=29)
    assert run("models", "prune") == "nothing to delete\n"
    assert "2 adapters" in run("models", "prune", "--days", 28)
    # A candidate of yesterday may be looked at by a person yet.
    age(history, "a")
    assert "1 adapters" in run("models", "prune")


def test_no_rollback_goes_to_what_was_pruned(history):
    run("rollback", "octo/game", "--reason", "slow")
    age(history, *"abcd")
    # b serves again and has replaced a, so a stays; nothing goes back to c.
    assert [line.split()[1] for line in run("models", "prune").splitlines()[:-1]] == ["c", "d"]
    run("models", "prune", "--yes")
    assert "a answers from the next batch on" in run("rollback", "octo/game")


def test_what_was_pruned_says_so_and_serves_again_only_once_it_was_put_back(
    history,
    adapter,  # noqa: F811
    tmp_path,
):
    age(history, "d")
    run("models", "prune", "--yes")
    assert "its adapter was pruned" in run("models")
    with pytest.raises(TriageError, match="triora models add"):
        run("promote", "d")
    run("models", "add", tmp_path / "d", *HOME)
    assert "its adapter was pruned" not in run("models")
    assert "d is in service" in run("promote", "d")


def test_a_version_that_somebody_promotes_meanwhile_stays(history, monkeypatch, tmp_path):
    age(history, "a", "d")
    delete = prune_command._delete

    def promote_first(store, version, days):  # noqa: F811
        if version == "a":
            run("promote", "d")
        delete(store, version, days)

    monkeypatch.setattr(prune_command, "_delete", promote_first)
    run("models", "prune", "--yes")
    # d serves now, and c is what it replaced.
    assert kept(tmp_path) == 4
    assert run("models", "octo/game").startswith("octo/game is answered by d\n")


def test_a_store_that_does_not_answer_leaves_everything_as_it_was(history, monkeypatch):
    age(history, "d")

    def refuse(*_):
        raise PermissionError

    monkeypatch.setattr("fsspec.implementations.local.LocalFileSystem.rm", refuse)
    with pytest.raises(TriageError, match="TRIORA_MODEL_STORE"):
        run("models", "prune", "--yes")
    assert "its adapter was pruned" not in run("models")
