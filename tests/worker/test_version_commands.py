"""Operators list, add, promote and roll back versions; each refusal says what to do."""

import json
from datetime import UTC, datetime

import numpy as np
import pytest
from safetensors.numpy import save_file
from typer.testing import CliRunner

from app.cli import cli as triora
from app.core.errors import TriageError
from app.core.manifest import WEIGHTS, Manifest, file_digest
from app.core.prompt import PROMPT_VERSION
from app.db import models
from app.db.session import Database
from tests.worker.conftest import Store
from worker import version_commands

ZEROS = "0" * 64


@pytest.fixture
def store(sqlite_url, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("TRIORA_DATA_DIR", str(tmp_path / "data"))
    monkeypatch.setenv("TRIORA_DATABASE_URL", sqlite_url)
    monkeypatch.setenv("TRIORA_MODEL_STORE", str(tmp_path / "store"))
    made = Store(Database(sqlite_url))
    made.repository()
    yield made
    made.database.close()


@pytest.fixture
def adapter(tmp_path):
    """An adapter for the default base model, as far as anybody looks without loading it."""

    def made(version, base_model="smollm2-135m"):
        folder = tmp_path / version
        folder.mkdir()
        save_file({"w": np.frombuffer(version.encode(), dtype=np.uint8)}, folder / WEIGHTS)
        (folder / "adapter_config.json").write_text("{}")
        Manifest(
            version=version,
            base_model=base_model,
            prompt_version=PROMPT_VERSION,
            text_tokens=10,
            vocabulary={},
            taxonomy_digest=ZEROS,
            answers={},
            calibration={},
            data_digest=ZEROS,
            weights_sha256=file_digest(folder / WEIGHTS),
            created_at=datetime(2026, 11, 23, tzinfo=UTC),
        ).save(folder)
        return folder

    return made


@pytest.fixture(scope="module", autouse=True)
def commands():
    if not any(group.name == "models" for group in triora.registered_groups):
        version_commands.register(triora)


def run(*arguments):
    outcome = CliRunner().invoke(triora, [str(argument) for argument in arguments])
    if isinstance(outcome.exception, TriageError):
        raise outcome.exception
    assert outcome.exit_code == 0, outcome.output
    return outcome.stdout


def test_an_adapter_goes_into_service_and_out_again(store, adapter):
    assert "answered by the adapter that its workers were started with" in run("models")
    for version in ("a", "b"):
        assert "triora promote" in run(
            "models", "add", adapter(version), "--repository", "Octo/Game"
        )
    assert "a is in service" in run("promote", "a")
    assert "a is retired" in run("promote", "b")
    assert run("models", "octo/game").startswith("octo/game is answered by b\n")
    assert "a answers from the next batch on" in run("rollback", "octo/game", "--reason", "slow")
    lines = {v["version"]: v for v in map(json.loads, run("models", "--json").splitlines())}
    assert {name: line["state"] for name, line in lines.items()} == {"a": "active", "b": "retired"}
    assert lines["b"]["reason"] == "slow"
    assert lines["a"]["repository"] == "octo/game"


def test_a_shared_version_answers_where_a_repository_has_none(store, adapter):
    run("models", "add", adapter("shared"))
    run("promote", "shared")
    run("models", "add", adapter("own"), "--repository", "octo/game")
    run("promote", "own")
    assert "shared answers from the next batch on" in run("rollback", "octo/game")
    assert "workers were started with answers" in run("rollback", "--shared")


def test_what_was_refused_needs_insisting(store, adapter):
    run("models", "add", adapter("a"))
    with store.database.transaction() as session:
        models.find(session, "a").reason = "recall of critical fell"
    with pytest.raises(TriageError, match=r"recall of critical fell.*--force"):
        run("promote", "a")
    assert "a is in service" in run("promote", "a", "--force")


def test_what_no_worker_could_load_is_not_promoted_even_by_force(store, adapter, tmp_path):
    with pytest.raises(TriageError, match="TRIORA_MODEL=mistral-7b"):
        run("models", "add", adapter("foreign", base_model="mistral-7b"))
    run("models", "add", adapter("a"))
    (stored,) = (tmp_path / "store").iterdir()
    stored.unlink()
    with pytest.raises(TriageError, match="triora models add"):
        run("promote", "a", "--force")
    assert "candidate" in run("models")


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["rollback"], "--shared"),
        (["rollback", "octo/game", "--shared"], "--shared"),
        (["rollback", "--shared"], "nothing to roll back"),
        (["promote", "nothing"], "triora models"),
        (["models", "octo/nowhere"], "octo/nowhere"),
        (["models", "add", "nowhere"], "triora train"),
    ],
)
def test_a_mistake_is_told_with_what_to_do(store, arguments, told):
    with pytest.raises(TriageError, match=told):
        run(*arguments)
