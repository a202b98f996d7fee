"""`make chaos`: storms over whole Trioras, and a count of what came of them.

Each storm is a GitHub stand-in on which people open, edit and label issues, and a Triora of real
processes, to which everything happens that happens to programs. Its count comes from the books of
the stand-in. The exit code is 1 when a promise was broken; the line that says so names the storm to
repeat. See docs/chaos.md.
"""

from __future__ import annotations

import argparse
import shlex
import signal
import sys
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from multiprocessing import get_context
from pathlib import Path
from typing import NoReturn

import psutil

from tests.system.chaos import table
from tests.system.chaos.run import Order, Outcome, attempt

DATABASES = {"sqlite": ("sqlite",), "postgresql": ("postgresql",), "both": ("sqlite", "postgresql")}


def _arguments(argv: Sequence[str] | None) -> argparse.Namespace:
    reader = argparse.ArgumentParser(
        prog="make chaos", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = reader.add_argument
    add("--seeds", type=int, default=10, help="storms with each database: seeds 1 to N (10)")
    add("--seed", type=int, help="only the storm of this seed")
    add("--issues", type=int, default=1000, help="issues that people open in each storm (1000)")
    add("--seconds", type=float, default=120.0, help="how long people open them (120)")
    add("--database", choices=DATABASES, default="both", help="where Triora keeps work (both)")
    add("--control", type=int, default=2, help="storms of the control arm, plain Celery (2)")
    add("--jobs", type=int, default=1, help="storms at the same time (1)")
    add("--keep", type=Path, help="a directory for the logs of all processes of every storm")
    add("--verbose", action="store_true", help="tell each fault as it happens")
    return reader.parse_args(argv)


def main(argv: Sequence[str] | None = None) -> int:
    """Make the storms; the exit code."""
    asked = _arguments(argv)
    signal.signal(signal.SIGTERM, _end)
    orders = list(_orders(asked))
    kills = "kills, stops, API faults, a full disk and wrong clocks"
    _say(f"{len(orders)} storms of {asked.issues} issues each, with {kills}")
    outcomes: list[Outcome] = []
    problems: list[str] = []
    for order, outcome in _made(orders, asked.jobs, verbose=asked.verbose):
        repeat = _repeat(order)
        if isinstance(outcome, str):
            problems.append(f"the harness itself failed ({repeat}):\n{outcome}")
            _say(problems[-1])
            continue
        outcomes.append(outcome)
        _say(table.line(outcome))
        for what in table.broken(outcome):
            problems.append(f"{table.arm(outcome)}, seed {order.seed}: {what} ({repeat})")
            _say(f"  BROKEN: {what}\n  repeat: {repeat}")
    _say("")
    for row in table.table(outcomes):
        _say(row)
    for whole in (table.too_many_repeated(outcomes), table.harmless(outcomes)):
        if whole is not None:
            problems.append(whole)
    for problem in problems:
        _say(f"BROKEN: {problem}")
    return 1 if problems else 0


def _end(*_: object) -> NoReturn:
    """End the storms as well: each takes its processes with it."""
    for storm in psutil.Process().children():
        storm.terminate()
    sys.exit(1)


def _orders(asked: argparse.Namespace) -> Iterator[Order]:
    seeds = [asked.seed] if asked.seed is not None else range(1, asked.seeds + 1)
    for number, seed in enumerate(seeds):
        common = {"seed": seed, "issues": asked.issues, "seconds": asked.seconds}
        for database in DATABASES[asked.database]:
            yield Order(database=database, keep=asked.keep, **common)
        if number < asked.control:
            yield Order(control=True, keep=asked.keep, **common)


def _made(
    orders: Sequence[Order], jobs: int, *, verbose: bool
) -> Iterator[tuple[Order, Outcome | str]]:
    """Each order with its outcome, or with the traceback of a harness that failed."""
    # Each in a process of its own, so that none leaves anything to the next.
    context = get_context("spawn")
    with ProcessPoolExecutor(jobs, mp_context=context, max_tasks_per_child=1) as pool:
        running = {pool.submit(attempt, order, verbose=verbose): order for order in orders}
        for done in as_completed(running):
            yield running[done], done.result()


def _repeat(order: Order) -> str:
    arguments = ["--seed", str(order.seed), "--issues", str(order.issues)]
    arguments += ["--seconds", f"{order.seconds:g}", "--database", order.database]
    arguments += ["--control", "1" if order.control else "0", "--verbose"]
    return f'make chaos ARGS="{shlex.join(arguments)}"'


def _say(text: str) -> None:
    print(text, flush=True)  # noqa: T201


if __name__ == "__main__":
    sys.exit(main())
