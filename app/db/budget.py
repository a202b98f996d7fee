"""How much is written to GitHub for an installation: a second apart, 80 a minute, 500 an hour.

Every process counts in the database, so two of them together keep within it as well. A write is
counted before it is made: one that fails has been asked for all the same.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from sqlalchemy import delete, func, select
from sqlalchemy.orm import Session

from app.db.clock import from_now
from app.db.tables import Write

MINUTE, HOUR = timedelta(minutes=1), timedelta(hours=1)
PER_MINUTE = 80


def take(
    session: Session, installation_id: int, *, per_hour: int, spacing: timedelta
) -> tuple[datetime, datetime]:
    """When one more write may be made, and the present moment, both by the database's clock.

    Within `spacing` from now it is counted, and the caller makes it at that time. Later than that
    the budget is spent: nothing is counted, and the caller comes again.
    """
    _one_at_a_time(session, installation_id)
    now = session.scalars(select(from_now())).one()
    session.execute(
        delete(Write).where(Write.installation_id == installation_id, Write.at <= now - HOUR),
        execution_options={"synchronize_session": False},
    )
    at = now
    for most, span in ((1, spacing), (PER_MINUTE, MINUTE), (per_hour, HOUR)):
        earlier = _back(session, installation_id, most)
        if earlier is not None:
            at = max(at, earlier + span)
    if at <= now + spacing:
        session.add(Write(installation_id=installation_id, at=at))
    return at, now


def _back(session: Session, installation_id: int, steps: int) -> datetime | None:
    """When the write was that so many writes end with, the newest being the first step back."""
    return session.scalar(
        select(Write.at)
        .where(Write.installation_id == installation_id)
        .order_by(Write.at.desc())
        .offset(steps - 1)
        .limit(1)
    )


def _one_at_a_time(session: Session, installation_id: int) -> None:
    """Until the transaction ends nobody else counts for it. (SQLite has one writer anyway.)"""
    if session.get_bind().dialect.name == "postgresql":
        # Not the installation's row: who looks for work passes over a locked one.
        key = func.hashtextextended(f"writes {installation_id}", 0)
        session.execute(select(func.pg_advisory_xact_lock(key)))
