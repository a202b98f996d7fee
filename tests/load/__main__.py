"""Triora's receiver and a Probot app side by side: `make load` prints the table.

python -m tests.load --database sqlite --deliveries 100000
"""

from __future__ import annotations

import argparse
import os
import platform
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.load import node, receivers
from tests.load.report import missed, table
from tests.load.stages import Measured, measure
from tests.postgres_server import postgres_server

DATABASES = ("sqlite", "postgresql")
RIVAL_DELIVERIES = 10_000


def main() -> int:
    """Exit code 1 if a goal was missed, 2 if Probot is not to be had."""
    reader = argparse.ArgumentParser(prog="make load", description=__doc__)
    reader.add_argument("--database", choices=DATABASES, action="append")
    reader.add_argument("--deliveries", type=int, default=100_000, help="for the flat memory")
    reader.add_argument("--seconds", type=float, default=5.0, help="of each rate")
    reader.add_argument("--alone", action="store_true", help="without Probot")
    asked = reader.parse_args()
    if not asked.alone:
        try:
            node.ensure()
        except node.NoNode as error:
            sys.stderr.write(f"{error}\n")
            return 2
    sides = [receivers.triora] if asked.alone else [receivers.triora, receivers.probot]
    found: list[Measured] = []
    for kind in asked.database or DATABASES:
        for side in sides:
            with (
                tempfile.TemporaryDirectory(prefix="triora-load-") as name,
                _database(kind, Path(name)) as url,
                side(url, Path(name) / "run") as receiver,
            ):
                # The goal is ours; of a receiver that takes few a second, fewer are enough.
                most = asked.deliveries if side is receivers.triora else RIVAL_DELIVERIES
                count = min(asked.deliveries, most)
                found.append(measure(receiver, kind, seconds=asked.seconds, deliveries=count))
    return _print(found)


@contextmanager
def _database(kind: str, folder: Path) -> Iterator[str]:
    if kind == "sqlite":
        yield f"sqlite:///{folder / 'load.db'}"
    else:
        with postgres_server(fsync=True) as url:
            yield url


def _print(found: list[Measured]) -> int:
    sys.stdout.write(f"\n{os.cpu_count()} cores, {platform.platform()}; processes: ")
    told = {one.name: " + ".join(one.processes) for one in found}
    sys.stdout.write("; ".join(f"{name}: {names}" for name, names in told.items()))
    sys.stdout.write(f"\n\n{table(found)}\n\n")
    failures = missed(found)
    sys.stdout.write("\n".join(f"MISSED {line}" for line in failures) or "every goal is reached")
    sys.stdout.write("\n")
    return 1 if failures else 0


if __name__ == "__main__":
    raise SystemExit(main())
