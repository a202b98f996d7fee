"""A retraining beside everything else: triage goes on, and a signal ends it for a while only."""

from __future__ import annotations

import signal
from pathlib import Path

import psutil
from sqlalchemy import select

from app import broker
from app.core.settings import Settings
from app.db import retrainings
from app.db.learning import Retraining
from app.db.tables import IssueSnapshot, Repository, State
from tests.system.conftest import PATIENCE, stand_in
from tests.system.line import LABELS, TRIAGE, line, save_small_model, worker_environment
from tests.training import taught
from tests.waiting import until
from training.config import CONFIGS
from training.finetune import CHECKPOINTS
from training.retrain import FOLDER

TRAIN = ("worker", "--queue", "train")
# Hours of it, so that it is under way for as long as this test looks.
PASSES = 2000


def test_triage_goes_on_during_a_retraining_which_a_signal_ends_at_once(
    tmp_path: Path, sqlite_url: str
) -> None:
    model = save_small_model(tmp_path / "small-llama")
    with stand_in(tmp_path) as (github, environment):
        settings = Settings(_env_file=None, data_dir=environment["TRIORA_DATA_DIR"])
        environment["TRIORA_BROKER_URL"] = settings.celery_broker_url
        config = tmp_path / "long.toml"
        config.write_text(
            (CONFIGS / "tiny.toml").read_text().replace("epochs = 2", f"epochs = {PASSES}")
        )
        environment["TRIORA_RETRAINING_CONFIG"] = str(config)
        # A little, or it would get no time on a machine that is busy otherwise.
        environment["TRIORA_RETRAINING_NICENESS"] = "2"
        started = worker_environment(environment, sqlite_url, model)
        with broker.embedded(settings), line(started, tmp_path) as made:
            made.start_receiver()
            made.start(LABELS)
            made.start(TRIAGE)
            trainer = made.start(TRAIN)
            github.open_issue("Crash on start", "It crashes each time.")
            made.wait_for(IssueSnapshot, "done")
            with made.database.reading() as session:
                repository = session.scalars(select(Repository.id)).one()
            taught.teach(made.database, taught.reports(90), repository, first=1000)
            with made.database.transaction() as session:
                retrainings.ask(session, repository, "a test")
            log = settings.data_dir / FOLDER / "1" / CHECKPOINTS

            def training() -> list[psutil.Process]:
                made.alive(trainer)
                children = psutil.Process(trainer.pid).children()
                return [c for c in children if log.is_dir()]

            (child,) = until(training, "the training", PATIENCE)
            assert child.nice() == psutil.Process(trainer.pid).nice() + 2

            opened = github.open_issue("Sound stutters", "Sometimes the sound stutters.")
            until(lambda: len(github.labels(opened["number"])) == 3, "its labels", PATIENCE)

            with made.database.reading() as session:
                row = session.scalars(select(Retraining)).one()
            assert (row.state, row.attempts) == (State.PENDING, 1)
            assert child.is_running()
            assert "torch" not in {
                Path(m.path).parent.parent.name for m in psutil.Process(trainer.pid).memory_maps()
            }

            trainer.send_signal(signal.SIGTERM)
            assert trainer.wait(PATIENCE) == 0
            psutil.wait_procs([child], PATIENCE)
            assert not child.is_running()
