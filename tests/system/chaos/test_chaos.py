"""A small storm over a whole Triora: nothing lost, nobody overridden.

On SQLite, where all processes share one file; `make chaos` has both databases.
"""

from __future__ import annotations

import pytest

from tests.system.chaos import table
from tests.system.chaos.faults import Fault
from tests.system.chaos.run import Order, Outcome, run

ISSUES = 30
# Those that leave their mark within seconds; `make chaos` has them all.
FAULTS = (
    Fault(0.4, "bad webhooks", seconds=1.5),
    Fault(0.8, "tokens revoked"),
    Fault(1.0, "kill the database"),
    Fault(1.2, "bad API", seconds=1.0),
    Fault(1.5, "kill", "labels"),
    Fault(2.2, "applied, then dropped", seconds=0.8),
    Fault(2.5, "full disk", seconds=0.5),
)


def _promises_kept(outcome: Outcome) -> None:
    count = outcome.count
    # How long it takes depends on the machine, so that is for `make chaos` to judge.
    assert outcome.converged is not None, table.line(outcome)
    assert count.settled, table.line(outcome)
    assert (count.overridden, count.repeated, count.dead) == ((), (), ()), table.line(outcome)
    assert count.issues == ISSUES
    assert outcome.faults.total() >= len(FAULTS) - 1
    assert outcome.kills["labels"] == 1


@pytest.mark.timeout(400)
def test_a_storm_loses_nothing_and_overrides_nobody() -> None:
    _promises_kept(run(Order(seed=1, database="sqlite", issues=ISSUES, seconds=3, faults=FAULTS)))
