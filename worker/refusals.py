"""What a refusal of GitHub's means for the row that met it, and what a success ends."""

from __future__ import annotations

import structlog
from sqlalchemy.orm import Session

from app.db import refusals, work
from app.db.session import Database
from app.db.tables import Repository
from app.github.failures import Refused
from worker.settle import describe

log = structlog.get_logger()


def put_off(session: Session, row: work.Claimed, repository: Repository, error: Refused) -> None:
    """Let `row` wait, with all others the refusal concerns. It costs no attempt."""
    said = describe(error)
    if error.wide:
        until = refusals.note_wide(session, repository.installation_id)
    else:
        until = refusals.note_narrow(session, type(row), repository.id, said)
    log.warning("work.refused", table=row.__tablename__, row=row.id, wide=error.wide, error=said)
    work.release(session, row, until=until, error=said)


def end(database: Database, row: work.Claimed, repository: Repository, *, wrote: bool) -> None:
    """`row` succeeded, so GitHub lets us in: whoever waited for that is due now.

    A narrow refusal is disproved by a write, or by what had been refused itself.
    """
    narrow = wrote or (row.error or "").startswith(Refused.__name__)
    with database.reading() as session:
        if not refusals.stands(session, repository, narrow=narrow):
            return
    with database.transaction() as session:
        hastened = refusals.lift(session, repository.installation_id)
    log.info("installation.accepted", installation=repository.installation_id, hastened=hastened)
