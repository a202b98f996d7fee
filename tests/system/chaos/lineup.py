"""Which processes take part: those of a Triora, as `triora up` starts them, or plain Celery."""

from __future__ import annotations

import os
import random
import sys
from collections.abc import Mapping
from pathlib import Path

from app import broker
from app.core.settings import Settings
from tests.system.chaos.estate import Part
from tests.system.chaos.github import SECRET, GitHub

LEASE_SECONDS = 10
ROOT = Path(__file__).parents[3]
TRIORA = str(Path(sys.executable).with_name("triora"))
CHEAP = (sys.executable, "-m", "tests.system.chaos.cheap")
CONTROL = (sys.executable, "-m", "tests.system.chaos.control")
SKEWED = ("triage-1", "triage-2", "labels", "scheduler", "receiver")


def environment(
    github: GitHub, data: Path, database_url: str, port: int, model: str = ""
) -> dict[str, str]:
    """What every process gets to know: short leases and sweeps, everything else as always."""
    settings = {
        "APP_ID": str(github.app_id),
        "PRIVATE_KEY": str(github.key),
        "WEBHOOK_SECRET": SECRET,
        "GITHUB_API_URL": github.api_url,
        "DATA_DIR": str(data),
        "DATABASE_URL": database_url,
        "BROKER_URL": Settings(_env_file=None, data_dir=data).celery_broker_url,
        "PORT": str(port),
        "LEASE_SECONDS": str(LEASE_SECONDS),
        "BATCH_SIZE": "4",
        "SWEEP_SECONDS": "1",
        "REDELIVERY_SECONDS": "1",
        "RETRY_SECONDS": "0.5",
        "WRITE_SPACING_SECONDS": "0",
        "LOG_LEVEL": "INFO",
    }
    kept = {name: value for name, value in os.environ.items() if not name.startswith("TRIORA_")}
    return {
        **kept,
        **{f"TRIORA_{name}": value for name, value in settings.items()},
        # The harness's own modules, for the cheap model.
        "PYTHONPATH": str(ROOT),
    }


def parts(
    env: Mapping[str, str], settings: Settings, further: Mapping[str, Mapping[str, str]]
) -> list[Part]:
    """Receiver, two triage workers, label writer, scheduler and Valkey.

    `further`: what else stands in the environment of a part, by its name.
    """
    worker = ("worker", "--queue")
    commands = {
        "valkey": tuple(broker.launched(settings)),
        "receiver": (TRIORA, "serve"),
        "triage-1": (*CHEAP, *worker, "triage"),
        "triage-2": (*CHEAP, *worker, "triage"),
        "labels": (TRIORA, *worker, "label", "--queue", "upkeep"),
        "scheduler": (TRIORA, "worker", "--beat"),
    }
    return [
        Part(name, command, {**env, **further.get(name, {})}) for name, command in commands.items()
    ]


def control_parts(env: Mapping[str, str], settings: Settings) -> list[Part]:
    """The same with the work in the broker's messages, and nothing else to fall back on."""
    worker = ("worker", "--pool=solo", "--without-gossip", "--without-mingle", "--loglevel=WARNING")
    celery = (sys.executable, "-m", "celery", "-A", "tests.system.chaos.control")
    commands = {
        "valkey": tuple(broker.launched(settings)),
        "receiver": (*CONTROL,),
        "triage-1": (*celery, *worker, "-Q", "triage", "-n", "one@%h"),
        "triage-2": (*celery, *worker, "-Q", "triage", "-n", "two@%h"),
        "labels": (*celery, "worker", "--pool=threads", "-c", "4", *worker[2:], "-Q", "label"),
    }
    return [Part(name, command, env) for name, command in commands.items()]


def skews(seed: int, *, apart: bool) -> dict[str, float]:
    """Clocks that are wrong: of one process (`apart`, on a machine of its own), or of GitHub.

    SQLite has no clock but that of the process that asks, and they all are on one machine: there it
    is GitHub's clock that differs. GitHub accepts us while that is less than about a minute.
    """
    chance = random.Random(f"skew {seed}")
    seconds = chance.choice((-1, 1)) * (15 + chance.random() * 30)
    return {chance.choice(SKEWED) if apart else "github": round(seconds, 1)}
