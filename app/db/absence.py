"""Absences, measured by what we have seen: up to when is every delivery of GitHub's accounted for?

The redelivery sweep moves that moment on. Where it stays behind for long (nothing ran here, or
deliveries fail and fail), GitHub may have forgotten deliveries that nobody will ever hand over.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta

from sqlalchemy import select
from sqlalchemy.orm import Session

from app.db.tables import Delivery, Watermark

NAME = "deliveries"
# A delivery may be on its way, or not be in GitHub's list yet, while we look.
MARGIN = timedelta(minutes=10)


def note(
    session: Session,
    now: datetime,
    missing: Iterable[datetime],
    *,
    complete: bool,
    longest: timedelta,
) -> datetime | None:
    """Write down what a look at GitHub's list of failed deliveries showed.

    `missing` are the times of the deliveries in it that we do not have; the list is all of them if
    `complete`. Returns since when issues may have been missed, if that is `longest` ago or more:
    then the caller has them looked for, and the account begins anew.
    """
    mark = session.get(Watermark, NAME)
    if mark is None:
        mark = Watermark(name=NAME, at=_last_seen(session) or now)
        session.add(mark)
    began = mark.at
    if now - began >= longest:
        mark.at = now
        return began - MARGIN
    if complete:
        # Older ones were the matter of an absence before.
        open_ones = [at for at in missing if at >= began - MARGIN]
        mark.at = max(began, min(open_ones, default=now))
    return None


def _last_seen(session: Session) -> datetime | None:
    """When a delivery arrived last; None if none ever did."""
    newest = select(Delivery.received_at).order_by(Delivery.received_at.desc()).limit(1)
    return session.scalar(newest)
