"""Carry decided labels to GitHub: additive, human first, and harmless when done twice.

Before each write the issue, its events and the repository's labels are read again. What is missing
is added; what anybody but us set or removed is left alone; nothing is replaced as a set.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from functools import partial

import structlog
from sqlalchemy import select
from sqlalchemy.orm import Session

from app.core.decision import Reason
from app.core.errors import GitHubUnavailable, Gone, TriageError
from app.core.settings import Settings
from app.core.taxonomy import Label, Taxonomy
from app.db import words, work
from app.db.clock import from_now
from app.db.insertion import insert_new
from app.db.refusals import block
from app.db.session import Database
from app.db.tables import Application, IssueSnapshot, LabelEvent, Repository, SeenLabel
from app.github.client import AppClient, InstallationClient
from app.github.failures import Refused, RepositoryMoved
from worker import hands, permit, refusals, remark, renames
from worker.permit import Rules
from worker.plan import MISSING, Plan, plan
from worker.proposing import Outcome, Proposing
from worker.settle import settle
from worker.turns import Job, somebody_asks, take_turn

log = structlog.get_logger()

CLOSED = "the issue is closed"
PEOPLES = str(Reason.PEOPLES)
PERSONS = str(Reason.PERSON_DECIDED)


class LeaseLost(TriageError):
    """Our time with a row is over (or nearly): somebody else may work on it already."""

    def __init__(self) -> None:
        super().__init__("GitHub took too long: the lease was used up before the write")


@dataclass(frozen=True)
class Look:
    """One look at an issue: what is to be written, what to be proposed, and its labels now.

    `crossed` are labels of ours that were under way when a person decided otherwise.
    """

    todo: Plan
    offer: Plan
    live: Sequence[str]
    crossed: Sequence[str] = ()

    def without(self, taxonomy: Taxonomy, names: Collection[str]) -> Look:
        """The same after `names` were taken off again."""
        gone = {name.casefold() for name in names}
        live = tuple(name for name in self.live if name.casefold() not in gone)
        return Look(self.todo.less(taxonomy, gone, PERSONS), self.offer, live)


@dataclass(frozen=True)
class Labelling:
    """The use case, with all it needs."""

    database: Database
    github: AppClient
    taxonomy: Taxonomy
    settings: Settings

    def run_batch(self) -> int:
        """One installation's turn; how many rows were claimed, 0 when there is nothing to do."""
        with self.database.transaction() as session:
            jobs, claimed = take_turn(session, self.settings)
        if jobs:
            with self.github.installation(jobs[0].repository.installation_id) as client:
                self._work_through(client, jobs)
        return claimed

    def _work_through(self, client: InstallationClient, jobs: Sequence[Job]) -> None:
        for index, job in enumerate(jobs):
            if index and self._is_asked(job.repository.installation_id):
                return self._give_back(jobs[index:])
            try:
                self._carry(client, job)
            except LeaseLost as error:
                log.warning("lease.lost", table=job.row.__tablename__, row=job.row.id)
                if index == 0:
                    # It had the whole lease. Counted, or it would be tried without end.
                    self._settle(job, error)
                    return self._give_back(jobs[1:])
                return self._give_back(jobs[index:])
            except GitHubUnavailable as error:
                # It concerns the others as well: asking on would only cost their attempts.
                self._settle(job, error)
                return self._give_back(jobs[index + 1 :], error)
            except Refused as error:
                # A token keeps the permissions it was made with.
                client.renew()
                self._give_back(jobs[index + 1 :])
                return self._settle(job, error)
            except Exception as error:  # noqa: BLE001 - one odd issue must not stop the others
                self._settle(job, error)
        return None

    def _is_asked(self, installation_id: int) -> bool:
        with self.database.reading() as session:
            return somebody_asks(session, installation_id)

    def _settle(self, job: Job, error: Exception) -> None:
        with self.database.transaction() as session:
            if isinstance(error, Refused):
                refusals.put_off(session, job.row, job.repository, error)
                return
            settle(session, job.row, error, self.settings)
            if isinstance(error, GitHubUnavailable) and error.limited and error.retry_at:
                block(session, job.repository.installation_id, error.retry_at)

    def _give_back(self, jobs: Sequence[Job], error: GitHubUnavailable | None = None) -> None:
        with self.database.transaction() as session:
            until = error.retry_at if error is not None else None
            if error is not None and until is None:
                until = session.scalar(select(from_now(self.settings.retry_seconds)))
            for job in jobs:
                work.release(session, job.row, until=until, error=job.row.error)

    def _carry(self, client: InstallationClient, job: Job) -> None:
        try:
            self._write(client, job)
        except RepositoryMoved:
            self._follow(client, job)
            self._write(client, job)

    def _follow(self, client: InstallationClient, job: Job) -> None:
        """Learn the repository's present name."""
        found = client.repository(job.repository.id)
        if found.full_name == job.repository.full_name:
            raise Gone("the issue was transferred to another repository")
        with self.database.transaction() as session:
            session.get_one(Repository, job.repository.id).full_name = found.full_name
        job.repository.full_name = found.full_name
        log.info("repository.renamed", repository=job.repository.id)

    def _write(self, client: InstallationClient, job: Job) -> None:
        rules = permit.ask(self.database, client, self.settings, self.taxonomy, job)
        if rules is not None:
            self._write_by(rules, client, job)

    def _write_by(self, rules: Rules, client: InstallationClient, job: Job) -> None:
        client = renames.follow(self.database, client, job.repository.id, rules.taxonomy)
        names = [name for names in job.row.wanted.values() for name in names]
        absent = client.lacks(job.repository.full_name, names) if names else set()
        seen = self._seen(job)
        look = self._look(rules, client, job, absent, seen)
        new = [label for label in look.todo.add if label.github.casefold() in absent]
        for label in new:
            self._hold(job)
            client.create_label(job.repository.full_name, label)
            self._pause()
        self._remember(job, {n.casefold() for n in names} - absent - seen, new)
        if new:
            # That took a while: somebody may have acted.
            look = self._look(rules, client, job, absent, seen)
        gone = self._apply(client, job, look, partial(self._look, rules, client, job, absent, seen))
        look = look.without(rules.taxonomy, gone)
        self._finish(job, look, self._tell(rules, client, job, look, seen))

    def _look(
        self,
        rules: Rules,
        client: InstallationClient,
        job: Job,
        absent: Collection[str],
        seen: Collection[str],
    ) -> Look:
        """What is to be done as things stand now."""
        name, number = job.repository.full_name, job.snapshot.issue_number
        suggested = job.row.suggested or {}
        issue = client.issue(name, number)
        live = [label.name for label in issue.labels]
        if issue.closed:
            closed = Plan(kept=dict.fromkeys(job.row.wanted, CLOSED))
            return Look(closed, Plan(kept=dict.fromkeys(suggested, CLOSED)), live)
        # Read last: whatever somebody did since the issue was read stands there.
        events = client.issue_events(name, number)
        us = self.github.identity(client)
        with self.database.reading() as session:
            noted = _noted(session, job)
            done = hands.read(live, events, _heard(session, job), noted, us)
            told = words.hands(session, job.repository.id, number, rules.taxonomy)
        people = hands.both(done, told)
        todo = plan(rules.taxonomy, job.row.wanted, live, people).less(
            rules.taxonomy, {name for name in absent if name in seen}
        )
        uncalled = {n for n in absent if n not in seen and not rules.creates(n)}
        named = [n for names in (*job.row.wanted.values(), *suggested.values()) for n in names]
        withheld = renames.withheld(client, name, named, rules.config)
        return Look(
            todo.less(rules.taxonomy, uncalled, MISSING).less(rules.taxonomy, withheld, PEOPLES),
            plan(rules.taxonomy, suggested, live, people).less(rules.taxonomy, withheld, PEOPLES),
            live,
            # A label that somebody asked for in a command is nothing to take back.
            hands.crossed(rules.taxonomy, live, events, noted, us, besides=told.set),
        )

    def _tell(
        self,
        rules: Rules,
        client: InstallationClient,
        job: Job,
        look: Look,
        seen: Collection[str],
    ) -> Outcome:
        """Propose what is not written, and say what was, where the repository wants that."""
        with self.database.reading() as session:
            chances = permit.chances(session, job)
            first = not permit.was_labelled(session, job)
        name, number = job.repository.full_name, job.snapshot.issue_number
        guards = {"before_write": lambda: self._hold(job), "after_write": self._pause}
        proposing = Proposing(client, name, number, rules.taxonomy, seen, **guards)
        outcome = proposing.propose(look.offer, look.live, chances)
        self._remember(job, set(), outcome.created)
        if rules.config.comment and job.snapshot.run_id is None:
            us = self.github.identity(client)
            lines = remark.lines(rules.taxonomy, job.row.wanted, look.todo.kept, chances)
            remark.Remark(client, us, name, number, **guards).say(lines, first=first)
        return outcome

    def _apply(
        self, client: InstallationClient, job: Job, look: Look, again: Callable[[], Look]
    ) -> Sequence[str]:
        """Do what is to be done; names that were taken off again since a person was faster."""
        name, number = job.repository.full_name, job.snapshot.issue_number
        todo, crossed = look.todo, look.crossed
        if todo.add:
            names = [label.github for label in todo.add]
            # Noted first: should the answer get lost, the next attempt knows whose labels they are.
            self._hold(job, written=_union(job.row.written, names))
            client.add_labels(name, number, names)
            self._pause()
            # GitHub takes no label on condition: who acted since the look shows only now.
            crossed = again().crossed
        for at, label in enumerate(todo.remove):
            # A write takes a second, in which somebody may have acted.
            if (todo.add or at) and label not in again().todo.remove:
                continue
            self._take_off(client, job, label)
        for label in crossed:
            self._take_off(client, job, label)
        return crossed

    def _take_off(self, client: InstallationClient, job: Job, label: str) -> None:
        self._hold(job)
        client.remove_label(job.repository.full_name, job.snapshot.issue_number, label)
        self._pause()

    def _finish(self, job: Job, look: Look, outcome: Outcome) -> None:
        added = [label.github for label in look.todo.add]
        kept = {**look.todo.kept, **outcome.kept}
        present = {name.casefold() for name in (*look.live, *added)}
        # Noted by an attempt that failed, and there: this row put it there.
        written = [n for n in _union(job.row.written, added) if n.casefold() in present]
        with self.database.transaction() as session:
            if not work.finish(
                session,
                job.row,
                written=written,
                kept=kept,
                proposed=_union(job.row.proposed or [], outcome.proposed),
                applied_at=from_now() if written else None,
            ):
                raise LeaseLost
        refusals.end(self.database, job.row, job.repository, wrote=bool(added))
        log.info(
            "issue.labelled",
            application=job.row.id,
            added=len(added),
            removed=len(look.todo.remove),
            proposed=len(outcome.proposed),
            kept=len(kept),
        )

    def _hold(self, job: Job, **note: object) -> None:
        """Before a write: LeaseLost unless the row is still safely ours. Writes `note` on it."""
        with self.database.transaction() as session:
            if not work.may_act(session, job.row, self.settings.lease_seconds):
                raise LeaseLost
            if note and not work.note(session, job.row, **note):
                raise LeaseLost

    def _pause(self) -> None:
        # After the write, not before the next one: the next may be another process's.
        time.sleep(self.settings.write_spacing_seconds)

    def _seen(self, job: Job) -> set[str]:
        with self.database.reading() as session:
            return set(
                session.scalars(
                    select(SeenLabel.name).where(SeenLabel.repository_id == job.repository.id)
                )
            )

    def _remember(self, job: Job, found: set[str], new: Sequence[Label]) -> None:
        names = found | {label.github.casefold() for label in new}
        if names:
            with self.database.transaction() as session:
                for name in sorted(names):
                    insert_new(
                        session,
                        SeenLabel,
                        repository_id=job.repository.id,
                        name=name,
                        seen_at=from_now(),
                    )


def _heard(session: Session, job: Job) -> Sequence[LabelEvent]:
    """Label changes on the issue that webhooks told us."""
    return session.scalars(
        select(LabelEvent).where(
            LabelEvent.repository_id == job.snapshot.repository_id,
            LabelEvent.issue_number == job.snapshot.issue_number,
        )
    ).all()


def _noted(session: Session, job: Job) -> list[str]:
    """Every label that we put on the issue, or were about to, for any of its texts."""
    written = session.scalars(
        select(Application.written)
        .join(IssueSnapshot, IssueSnapshot.id == Application.snapshot_id)
        .where(
            IssueSnapshot.repository_id == job.snapshot.repository_id,
            IssueSnapshot.issue_number == job.snapshot.issue_number,
        )
    )
    return [name for names in written for name in names]


def _union(first: Sequence[str], second: Sequence[str]) -> list[str]:
    return list(dict.fromkeys((*first, *second)))
