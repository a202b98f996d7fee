"""Take an issue in as GitHub shows it now, not as a webhook told: for a rerun, for a backfill."""

from __future__ import annotations

from sqlalchemy.orm import Session

from app.core.text import IssueText
from app.db import snapshots
from app.db.tables import IssueSnapshot, State
from app.github.models import Issue

OLDER = "a newer text of the issue is known"
WAITING = "it waits to be triaged already"


def take_in(
    session: Session,
    repository_id: int,
    issue: Issue,
    *,
    run_id: str | None = None,
    delay_seconds: float = 0.0,
    hurry: bool = False,
) -> str | None:
    """Let the issue's present text be scored, in `delay_seconds`; or why it was left alone.

    A text that was scored before is scored again. `run_id` names the backfill it belongs to;
    without one it is a live issue, and goes first. With `hurry` a text that waits is due at once.
    """
    number, text = issue.number, IssueText.of(issue.title, issue.body)
    snapshots.lock_issue(session, repository_id, number)
    kept = snapshots.texts(session, repository_id, number)
    same = _same(kept, text)
    if kept and kept[0] is not same and kept[0].observed_at > issue.updated_at:
        return OLDER
    if same is not None and same.state == State.PENDING and not hurry:
        return WAITING
    why = "the issue was read again"
    snapshots.supersede(session, repository_id, number, keep=text.content_hash, reason=why)
    if same is None:
        author = issue.user.login if issue.user else "ghost"
        at, opened = issue.updated_at, issue.created_at
        snapshots.add(
            session, repository_id, number, author, text, at, delay_seconds, opened_at=opened
        )
        session.flush()
        same = _same(snapshots.texts(session, repository_id, number), text)
        assert same is not None  # noqa: S101 - it was just added
    else:
        same.observed_at = max(same.observed_at, issue.updated_at)
        snapshots.reopen(same, delay_seconds)
    same.run_id = run_id
    return None


def _same(kept: list[IssueSnapshot], text: IssueText) -> IssueSnapshot | None:
    return next((row for row in kept if row.content_hash == text.content_hash), None)
