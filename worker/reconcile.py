"""Find what fell through: work nobody woke up for, and deliveries GitHub could not hand over."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import structlog
from sqlalchemy import select

from app.core.errors import Gone, NotPermitted
from app.db import absence, runs, work
from app.db.learning import Command, RepositoryConfig, Retraining, Review, Run
from app.db.session import Database
from app.db.tables import Application, Delivery, IssueSnapshot
from app.github.client import AppClient
from app.github.connection import PER_PAGE
from app.github.models import HookDelivery
from app.queue import Task

log = structlog.get_logger()

# How long GitHub keeps a delivery for us to ask again.
KEPT = timedelta(days=3)
# The longest wait between two attempts: so long after an outage the last delivery is here.
LONGEST_SPACING = timedelta(hours=1)
# The newest 5000 failed attempts are looked at.
MAX_PAGES = 50

_BELLS: dict[Task, type[work.Claimed]] = {
    Task.TRIAGE: IssueSnapshot,
    Task.LABEL: Application,
    Task.REVIEW: Review,
    Task.COMMAND: Command,
    Task.RUN: Run,
    Task.CONFIG: RepositoryConfig,
    Task.RETRAIN: Retraining,
}


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
    absence: timedelta = KEPT

    def run(self) -> int:
        """Ask for every delivery that failed and is unknown here; how many were asked for.

        The wait between two attempts at the same delivery starts at `spacing` and doubles, up to an
        hour. It is asked for until its first attempt is three days old: a delivery that we refuse
        each time (a wrong secret) is not asked for without end.
        """
        now = datetime.now(UTC)
        failed, complete = self._failed_since(now - KEPT)
        unknown = self._unknown({delivery.guid for delivery in failed})
        self._account(now, [d for d in failed if d.guid in unknown], complete=complete)
        asked = 0
        for delivery in due(
            [delivery for delivery in failed if delivery.guid in unknown],
            now,
            self.spacing,
            complete=complete,
        ):
            asked += self._ask(delivery)
        if asked:
            log.info("deliveries.requested", count=asked)
        return asked

    def _account(self, now: datetime, missing: Sequence[HookDelivery], *, complete: bool) -> None:
        """After a long absence, have issues looked for whose deliveries may be lost."""
        first: dict[str, datetime] = {}
        for delivery in missing:
            first[delivery.guid] = min(delivery.delivered_at, first.get(delivery.guid, now))
        with self.database.transaction() as session:
            since = absence.note(
                session, now, first.values(), complete=complete, longest=self.absence
            )
            if since is not None:
                asked = runs.ask_catch_up(session, since, asked_by="an absence")
                log.warning("absence.noticed", since=since.isoformat(), repositories=asked)

    def _failed_since(self, oldest: datetime) -> tuple[list[HookDelivery], bool]:
        """Failed attempts, and whether these are all."""
        failed: list[HookDelivery] = []
        looked_at = 0
        for delivery in self.github.deliveries(status="failure", max_pages=MAX_PAGES):
            if delivery.delivered_at < oldest:
                return failed, True
            looked_at += 1
            # Said again here: an Enterprise Server that is too old for the filter sends them all.
            if not delivery.arrived:
                failed.append(delivery)
        return failed, looked_at < MAX_PAGES * PER_PAGE

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


def due(
    failed: Iterable[HookDelivery], now: datetime, spacing: timedelta, *, complete: bool
) -> list[HookDelivery]:
    """The newest attempt of each delivery whose time has come, oldest delivery first.

    `failed` are the attempts of at most three days, all of them if `complete`.
    """
    attempts: dict[str, list[HookDelivery]] = {}
    for delivery in failed:
        attempts.setdefault(delivery.guid, []).append(delivery)
    chosen = []
    for tried in attempts.values():
        newest = max(tried, key=lambda delivery: delivery.delivered_at)
        wait = _wait(tried, spacing, complete=complete)
        if wait is not None and now - newest.delivered_at >= wait:
            chosen.append(newest)
    return sorted(chosen, key=lambda delivery: delivery.delivered_at)


def _wait(tried: Sequence[HookDelivery], spacing: timedelta, *, complete: bool) -> timedelta | None:
    """How long after the last attempt the next one is due; None if it is given up."""
    if all(delivery.redelivery for delivery in tried):
        # GitHub has forgotten the first attempt, or it is out of sight.
        return None if complete else LONGEST_SPACING
    if len(tried) == 1:
        return timedelta(0)
    # The exponent is capped as well, or the product would leave the calendar.
    return min(spacing * 2.0 ** min(len(tried) - 1, 16), max(spacing, LONGEST_SPACING))
