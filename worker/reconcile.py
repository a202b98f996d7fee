"""Find what fell through: work nobody woke up for, and deliveries GitHub could not hand over."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import structlog
from sqlalchemy import select

from app.core.errors import Gone, NotPermitted
from app.db import work
from app.db.session import Database
from app.db.tables import Application, Delivery, IssueSnapshot
from app.github.client import AppClient
from app.github.models import HookDelivery
from app.queue import Task

log = structlog.get_logger()

# How long GitHub keeps a delivery for us to ask again.
KEPT = timedelta(days=3)
# A delivery that we refuse each time (a wrong secret, a payload we cannot read) is not asked for
# without end.
MAX_DELIVERY_ATTEMPTS = 6
# 500 failures a sweep; the rest waits for the next one.
MAX_PAGES = 5

_BELLS: dict[Task, type[work.Claimed]] = {Task.TRIAGE: IssueSnapshot, Task.LABEL: Application}


def bells_to_ring(database: Database) -> list[Task]:
    """The tasks for which rows are due: new, put off until now, or left by a worker that died."""
    with database.reading() as session:
        return [task for task, table in _BELLS.items() if work.any_due(session, table)]


@dataclass(frozen=True)
class Redelivery:
    """The use case that asks GitHub to deliver again what never reached the database."""

    database: Database
    github: AppClient
    spacing: timedelta

    def run(self) -> int:
        """Ask for every delivery that failed and is unknown here; how many were asked for.

        The wait between two attempts at the same delivery starts at `spacing` and doubles.
        """
        now = datetime.now(UTC)
        failed = self._failed_since(now - KEPT)
        unknown = self._unknown({delivery.guid for delivery in failed})
        asked = 0
        for delivery in _due(failed, unknown, now, self.spacing):
            asked += self._ask(delivery)
        if asked:
            log.info("deliveries.requested", count=asked)
        return asked

    def _failed_since(self, oldest: datetime) -> list[HookDelivery]:
        failed = []
        for delivery in self.github.deliveries(status="failure", max_pages=MAX_PAGES):
            if delivery.delivered_at < oldest:
                break
            # Said again here: an Enterprise Server that is too old for the filter sends them all.
            if not delivery.arrived:
                failed.append(delivery)
        return failed

    def _unknown(self, guids: Collection[str]) -> set[str]:
        with self.database.reading() as session:
            known = session.scalars(select(Delivery.guid).where(Delivery.guid.in_(guids)))
            return set(guids) - set(known)

    def _ask(self, delivery: HookDelivery) -> bool:
        try:
            self.github.redeliver(delivery.id)
        except (Gone, NotPermitted) as error:
            log.warning("delivery.lost", guid=delivery.guid, error=str(error))
            return False
        return True


def _due(
    failed: Iterable[HookDelivery], guids: Collection[str], now: datetime, spacing: timedelta
) -> list[HookDelivery]:
    """The newest attempt of each delivery whose time has come, oldest delivery first."""
    attempts: dict[str, list[HookDelivery]] = {}
    for delivery in failed:
        if delivery.guid in guids:
            attempts.setdefault(delivery.guid, []).append(delivery)
    newest = {
        guid: max(tried, key=lambda delivery: delivery.delivered_at)
        for guid, tried in attempts.items()
    }
    return sorted(
        (
            delivery
            for guid, delivery in newest.items()
            if (tries := len(attempts[guid])) < MAX_DELIVERY_ATTEMPTS
            and (tries == 1 or now - delivery.delivered_at >= spacing * 2 ** (tries - 1))
        ),
        key=lambda delivery: delivery.delivered_at,
    )
