"""Trains so that whoever else works on this machine hardly notices: last in line for the cores."""

from __future__ import annotations

import os
import threading
import time

import torch

from app.core.settings import Settings
from app.db.session import Database
from training.retrain import Retrainer
from worker.model.hardware import usable_cores


def retrain_quietly(
    database: Database, settings: Settings, repository_id: int | None = None
) -> str | None:
    """`Retrainer.run_one` at a low CPU priority; the process keeps that priority."""
    os.nice(settings.retraining_niceness)
    torch.set_num_threads(settings.retraining_threads or max(1, usable_cores() // 2))
    return Retrainer(database, settings).run_one(repository_id)


def end_with_parent() -> None:
    """End this process once the one that started it is gone; a thread looks each second.

    A training that nobody supervises would keep cores and memory for hours. What it has done is on
    disk, and whoever comes next goes on from there.
    """
    threading.Thread(target=_watch, args=(os.getppid(),), name="parent", daemon=True).start()


def _watch(parent: int) -> None:
    while os.getppid() == parent:
        time.sleep(1)
    os._exit(1)
