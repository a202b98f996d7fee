"""Tasks wake use cases and ring for what comes next, and outlive a broker that is away."""

import pytest
import redis
from structlog.testing import capture_logs

from app.core.settings import Settings
from app.db.tables import Application, IssueSnapshot, State
from app.queue import Queue, Task, build, ring, waiting
from tests.worker.conftest import Store, WordScorer
from worker.process import Process
from worker.tasks import register

NO_BROKER = "redis://127.0.0.1:1/0"


@pytest.fixture
def process(sqlite_url, valkey_url, github, tmp_path):
    """A worker's process with everything real but the model."""
    settings = Settings(
        _env_file=None,
        data_dir=tmp_path,
        database_url=sqlite_url,
        broker_url=valkey_url,
        app_id=github.app_id,
        private_key=github.private_key,
        github_api_url=github.api_url,
        write_spacing_seconds=0,
        # Every message is a sweep of its own here.
        sweep_seconds=1e-6,
    )
    made = Process(settings)
    made._models = WordScorer()
    yield made
    made.database.close()


@pytest.fixture
def celery(process):
    made = build(process.settings)
    register(made, process)
    yield made
    made.close()


@pytest.fixture
def store(process):
    made = Store(process.database)
    made.repository()
    return made


@pytest.fixture
def waits(process):
    """How many messages wait in each queue."""
    server = redis.Redis.from_url(process.settings.broker_url.replace("redis+socket", "unix"))

    def count():
        return {str(q): n for q in Queue if (n := server.llen(str(q)))}

    yield count
    server.close()


def run(celery, task):
    celery.tasks[str(task)]()


def test_triage_rings_for_labels_and_for_its_next_batch(celery, store, waits):
    store.issue(1, "high")
    run(celery, Task.TRIAGE)
    assert waits() == {"label": 1, "triage": 1}
    assert store.one(Application).wanted == {"severity": ["severity: high"]}


def test_without_work_nobody_is_rung_for(celery, store, waits):
    run(celery, Task.TRIAGE)
    run(celery, Task.LABEL)
    run(celery, Task.SWEEP)
    assert waits() == {}


def test_the_sweep_rings_for_work_nobody_was_rung_for(celery, store, waits):
    store.issue(1)
    store.to_write(2, {"severity": ["severity: high"]})
    run(celery, Task.SWEEP)
    assert waits() == {"label": 1, "triage": 1}


def test_a_bell_that_nobody_answered_is_not_rung_again(celery, store, waits):
    store.issue(1)
    for _ in range(3):
        run(celery, Task.SWEEP)
    assert waits() == {"triage": 1}


def test_a_waiting_bell_is_told_apart_from_none(celery):
    assert not waiting(celery, Task.LABEL)
    ring(celery, Task.LABEL)
    assert waiting(celery, Task.LABEL)
    assert not waiting(celery, Task.TRIAGE)


def test_a_broker_that_is_down_stops_no_triage(process, store):
    lonely = build(process.settings.model_copy(update={"broker_url": NO_BROKER}))
    register(lonely, process)
    store.issue(1, "high")
    run(lonely, Task.TRIAGE)
    run(lonely, Task.SWEEP)
    assert store.one(IssueSnapshot).state == State.DONE
    lonely.close()


def test_a_database_that_is_away_is_one_line_in_the_log(celery, process, tmp_path):
    process.database.close()
    process.__dict__["database"] = type(process.database)(f"sqlite:///{tmp_path}/none/triora.db")
    with capture_logs() as logs:
        run(celery, Task.SWEEP)
        run(celery, Task.TRIAGE)
    assert [line["event"] for line in logs] == ["database.unreachable"] * 2


def test_a_github_that_is_away_does_not_end_the_upkeep(celery, github):
    github.fault("GET /app/hook/deliveries", "drop")
    with capture_logs() as logs:
        run(celery, Task.REDELIVER)
    assert [line["event"] for line in logs] == ["deliveries.unreachable"]


def test_messages_carry_nothing(celery, store, process):
    store.issue(1, "a secret title")
    run(celery, Task.SWEEP)
    server = redis.Redis.from_url(process.settings.broker_url.replace("redis+socket", "unix"))
    (message,) = server.lrange("triage", 0, -1)
    server.close()
    assert b"secret" not in message


def test_both_sweeps_are_scheduled_for_the_upkeep_queue(celery, process):
    schedule = celery.conf.beat_schedule
    assert {name: entry["schedule"] for name, entry in schedule.items()} == {
        "triora.sweep": process.settings.sweep_seconds,
        "triora.redeliver": process.settings.redelivery_seconds,
    }
    assert {entry["options"]["queue"] for entry in schedule.values()} == {"upkeep"}


def test_a_scheduler_whose_clock_is_behind_is_heard(celery):
    # What expires does so by the clock of whoever reads it.
    assert not any("expires" in entry["options"] for entry in celery.conf.beat_schedule.values())


def test_sweeps_that_heaped_up_while_nobody_had_time_are_one(process, store, waits):
    process.settings = process.settings.model_copy(update={"sweep_seconds": 3600.0})
    celery = build(process.settings)
    register(celery, process)
    run(celery, Task.SWEEP)
    store.issue(1)
    run(celery, Task.SWEEP)
    assert waits() == {}
    celery.close()
