"""What becomes of a row of work when an error ended it: the row waits, is dropped, or dies.

Retries live in the row (`due_at`, `attempts`), never in the broker.
"""

from __future__ import annotations

import traceback
from datetime import UTC, datetime, timedelta

import structlog
from sqlalchemy.orm import Session

from app.core.errors import GitHubUnavailable, NotPermitted, TriageError, ends_quietly, may_retry
from app.core.settings import Settings
from app.db import work

log = structlog.get_logger()

LONGEST_WAIT_SECONDS = 3600.0
# Only an owner can end a refusal; asking more often does not help.
REFUSED_WAIT_SECONDS = 900.0
# So a row is labelled at most this long after the end of an outage.
OUTAGE_WAIT_SECONDS = 900.0


def settle(session: Session, row: work.Claimed, error: BaseException, settings: Settings) -> bool:
    """Write down what `error` means for `row`. False if its lease was lost.

    A thing that is gone ends the row quietly. A rate limit or an outage, however long, puts it off
    without counting the attempt. Anything else is tried again, four times later each time, and
    buried in the end.
    """
    said = describe(error)
    log.warning("work.failed", table=row.__tablename__, row=row.id, error=said)
    if ends_quietly(error):
        return work.drop(session, row, said)
    if isinstance(error, GitHubUnavailable) and error.limited:
        return work.release(session, row, until=error.retry_at, error=said)
    if may_retry(error):
        return work.release(session, row, until=_after_outage(row, error, settings), error=said)
    return work.fail(
        session,
        row,
        said,
        delay_seconds=_delay(row, error, settings),
        max_attempts=settings.max_attempts,
    )


def describe(error: BaseException) -> str:
    """Class and text of an error of ours; class and place of any other.

    The text of a foreign exception may quote the issue that caused it.
    """
    name = type(error).__name__
    if isinstance(error, TriageError):
        return f"{name}: {error}"
    frames = traceback.extract_tb(error.__traceback__)
    return f"{name} in {frames[-1].name}, line {frames[-1].lineno}" if frames else name


def _after_outage(row: work.Claimed, error: BaseException, settings: Settings) -> datetime:
    """As long again as the row has waited already, so each wait is about twice the one before.

    Its age is all that says how long the outage lasts: the attempts are not counted.
    """
    now = datetime.now(UTC)
    waited = max((now - row.created_at).total_seconds(), settings.retry_seconds)
    until = now + timedelta(seconds=min(waited, OUTAGE_WAIT_SECONDS))
    told = error.retry_at if isinstance(error, GitHubUnavailable) else None
    return max(until, told) if told is not None else until


def _delay(row: work.Claimed, error: BaseException, settings: Settings) -> float:
    if isinstance(error, NotPermitted):
        return REFUSED_WAIT_SECONDS
    waited = settings.retry_seconds * 4.0 ** (max(row.attempts, 1) - 1)
    return float(min(waited, LONGEST_WAIT_SECONDS))
