"""Carry out what people with triage rights wrote in comments: quiet success, exact errors.

Success is a reaction to the comment. What could not be done is said in one short comment, which a
retry finds by its hidden marker. Who has no rights gets a reaction and no words.
"""

from __future__ import annotations

from dataclasses import dataclass

import structlog
from sqlalchemy import select

from app.core import commands
from app.core.commands import Mistake, Order, Verb
from app.core.errors import NotPermitted
from app.core.repository_config import PATH
from app.core.settings import Settings
from app.db import configs, reviews, words, work
from app.db.clock import from_now
from app.db.configs import InForce
from app.db.learning import Command
from app.db.session import Database
from app.github.client import AppClient, InstallationClient
from worker import explanation, renames
from worker.acts import Acts
from worker.labelling import LeaseLost
from worker.rounds import Errand, Rounds
from worker.scene import Scene

log = structlog.get_logger()

DONE, REFUSED = "+1", "confused"
NOT_FOR_US = "no command of this repository"
NO_RIGHTS = "no triage rights in this repository"
OUTCOME_LENGTH = 500
BROKEN = f"`{PATH}` cannot be used as it is: somebody who may has to mend it first."


@dataclass(frozen=True)
class Commanding:
    """The use case, with all it needs."""

    database: Database
    github: AppClient
    settings: Settings

    def run_batch(self) -> int:
        """One installation's turn; how many rows were claimed, 0 when there is nothing to do."""
        return Rounds(self.database, self.github, self.settings, Command).run(self._carry)

    def _carry(self, client: InstallationClient, errand: Errand[Command]) -> None:
        with self.database.reading() as session:
            force = configs.in_force(session, errand.repository.id)
        if force.read_at is None:
            return self._wait_for_configuration(errand)
        if words.UNREAD in errand.row.words and not self._is_for_us(errand.row, force):
            return None
        us = self.github.identity(client)
        followed = renames.follow(self.database, client, errand.repository.id)
        scene = Scene(self.database, self.settings, followed, us, errand)
        if not client.may_triage(scene.name, errand.row.actor):
            self._react(scene, REFUSED)
            return self._finish(scene, NO_RIGHTS)
        done, mistakes = self._obey(scene, force)
        if mistakes:
            self._reply(scene, mistakes)
        self._react(scene, REFUSED if mistakes else DONE)
        return self._finish(scene, "; ".join([*done, *mistakes]))

    def _obey(self, scene: Scene[Command], force: InForce) -> tuple[list[str], list[str]]:
        """Carry out each line in turn: what was done, and what could not be."""
        done: list[str] = []
        mistakes: list[str] = []
        for line in scene.row.lines:
            try:
                done.append(self._obey_one(scene, force, line))
            except Mistake as error:
                mistakes.append(str(error))
        return done, mistakes

    def _obey_one(self, scene: Scene[Command], force: InForce, line: str) -> str:
        asked = commands.read(line, force.config.taxonomy)
        if force.broken and (not isinstance(asked, Order) or asked.verb is Verb.RERUN):
            raise Mistake(BROKEN)
        if not isinstance(asked, Order):
            return Acts(scene, force).label(asked)
        if asked.verb is Verb.EXPLAIN:
            return self._explain(scene, force)
        return Acts(scene, force).order(asked)

    def _wait_for_configuration(self, errand: Errand[Command]) -> None:
        # Which labels there are is for the repository's configuration to say.
        with self.database.transaction() as session:
            configs.want(session, errand.repository.id)
            until = session.scalar(select(from_now(self.settings.retry_seconds)))
            work.release(session, errand.row, until=until, error=configs.UNREAD)

    def _is_for_us(self, row: Command, force: InForce) -> bool:
        """Keep of lines that were taken down unread those that are commands; False if none is."""
        row.lines, row.words = commands.still(row.lines, force.config.taxonomy), {}
        with self.database.transaction() as session:
            if not row.lines:
                # Told to another bot: nobody is answered.
                work.finish(session, row, lines=[], words={}, outcome=NOT_FOR_US)
            elif not work.note(session, row, lines=row.lines, words={}):
                raise LeaseLost
        return bool(row.lines)

    def _explain(self, scene: Scene[Command], force: InForce) -> str:
        """Say it in the comment of the last time, or in a new one."""
        with self.database.reading() as session:
            text = explanation.explain(session, scene.repository_id, scene.row.issue_number, force)
            earlier = session.scalar(
                select(Command.reply_id)
                .where(
                    Command.repository_id == scene.repository_id,
                    Command.issue_number == scene.row.issue_number,
                    Command.reply_id.is_not(None),
                )
                .order_by(Command.id.desc())
                .limit(1)
            )
        # Ours since the command first: an answer of its own that was lost, the old one deleted.
        spoken = self._said(scene, explanation.MARKER) or earlier
        scene.hold()
        if spoken is None or not scene.client.reword(scene.name, spoken, text):
            spoken = scene.client.say(scene.name, scene.row.issue_number, text)
        scene.pause()
        scene.hold(reply_id=spoken)
        return "explained"

    def _reply(self, scene: Scene[Command], mistakes: list[str]) -> None:
        marker = f"<!-- triora:command {scene.row.comment_id} -->"
        lines = [marker, *(f"- {mistake}" for mistake in mistakes)]
        if len(mistakes) == 1:
            lines = [marker, mistakes[0]]
        if self._said(scene, marker) is not None:
            return
        scene.hold()
        try:
            scene.client.say(scene.name, scene.row.issue_number, "\n".join(lines))
        except NotPermitted as error:
            # A locked conversation, say. The answer is not worth doing everything again.
            log.warning("command.unanswered", command=scene.row.id, error=str(error))
        scene.pause()

    def _said(self, scene: Scene[Command], marker: str) -> int | None:
        """Our comment with that marker since the command was written: an answer may get lost."""
        for comment in scene.client.comments(
            scene.name, scene.row.issue_number, scene.row.happened_at
        ):
            ours = comment.user is not None and comment.user.id == scene.us.bot_id
            if ours and (comment.body or "").startswith(marker):
                return comment.id
        return None

    def _react(self, scene: Scene[Command], content: str) -> None:
        scene.hold()
        try:
            scene.client.react(scene.name, scene.row.comment_id, content)
        except NotPermitted as error:
            log.warning("command.unanswered", command=scene.row.id, error=str(error))
        scene.pause()

    def _finish(self, scene: Scene[Command], outcome: str) -> None:
        row = scene.row
        with self.database.transaction() as session:
            if not work.finish(session, row, outcome=outcome[:OUTCOME_LENGTH]):
                raise LeaseLost
            if row.words:
                reviews.want(session, row.repository_id, row.issue_number)
        log.info("command.done", command=row.id, repository=row.repository_id)
