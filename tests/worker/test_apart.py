"""What writes to an installation's issues takes turns: labels, commands and runs."""

import pytest
from sqlalchemy import select

from app.db import work
from app.db.learning import Command, Run
from app.db.tables import Application, Installation
from tests.worker.commands.conftest import desk, store  # noqa: F401 - fixtures
from tests.worker.labelling.conftest import labelling  # noqa: F401 - a fixture
from tests.worker.running.conftest import works  # noqa: F401 - a fixture

HIGH = {"severity": ["severity: high"]}


@pytest.fixture
def writers(desk, works):  # noqa: F811
    """Something to do for each table whose rows write, and who does it."""
    desk.store.to_write(desk.number, HIGH, repository_id=desk.store.repository_id)
    desk.comment("/severity low")
    works.backfill()
    return {
        Application: works.labelling.run_batch,
        Command: desk.commanding.run_batch,
        Run: works.running.run_batch,
    }


@pytest.mark.parametrize("held", [Application, Command, Run], ids=lambda table: table.__name__)
def test_while_one_writes_for_an_installation_nobody_else_does(writers, desk, held):  # noqa: F811
    with desk.store.database.transaction() as session:
        (row,) = work.claim(session, held, 1, 300)
    assert [run() for table, run in writers.items() if table is not held] == [0, 0]
    with desk.store.database.transaction() as session:
        work.drop(session, row, "done")
    # Now they do, whoever was asked in person first.
    free = next(table for table in (Command, Run) if table is not held)
    assert writers[free]() == 1


def test_a_limit_that_a_command_meets_stops_the_installation(writers, desk):  # noqa: F811
    desk.github.limit(secondary={"retry_after": 600})
    writers[Command]()
    with desk.store.database.reading() as session:
        assert session.scalar(select(Installation.blocked_until)) is not None
    before = len(desk.github.requests())
    assert [run() for run in writers.values()] == [0, 0, 0]
    assert len(desk.github.requests()) == before
