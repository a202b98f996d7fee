"""Take a repository's old issues in, page by page, for the ordinary triage to label them.

Silent but for the labels, as slowly as GitHub bears it, and resumable: what was done stands in the
database with the page, in one transaction. The list may move while it is walked (issues are closed
and opened), so it is walked again until a walk finds nothing new. A catch-up after an absence is a
backfill of the issues that nobody told us of.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import structlog
from sqlalchemy import select
from sqlalchemy.orm import Session

from app.core.repository_config import Config
from app.db import configs, runs, snapshots, words, work
from app.db.clock import from_now
from app.db.learning import Run, RunKind
from app.github.client import InstallationClient
from app.github.models import Issue
from worker import present
from worker.labelling import LeaseLost
from worker.scene import Scene

log = structlog.get_logger()

PULL_REQUEST = "a pull request"
BOT = "opened by a bot"
LABELLED = "somebody labelled it"
OLD = "opened before the date asked for"
UNDONE = "a maintainer told the bot to keep off"
KNOWN = "known already"
# Between two looks at what is not through triage yet, in seconds.
DRAIN_SECONDS = 10.0
_DRAIN = "drain"


@dataclass
class Walk:
    """How far the list was walked. `taken` counts over all walks, the rest is of this one."""

    page: int = 1
    taken: int = 0
    news: int = 0
    seen: int = 0
    skipped: Counter[str] = field(default_factory=Counter)

    @classmethod
    def of(cls, run: Run) -> Walk:
        """As the last step left it."""
        counts: dict[str, Any] = run.counts
        return cls(
            int(run.cursor or 1),
            counts.get("taken", 0),
            counts.get("news", 0),
            counts.get("seen", 0),
            Counter(counts.get("skipped", {})),
        )

    @property
    def counts(self) -> dict[str, Any]:
        """As it is stored."""
        return {
            "taken": self.taken,
            "news": self.news,
            "seen": self.seen,
            "skipped": dict(self.skipped),
        }


def step(scene: Scene[Run]) -> None:
    """One page of the list, or a look whether all that was taken in is through."""
    run = scene.row
    if run.cursor == _DRAIN:
        return _drain(scene)
    with scene.database.reading() as session:
        force = configs.in_force(session, scene.repository_id)
    if force.waiting is not None:
        # Paused, or nobody knows yet which labels the repository wants.
        return _wait(scene, DRAIN_SECONDS, force.waiting)
    walk, since, limit = Walk.of(run), _since(run), run.options.get("limit")
    page = scene.client.open_issues(scene.name, walk.page, since)
    spacing = 3600.0 / scene.settings.backfill_per_hour
    with scene.database.transaction() as session:
        if not work.may_act(session, run, scene.settings.lease_seconds):
            raise LeaseLost
        taken = _take_page(session, scene, walk, page.issues, force.config, spacing)
        full = limit is not None and walk.taken >= limit
        over = full or (page.last and not walk.news)
        if page.last:
            # Once more from the start: an issue that was closed meanwhile moved others up.
            cursor = 1
            keep = walk.counts if over else walk.counts | {"news": 0, "seen": 0, "skipped": {}}
        else:
            cursor, keep = walk.page + 1, walk.counts
        until = session.scalar(select(from_now(taken * spacing)))
        work.note(session, run, cursor=_DRAIN if over else str(cursor), counts=keep)
        if not work.release(session, run, until=until):
            raise LeaseLost
    log.info("run.page", run=run.id, page=walk.page, taken=taken)
    return None


def preview(client: InstallationClient, name: str, config: Config, options: dict[str, Any]) -> Walk:
    """What a backfill would take in as things stand, by GitHub's list alone; nothing is written."""
    walk = Walk()
    since = _moment(options.get("since"))
    limit = options.get("limit")
    last = False
    while not last and (limit is None or walk.taken < limit):
        page = client.open_issues(name, walk.page, since)
        for issue in page.issues:
            if limit is not None and walk.taken >= limit:
                break
            walk.seen += 1
            why = refusal(issue, config, since)
            walk.taken += why is None
            walk.skipped.update([why] if why is not None else [])
        last = page.last
        walk.page += 1
    return walk


def refusal(issue: Issue, config: Config, since: datetime | None) -> str | None:
    """Why an issue is not taken in, by what GitHub shows of it; None if it is. Pure."""
    if issue.pull_request is not None:
        return PULL_REQUEST
    if issue.user is not None and issue.user.type == "Bot":
        return BOT
    if since is not None and issue.created_at < since:
        return OLD
    if _has_ours(config, (label.name for label in issue.labels)):
        return LABELLED
    author = issue.user.login if issue.user else ""
    return config.denied(author=author, title=issue.title)


def _take_page(
    session: Session,
    scene: Scene[Run],
    walk: Walk,
    issues: Iterable[Issue],
    config: Config,
    spacing: float,
) -> int:
    """Take in what is to be; how many."""
    run, since, limit = scene.row, _since(scene.row), scene.row.options.get("limit")
    taken = 0
    for issue in issues:
        if limit is not None and walk.taken >= limit:
            break
        walk.seen += 1
        if _has(session, scene.repository_id, issue.number, run.id):
            continue
        why = refusal(issue, config, since) or _take(session, scene, issue, taken * spacing)
        if why is not None:
            walk.skipped[why] += 1
            continue
        taken += 1
        walk.taken += 1
        walk.news += 1
    return taken


def _take(session: Session, scene: Scene[Run], issue: Issue, delay: float) -> str | None:
    if scene.row.kind == RunKind.CATCH_UP and snapshots.texts(
        session, scene.repository_id, issue.number
    ):
        return KNOWN
    if words.hands_off(session, scene.repository_id, issue.number):
        return UNDONE
    return present.take_in(
        session, scene.repository_id, issue, run_id=scene.row.id, delay_seconds=delay
    )


def _has(session: Session, repository_id: int, number: int, run_id: str) -> bool:
    """True if the run took the issue in before: in an earlier walk, or on the page before."""
    return any(row.run_id == run_id for row in snapshots.texts(session, repository_id, number))


def _has_ours(config: Config, names: Iterable[str]) -> bool:
    owners = (config.taxonomy.owner_of(name) for name in names)
    return any(owner is not None and owner[0].written for owner in owners)


def _drain(scene: Scene[Run]) -> None:
    run = scene.row
    with scene.database.transaction() as session:
        progress = runs.progress(session, run.id)
        if progress.open:
            until = session.scalar(select(from_now(DRAIN_SECONDS)))
            work.release(session, run, until=until)
            return
        ends = {"labelled": progress.labelled, "left": progress.left, "dead": progress.dead}
        if not work.finish(session, run, counts=run.counts | ends, finished_at=from_now()):
            raise LeaseLost
    log.info("run.done", run=run.id, **ends)


def _wait(scene: Scene[Run], seconds: float, why: str) -> None:
    with scene.database.transaction() as session:
        configs.learn(session, scene.repository_id)
        until = session.scalar(select(from_now(seconds)))
        work.release(session, scene.row, until=until, error=why)


def _since(run: Run) -> datetime | None:
    return _moment(run.options.get("since"))


def _moment(text: str | None) -> datetime | None:
    return datetime.fromisoformat(text) if text is not None else None
