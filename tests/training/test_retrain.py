"""A repository's model learns anew: what comes of it, and what a kill changes (nothing)."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
from filelock import FileLock
from sqlalchemy import select, update

from app.core.errors import ArtifactMismatch
from app.core.settings import Settings
from app.core.taxonomy import DEFAULT_TAXONOMY, Dimension, Taxonomy
from app.db import models, retrainings
from app.db.clock import from_now
from app.db.learning import ModelVersion, Retraining, Version
from app.db.session import Database
from app.db.tables import State
from tests.training import taught
from tests.training.rows import distinct
from tests.waiting import until
from tests.worker.model.conftest import byte_level, llama
from training.config import CONFIGS
from training.config import read as read_config
from training.finetune import CHECKPOINTS
from training.gate import Rules
from training.lessons import Shares
from training.retrain import FOLDER, Retrainer
from training.retraining import candidate, draft
from training.retraining import plan as plans
from training.retraining.candidate import Candidate
from worker.model.store import ModelStore, StoreUnreachable

TRIORA = str(Path(sys.executable).with_name("triora"))
REPORTS = taught.reports(110)
MAKE = candidate.make


@dataclass(frozen=True)
class Place:
    """A database whose maintainers taught, and settings that train a small model from it."""

    database: Database
    settings: Settings

    def ask(self):
        with self.database.transaction() as session:
            return retrainings.ask(session, taught.REPOSITORY, "a test")

    def run(self):
        return Retrainer(self.database, self.settings).run_one()

    def one(self, table):
        with self.database.reading() as session:
            (row,) = session.scalars(select(table))
            return row


@pytest.fixture(scope="module")
def make(migrated, tmp_path_factory):
    """`make(reports)` -> a Place of its own."""
    base = tmp_path_factory.mktemp("models") / "tiny"
    llama().save_pretrained(base)
    byte_level().save_pretrained(base)
    small = (CONFIGS / "tiny.toml").read_text().replace("epochs = 2", "epochs = 5")
    opened = []

    def make_one(reports=REPORTS):
        folder = tmp_path_factory.mktemp("place")
        shutil.copy(migrated("sqlite"), folder / "triora.db")
        (folder / "small.toml").write_text(small)
        settings = Settings(
            _env_file=None,
            data_dir=folder,
            model=str(base),
            adapter="none",
            device="cpu",
            lease_seconds=10,
            retraining_config=str(folder / "small.toml"),
            retraining_threads=1,
        )
        place = Place(Database(settings.sql_url), settings)
        opened.append(place.database)
        taught.repository(place.database)
        taught.teach(place.database, reports)
        return place

    yield make_one
    for database in opened:
        database.close()


@pytest.fixture(scope="module")
def trained(make, tmp_path_factory):
    """A retraining nobody disturbed: its place, what came of it, and what was made for it."""
    place = make()
    kept = tmp_path_factory.mktemp("made")
    made = []

    def remember(*arguments):
        made.append(MAKE(*arguments))
        shutil.copytree(made[0].folder, kept, dirs_exist_ok=True)
        return made[0]

    assert place.ask()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("training.retrain.candidate.make", remember)
        outcome = place.run()
    return place, outcome, replace(made[0], folder=kept)


def test_what_is_better_on_the_newest_reports_serves(trained):
    place, outcome, made = trained
    version, row = place.one(ModelVersion), place.one(Retraining)
    assert made.verdict.promote, made.verdict.reason
    assert version.state == Version.ACTIVE
    assert version.version == made.manifest.version
    assert row.state == State.DONE
    assert row.outcome == outcome == f"{version.version} is active: {made.verdict.reason}"
    with place.database.reading() as session:
        assert models.active(session, taught.REPOSITORY).version == version.version


def test_the_version_keeps_the_whole_verdict_and_what_it_learned_from(trained):
    place, _, made = trained
    report = place.one(ModelVersion).report
    assert report["gate"] == made.verdict.model_dump(mode="json")
    # The newest 40 judged, and are not among what was learned.
    assert set(report["learned"]) == set(range(1, 71))


def test_the_store_has_adapter_and_card_and_neither_it_nor_the_disk_keeps_any_text(trained):
    place, _, _ = trained
    version = place.one(ModelVersion)
    store = ModelStore(place.settings.model_store_url, place.settings.model_cache)
    card = (store.fetch(version.uri, version.digest) / "README.md").read_text()
    assert f"triora promote {version.version}" in card
    assert "| learned from | 54 |" in card
    words = {word for report in distinct(len(REPORTS)) for word in report.body.split()}
    assert not any(word in card for word in words)
    assert [path.name for path in (place.settings.data_dir / FOLDER).iterdir()] == ["lock"]


def test_a_killed_retraining_goes_on_and_ends_with_the_same_weights(make, trained):
    place = make()
    assert place.ask()
    settings = place.settings
    environment = {k: v for k, v in os.environ.items() if not k.startswith("TRIORA_")} | {
        "TRIORA_DATA_DIR": str(settings.data_dir),
        "TRIORA_MODEL": settings.model,
        "TRIORA_ADAPTER": "none",
        "TRIORA_DEVICE": "cpu",
        "TRIORA_LEASE_SECONDS": "10",
        "TRIORA_RETRAINING_CONFIG": str(settings.retraining_config),
        "TRIORA_RETRAINING_THREADS": "1",
        "TRIORA_RETRAINING_NICENESS": "0",
    }
    process = subprocess.Popen(
        [TRIORA, "retrain", taught.NAME, "--now"],
        env=environment,
        cwd=settings.data_dir,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    checkpoints = settings.data_dir / FOLDER / "1" / CHECKPOINTS
    until(lambda: list(checkpoints.glob("*/trainer_state.json")), "a checkpoint", 120)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert not (checkpoints.parent / "adapter").exists()
    # Cut short while it was being written: the one before it is gone on from.
    broken = checkpoints / "checkpoint-9999"
    broken.mkdir()
    (broken / "trainer_state.json").write_text("{")
    with place.database.transaction() as session:
        session.execute(update(Retraining).values(due_at=from_now(-1)))

    place.run()

    assert place.one(Retraining).attempts == 2
    assert place.one(ModelVersion).version == trained[2].manifest.version


def again(trained, make, monkeypatch, **changes) -> tuple[Place, Candidate]:
    """A place where training makes what it made before, with another verdict."""
    _, _, made = trained
    place = make()
    made = replace(made, verdict=made.verdict.model_copy(update=changes))
    monkeypatch.setattr("training.retrain.candidate.make", lambda *_: made)
    assert place.ask()
    return place, made


def test_what_the_gate_refuses_is_kept_as_a_candidate_with_the_reason(trained, make, monkeypatch):
    place, made = again(trained, make, monkeypatch, promote=False, reason="no better")
    assert place.run() == f"{made.manifest.version} is kept as a candidate: no better"
    version = place.one(ModelVersion)
    assert (version.state, version.reason) == (Version.CANDIDATE, "no better")


def test_a_version_that_was_judged_against_another_one_does_not_serve(trained, make, monkeypatch):
    place, made = again(trained, make, monkeypatch)

    def overtaken(*_):
        with place.database.transaction() as session:
            manifest = made.manifest.model_copy(update={"version": "tiny/by-hand"})
            other = models.add(session, manifest, repository_id=None, uri="file:///x", digest="0")
            models.promote(session, other)
        return made

    monkeypatch.setattr("training.retrain.candidate.make", overtaken)
    assert "another version became active" in place.run()
    with place.database.reading() as session:
        assert models.active(session, taught.REPOSITORY).version == "tiny/by-hand"


def test_who_lost_the_lease_registers_nothing(trained, make, monkeypatch):
    place, made = again(trained, make, monkeypatch)

    def slow(*_):
        with place.database.transaction() as session:
            session.execute(update(Retraining).values(lease_token="somebody else"))
        return made

    monkeypatch.setattr("training.retrain.candidate.make", slow)
    assert "another process" in place.run()
    assert place.one(Retraining).state == State.PENDING
    with place.database.reading() as session:
        assert session.scalar(select(ModelVersion)) is None


def test_a_problem_that_no_other_try_would_mend_ends_it_with_the_reason(make, monkeypatch):
    place = make()
    assert place.ask()

    def unusable(*_):
        raise ArtifactMismatch("the active adapter is damaged")

    monkeypatch.setattr("training.retrain.candidate.make", unusable)
    with pytest.raises(ArtifactMismatch):
        place.run()
    row = place.one(Retraining)
    assert (row.state, row.error) == (
        State.DEAD,
        "ArtifactMismatch: the active adapter is damaged",
    )
    # The rows it would have learned from are issue text.
    assert [path.name for path in (place.settings.data_dir / FOLDER).iterdir()] == ["lock"]


def test_the_gate_asks_the_active_model_as_serving_does_whatever_the_labels(trained, tmp_path):
    """A repository that dropped a label is answered by the adapter, not by the bare base model."""
    place, _, made = trained
    severity = DEFAULT_TAXONOMY["severity"]
    fewer = Dimension(**severity.model_dump() | {"labels": severity.labels[:3]})
    taxonomy = Taxonomy(
        dimensions=tuple(fewer if d is severity else d for d in DEFAULT_TAXONOMY.dimensions),
        gate=DEFAULT_TAXONOMY.gate,
    )
    shutil.copytree(made.folder, tmp_path / candidate.ADAPTER)
    plan = plans.Plan(
        repository=taught.NAME,
        until=taught.T0,
        origin=None,
        start="active",
        config=read_config(str(place.settings.retraining_config), {}),
        taxonomy=taxonomy,
        learned=(),
        left_out={},
    )
    rows = [row for row in REPORTS if row.label("severity") != severity.names[3]]
    parts = dict.fromkeys(plans.PARTS, rows[:8])
    plans.save(tmp_path, plan, parts)
    settings = place.settings.model_copy(update={"adapter": str(made.folder)})
    store = ModelStore(settings.model_store_url, settings.model_cache)

    verdict = candidate.make(plan, tmp_path, Rules(issues=1), settings, store).verdict

    # The same adapter on both sides: nothing is better or worse.
    assert (verdict.mended, verdict.broken) == (0, 0)
    assert verdict.calibration_error.candidate == verdict.calibration_error.active


def test_what_was_rolled_back_does_not_return_by_training_the_same_again(
    trained, make, monkeypatch
):
    """Nothing new was said, so the same weights come out of a second retraining."""
    place, _ = again(trained, make, monkeypatch)
    place.run()
    with place.database.transaction() as session:
        models.rollback(session, taught.REPOSITORY, "people changed its labels")
    assert place.ask()
    assert "is kept as a candidate: it was rolled back (people" in place.run()
    assert place.one(ModelVersion).state == Version.RETIRED


def test_a_store_that_does_not_answer_puts_the_end_off_and_loses_no_training(
    trained, make, monkeypatch
):
    place, made = again(trained, make, monkeypatch)

    def unreachable(*_):
        raise StoreUnreachable("the model store does not answer")

    with monkeypatch.context() as patch:
        patch.setattr("training.retrain.ModelStore.put", unreachable)
        assert "put off" in place.run()
    assert [path.name for path in (place.settings.data_dir / FOLDER).iterdir() if path.is_dir()]
    with place.database.transaction() as session:
        session.execute(update(Retraining).values(due_at=from_now(-1)))
    assert place.run() == f"{made.manifest.version} is active: {made.verdict.reason}"


def test_what_an_earlier_version_learned_is_known_to_those_that_go_on_from_it(make, tmp_path):
    """An issue may be no lesson for a while (reopened, say) and judge later otherwise."""
    place = make()
    assert place.ask()
    row = place.one(Retraining)
    with place.database.transaction() as session:
        active = ModelVersion(
            version="tiny/before",
            repository_id=taught.REPOSITORY,
            state=Version.ACTIVE,
            uri="x",
            digest="0" * 64,
            manifest={},
            report={"learned": [2, 999]},
            created_at=from_now(),
        )
        session.add(active)
        session.flush()
        plan = draft.draw_up(session, row, tmp_path, place.settings, Shares())
    assert {2, 3, 999} <= set(plan.learned)


def test_a_repository_that_taught_too_little_is_told_how_much_is_needed(make):
    place = make(REPORTS[:30])
    assert place.ask()
    assert "30 issues were corrected or confirmed" in place.run()
    row = place.one(Retraining)
    assert (row.state, row.model_version) == (State.DONE, None)


def test_a_machine_trains_one_model_at_a_time(make):
    place = make(REPORTS[:30])
    assert place.ask()
    (place.settings.data_dir / FOLDER).mkdir()
    with FileLock(place.settings.data_dir / FOLDER / "lock"):
        assert place.run() is None
    assert place.run() is not None


def test_a_repository_has_one_retraining_waiting_or_running_at_a_time(make):
    place = make(REPORTS[:30])
    assert place.ask()
    assert not place.ask()
    place.run()
    assert place.ask()
