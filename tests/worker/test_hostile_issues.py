"""Issues made to hurt us go the whole way: GitHub, receiver, model, labels; and none stalls it."""

from __future__ import annotations

from pathlib import Path

import httpx
import pytest

from app.core.settings import Settings
from app.core.taxonomy import DEFAULT_TAXONOMY
from app.core.text import MAX_BODY
from app.db.session import Database
from app.db.tables import Application, IssueSnapshot, Prediction, State
from app.github.client import AppClient
from deploy.sandbox.sandbox import Sandbox
from tests.hostile import BODIES
from tests.webhooks import deliver, issue_event
from tests.worker.conftest import Store
from tests.worker.model.conftest import saved_mistral
from worker.labelling import Labelling
from worker.model.store import ModelStore
from worker.model.versions import Versions
from worker.triage import Triage

CROWDED = "lantern-works/ten-thousand-labels"
LABELS = [f"area/{number:05}" for number in range(10_000)]
TEXTS = {
    "nothing": ("", ""),
    "blank": (" ", "\n"),
    "the longest": ("t" * 256, "b" * MAX_BODY),
    **{
        name: (BODIES[name][:200], BODIES[name])
        for name in (
            "NUL",
            "emoji",
            "right to left",
            "overrides of direction",
            "lists ever deeper",
            "links ever deeper",
            "special tokens",
            "dimensions",
            "commands",
        )
    },
}


@pytest.fixture
def models(tmp_path: Path) -> Versions:
    """Real weights and a real tokenizer, as small as they come."""
    model = saved_mistral(tmp_path / "model")
    settings = Settings(
        _env_file=None,
        data_dir=tmp_path,
        model=str(model),
        adapter="none",
        device="cpu",
        threshold=0,
    )
    return Versions(settings, ModelStore(settings.model_store_url, settings.model_cache))


@pytest.fixture
def crowded(github: Sandbox) -> int:
    """The id of a repository with ten thousand labels, two of them ours."""
    ours = ["Severity: HIGH", "component: ui"]
    github.control("POST", "/repositories", json={"full_name": CROWDED, "labels": [*LABELS, *ours]})
    return int(github.rest("GET", f"/repos/{CROWDED}")["id"])


def test_hostile_issues_are_taken_in_scored_and_labelled_among_ten_thousand_labels(
    github: Sandbox,
    app_client: AppClient,
    crowded: int,
    sqlite_receiver: httpx.Client,
    sqlite_database: Database,
    models: Versions,
    tmp_path: Path,
) -> None:
    store = Store(sqlite_database)
    store.repository(crowded, github.installation_id, CROWDED)
    repository = {"id": crowded, "full_name": CROWDED}
    for title, body in TEXTS.values():
        # What GitHub would not take in itself stands in our database all the same.
        number = github.open_issue(title.strip() or "-", repository=CROWDED)["number"]
        event = issue_event(
            number=number,
            title=title,
            body=body,
            installation=github.installation_id,
            repository=repository,
        )
        assert deliver(sqlite_receiver, "issues", event).json()["outcome"] == "triage"

    settings = Settings(_env_file=None, data_dir=tmp_path, write_spacing_seconds=0, batch_size=64)
    triage = Triage(sqlite_database, models, DEFAULT_TAXONOMY, settings)
    labelling = Labelling(sqlite_database, app_client, DEFAULT_TAXONOMY, settings)
    while triage.run_batch().claimed:
        pass
    while labelling.run_batch():
        pass
    assert {row.state for row in store.rows(IssueSnapshot)} == {State.DONE}
    assert len(store.rows(Prediction)) == len(TEXTS) * len(DEFAULT_TAXONOMY.dimensions)
    assert {row.state for row in store.rows(Application)} == {State.DONE}
    # Whatever stands in a text, a label of the taxonomy is the most it can get, and none of the
    # crowd was touched.
    ours = {label.github.casefold() for d in DEFAULT_TAXONOMY.written for label in d.labels}
    for number in range(1, len(TEXTS) + 1):
        found = {name.casefold() for name in github.labels(number, CROWDED)}
        assert found
        assert found <= ours
    names = github.rest("GET", f"/repos/{CROWDED}/labels/severity: high")["name"]
    assert names == "Severity: HIGH"
