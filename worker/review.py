"""Find out what people said of an issue's labels, and keep it as corrections.

GitHub's own list of what happened to the issue is read each time, and the corrections are derived
anew from all of it: so deliveries that come late, twice or out of order end alike.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import structlog
from sqlalchemy import select
from sqlalchemy.orm import Session

from app.core.aliases import Aliases
from app.core.corrections import Act, Hand, Kind, derive
from app.core.settings import Settings
from app.core.taxonomy import Taxonomy
from app.db import configs, corrections, label_names, reviews, snapshots, words, work
from app.db.clock import from_now
from app.db.learning import Review
from app.db.session import Database
from app.db.tables import Application, IssueSnapshot, LabelEvent, Repository
from app.db.words import Word
from app.github.client import AppClient, InstallationClient
from worker import house
from worker.rounds import Errand, Rounds
from worker.testimony import Filing, Testimony, Witnessed, hear

log = structlog.get_logger()

# So long a webhook may be ahead of GitHub's list before we take its word alone.
LIST_DELAY = timedelta(seconds=60)


@dataclass(frozen=True)
class Known:
    """What the database knows of an issue."""

    heard: Sequence[LabelEvent]
    said: Sequence[Word]
    filed: IssueSnapshot | None
    written: Sequence[Application]
    taxonomy: Taxonomy
    aliases: Aliases

    def canonical(self, label: str) -> str:
        """The taxonomy's name of a GitHub label, whatever it is called now."""
        return self.aliases.canonical(label, self.taxonomy)

    @property
    def silent(self) -> bool:
        """True if nobody can have said anything: no person touched labels, and we wrote none."""
        by_people = any(row.actor_type == "User" or not row.label for row in self.heard)
        return not (by_people or self.said or self.noted)

    @property
    def noted(self) -> list[str]:
        """Names of the labels that we wrote last, and did not take back since."""
        if not self.written:
            return []
        newest = self.written[-1]
        undone = {name.casefold() for name in newest.undone or ()}
        left = (name for name in newest.written if name.casefold() not in undone)
        return [self.canonical(name) for name in left]

    def versions(self) -> dict[str, str]:
        """Dimension -> the model version that wrote there last."""
        found: dict[str, str] = {}
        for row in self.written:
            for name in row.written:
                owner = self.taxonomy.owner_of(self.canonical(name))
                if owner is not None:
                    found[owner[0].name] = row.model_version
        return found


@dataclass
class _Rights:
    """Who may triage: asked once in a turn of each person, and once for ever of each event.

    `known` is by event, `asked` by repository and person.
    """

    client: InstallationClient
    repository: Repository
    known: dict[str, bool]
    asked: dict[tuple[int, int], bool]

    def of(self, it: Witnessed) -> bool:
        kept = self.known.get(str(it.event_id)) if it.event_id is not None else None
        if kept is None and it.heard is not None:
            kept = it.heard.trusted
        if kept is None:
            kept = self._ask(it.act)
        if it.event_id is not None:
            self.known[str(it.event_id)] = kept
        return kept

    def _ask(self, act: Act) -> bool:
        who = self.repository.id, act.actor_id
        if who not in self.asked:
            self.asked[who] = self.client.may_triage(self.repository.full_name, act.actor)
        return self.asked[who]


@dataclass(frozen=True)
class Reviewing:
    """The use case, with all it needs. `taxonomy` holds where a repository configured none."""

    database: Database
    github: AppClient
    taxonomy: Taxonomy
    settings: Settings

    def run_batch(self) -> int:
        """One installation's turn; how many rows were claimed, 0 when there is nothing to do."""
        asked: dict[tuple[int, int], bool] = {}
        rounds = Rounds(self.database, self.github, self.settings, Review)
        return rounds.run(lambda client, errand: self._review(client, errand, asked))

    def _review(
        self,
        client: InstallationClient,
        errand: Errand[Review],
        asked: dict[tuple[int, int], bool],
    ) -> None:
        row = errand.row
        with self.database.reading() as session:
            known = _known(session, row, self.taxonomy)
        if known.silent:
            return self._keep(row, known, Testimony((), early=False), [], {}, {})
        name = errand.repository.full_name
        events = client.issue_events(name, row.issue_number)
        told = hear(
            events,
            known.heard,
            known.said,
            self.github.identity(client),
            self._filing(client, name, row, known),
            known.canonical,
        )
        rights = _Rights(client, errand.repository, dict(row.rights), asked)
        acts, trusted = _judge(told, known.taxonomy, rights)
        return self._keep(row, known, told, acts, rights.known, trusted)

    def _filing(self, client: InstallationClient, name: str, row: Review, known: Known) -> Filing:
        if known.filed is not None and known.filed.opened_at is not None:
            return Filing(known.filed.author, known.filed.opened_at)
        issue = client.issue(name, row.issue_number)
        return Filing(issue.user.login if issue.user is not None else "", issue.created_at)

    def _keep(
        self,
        row: Review,
        known: Known,
        told: Testimony,
        acts: Sequence[Act],
        rights: dict[str, bool],
        trusted: dict[str, bool],
    ) -> None:
        findings = derive(known.taxonomy, acts, known.noted)
        with self.database.transaction() as session:
            if not self._settle(session, row, rights, early=told.early):
                # Something happened to the issue since: it is looked at again.
                log.info("review.overtaken", review=row.id)
                return
            _remember(session, known.heard, trusted)
            corrections.store(
                session,
                row.repository_id,
                row.issue_number,
                findings,
                snapshot_id=known.filed.id if known.filed is not None else None,
                versions=known.versions(),
                per_hour=self.settings.corrections_per_hour,
                per_day=self.settings.corrections_per_day,
            )
        log.info("issue.reviewed", review=row.id, corrections=len(findings))

    def _settle(
        self, session: Session, row: Review, rights: dict[str, bool], *, early: bool
    ) -> bool:
        """Finish the row; or look again, while GitHub's list may still grow. False if not ours."""
        if early and datetime.now(UTC) - row.created_at < LIST_DELAY:
            again = session.scalar(select(from_now(reviews.SETTLE_SECONDS)))
            return work.note(session, row, rights=rights) and work.release(
                session, row, until=again
            )
        return work.finish(session, row, rights=rights)


def _known(session: Session, row: Review, usual: Taxonomy) -> Known:
    repository_id, number = row.repository_id, row.issue_number
    heard = session.scalars(
        select(LabelEvent).where(
            LabelEvent.repository_id == repository_id, LabelEvent.issue_number == number
        )
    ).all()
    written = session.scalars(
        select(Application)
        .join(IssueSnapshot, IssueSnapshot.id == Application.snapshot_id)
        .where(IssueSnapshot.repository_id == repository_id, IssueSnapshot.issue_number == number)
        .order_by(Application.id)
    ).all()
    return Known(
        heard=heard,
        said=words.said(session, repository_id, number),
        filed=snapshots.filed(session, repository_id, number),
        written=[application for application in written if application.written],
        taxonomy=house.taxonomy_of(configs.in_force(session, repository_id).config, usual),
        aliases=label_names.aliases(session, repository_id),
    )


def _judge(
    told: Testimony, taxonomy: Taxonomy, rights: _Rights
) -> tuple[list[Act], dict[str, bool]]:
    """The acts, each with its hand, and what we know now of the webhooks' actors, by GUID."""
    acts, trusted = [], {}
    for it in told.acts:
        hand = it.act.hand
        matters = it.act.kind is Kind.CLOSED or taxonomy.owner_of(it.act.label) is not None
        if it.unsure and matters:
            allowed = rights.of(it)
            hand = Hand.PERSON if allowed else Hand.OTHER
            if it.heard is not None:
                trusted[it.heard.guid] = allowed
        acts.append(it.by(hand))
    return acts, trusted


def _remember(session: Session, heard: Sequence[LabelEvent], trusted: dict[str, bool]) -> None:
    for row in heard:
        if row.trusted is None and row.guid in trusted:
            session.get_one(LabelEvent, row.guid).trusted = trusted[row.guid]
