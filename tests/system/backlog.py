"""20,000 issues that wait, through triage: `make backlog` prints time an issue, and memory.

The scorer knows nothing and costs nothing, so that what is timed is everything but the model.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import psutil
import structlog

from app.core.decision import Thresholds
from app.core.settings import Settings
from app.core.taxonomy import DEFAULT_TAXONOMY
from app.db.migrate import upgrade
from app.db.session import Database
from tests.pile import pile_up
from tests.postgres_server import postgres_server
from worker.model.query import Answer, Query
from worker.triage import Triage

PART = 1000


class Shrug:
    """Every label is as likely as any other."""

    def answer(self, queries: Sequence[Query]) -> list[Answer]:
        """The same for all."""
        return [self._answer(query) for query in queries]

    def _answer(self, query: Query) -> Answer:
        every = query.taxonomy.dimensions
        scores = {d.name: dict.fromkeys(d.names, 1 / len(d.names)) for d in every}
        return Answer("shrug", scores, Thresholds(default=0.5))


def main() -> None:
    """Fill, work it off, print."""
    reader = argparse.ArgumentParser(prog="make backlog", description=__doc__)
    reader.add_argument("--issues", type=int, default=20_000)
    reader.add_argument("--installations", type=int, default=3)
    reader.add_argument("--postgres", action="store_true")
    asked = reader.parse_args()
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(50))
    if asked.postgres:
        with postgres_server() as url:
            _work_off(url, asked.issues, asked.installations)
    else:
        with tempfile.TemporaryDirectory() as folder:
            _work_off(f"sqlite:///{Path(folder) / 'triora.db'}", asked.issues, asked.installations)


def _work_off(url: str, issues: int, installations: int) -> None:
    upgrade(url)
    database = Database(url)
    pile_up(database, issues, installations=installations)
    triage = Triage(database, Shrug(), DEFAULT_TAXONOMY, Settings(_env_file=None))
    me = psutil.Process()
    print(f"{issues} issues of {installations} installations wait ({database.url.drivername})")  # noqa: T201
    print("issues done   ms an issue   memory MB")  # noqa: T201
    done, part, began = 0, 0, time.process_time()
    wall = time.monotonic()
    while claimed := triage.run_batch().claimed:
        done, part = done + claimed, part + claimed
        if part >= PART or done == issues:
            spent, cpu = time.monotonic() - wall, time.process_time() - began
            memory = me.memory_info().rss / 2**20
            print(  # noqa: T201
                f"{done:>11}   {1000 * spent / part:>6.2f} ({1000 * cpu / part:.2f} of CPU)"
                f"   {memory:>7.1f}",
                flush=True,
            )
            part, began, wall = 0, time.process_time(), time.monotonic()
    database.close()


if __name__ == "__main__":
    main()
