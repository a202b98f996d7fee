"""What each command does. Doing one twice changes nothing; a wrong one is a Mistake in words."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import structlog
from sqlalchemy import select, update

from app.core.commands import Mistake, Order, Setting, Verb, named, quoted
from app.core.decision import Reason
from app.core.repository_config import PATH
from app.core.taxonomy import Dimension, Label
from app.db import configs, snapshots, words
from app.db.configs import InForce
from app.db.learning import Command
from app.db.tables import Application, IssueSnapshot, State
from app.github.models import Issue
from worker import hands, present, takeback
from worker.scene import Scene

log = structlog.get_logger()

OVERTAKEN = "somebody has decided otherwise since"


@dataclass(frozen=True)
class Acts:
    """The acts on one issue, in the name of who wrote the command."""

    scene: Scene[Command]
    force: InForce

    def label(self, setting: Setting) -> str:
        """Make these the labels of the dimension, as the word of the person who asked.

        An exclusive dimension loses its other labels, whoever set them; another one loses what the
        bot guessed and nobody touched. What somebody did after the command was written stands.
        """
        scene, dimension = self.scene, setting.dimension
        seen = self._look()
        if self._overtaken(dimension, seen):
            return OVERTAKEN
        self._provide(setting.labels)
        wanted = {label.github.casefold() for label in setting.labels}
        stale = [name for name in seen.live if name.casefold() in _names(dimension) - wanted]
        if not dimension.exclusive:
            stale = [n for n in stale if n.casefold() not in {x.casefold() for x in seen.done.set}]
        present = {name.casefold() for name in seen.live}
        missing = [x.github for x in setting.labels if x.github.casefold() not in present]
        self._note(added=[label.github for label in setting.labels])
        if missing:
            scene.hold()
            scene.client.add_labels(scene.name, scene.row.issue_number, missing)
            scene.pause()
        for at, name in enumerate(stale):
            # A write takes a second, in which somebody may have decided otherwise.
            if (missing or at) and self._overtaken(dimension, self._look()):
                return OVERTAKEN
            self._note(removed=[name])
            takeback.take_off(scene, scene.row.issue_number, name)
        return f"{dimension.called}: {', '.join(label.name for label in setting.labels)}"

    def order(self, order: Order) -> str:
        """Carry out `/triage VERB`, all but `explain`."""
        match order.verb:
            case Verb.RERUN:
                return self._rerun()
            case Verb.UNDO:
                return self._undo()
            case Verb.PAUSE:
                return self._pause()
            case Verb.RESUME:
                return self._resume()
        raise ValueError(order.verb)

    def _pause(self) -> str:
        with self.scene.database.transaction() as session:
            configs.pause(session, self.scene.repository_id, self.scene.row.actor)
        return "paused"

    def _resume(self) -> str:
        with self.scene.database.transaction() as session:
            configs.resume(session, self.scene.repository_id)
        return "resumed"

    def _rerun(self) -> str:
        """Triage the issue's present text again, unless people decided everything there is."""
        if self.force.paused:
            raise Mistake("Triage is paused in this repository: `/triage resume` first.")
        scene, taxonomy = self.scene, self.force.config.taxonomy
        # An undo of before is over with this; it must not count as somebody's hand below.
        self._note(hands_off=False)
        seen = self._look()
        if seen.issue.closed:
            raise Mistake("The issue is closed; only open issues are labelled.")
        self._refuse_denied(seen.issue)
        open_to_us = [d for d in taxonomy.written if not seen.done.touched(d)]
        if not open_to_us:
            asked = ", ".join(named(d.called) for d in taxonomy.written)
            raise Mistake(f"People have decided {asked} here: there is nothing left to label.")
        with scene.database.transaction() as session:
            # A person waits for it: whatever run brought it, it is not a run's now.
            present.take_in(session, scene.repository_id, seen.issue, hurry=True)
        if self.force.config.dry_run:
            # Done all the same: what it would have written is what a dry run is for.
            raise Mistake(
                f"Triaged again, and no label will be written: `dry_run` is on in `{PATH}`. "
                "`/triage explain` says what was decided."
            )
        return "triaged again"

    def _refuse_denied(self, issue: Issue) -> None:
        """Mistake where the configuration leaves no label to write on this issue."""
        config, author = self.force.config, issue.user.login if issue.user else ""
        match config.denied(author=author, title=issue.title):
            case Reason.DENIED_AUTHOR:
                why = f"`deny.authors` names {quoted(author)}"
            case Reason.DENIED_TITLE:
                why = "a pattern of `deny.titles` fits the issue's title"
            case _:
                if any(
                    not config.is_peoples(n) for d in config.taxonomy.written for n in _names(d)
                ):
                    return
                why = "it leaves no label for the bot to write"
        raise Mistake(f"This issue is left alone: in `{PATH}`, {why}.")

    def _undo(self) -> str:
        """Take back what we put on the issue and nobody touched since, and keep off from now on."""
        scene, number = self.scene, self.scene.row.issue_number
        taxonomy = self.force.config.taxonomy
        self._note(hands_off=True)
        self._stop_waiting()
        seen = self._look()
        with scene.database.reading() as session:
            ours = takeback.written(session, scene.repository_id, number)
        for at, name in enumerate(takeback.plan(seen, ours, taxonomy).remove):
            if at and takeback.stays(scene, number, name, taxonomy) is not None:
                continue
            self._note(removed=[name])
            takeback.take_off(scene, number, name)
        self._mark_undone()
        if self.force.config.comment:
            takeback.disown(scene, number)
        return f"took back {', '.join(scene.row.words.get(words.REMOVED) or ['nothing'])}"

    def _look(self) -> takeback.Look:
        return takeback.look(self.scene, self.scene.row.issue_number, self.force.config.taxonomy)

    def _stop_waiting(self) -> None:
        here = self.scene.repository_id, self.scene.row.issue_number
        with self.scene.database.transaction() as session:
            snapshots.supersede(session, *here, keep=None, reason="undone by a maintainer")
            session.execute(
                update(Application)
                .where(
                    Application.state == State.PENDING,
                    Application.snapshot_id.in_(
                        select(IssueSnapshot.id).where(
                            IssueSnapshot.repository_id == here[0],
                            IssueSnapshot.issue_number == here[1],
                        )
                    ),
                )
                .values(state=State.SUPERSEDED, lease_token=None, lease_until=None),
                execution_options={"synchronize_session": False},
            )

    def _mark_undone(self) -> None:
        gone = {name.casefold() for name in self.scene.row.words.get(words.REMOVED, ())}
        here = self.scene.repository_id, self.scene.row.issue_number
        with self.scene.database.transaction() as session:
            for row in takeback.applications(session, *here):
                taken = [name for name in row.written if name.casefold() in gone]
                row.undone = list(dict.fromkeys([*(row.undone or ()), *taken])) or row.undone

    def _note(self, *, hands_off: bool | None = None, **said: Sequence[str]) -> None:
        """Write down the person's word before anything is done: our write is not our own act."""
        noted = dict(self.scene.row.words)
        for key, names in said.items():
            noted[key] = list(dict.fromkeys([*noted.get(key, ()), *names]))
        if hands_off is not None:
            noted[words.HANDS_OFF] = hands_off
        self.scene.hold(words=noted)

    def _overtaken(self, dimension: Dimension, seen: takeback.Look) -> bool:
        row, ours = self.scene.row, _names(dimension)
        with self.scene.database.reading() as session:
            told = words.said(session, row.repository_id, row.issue_number)
        return any(
            word.label.casefold() in ours and word.happened_at > row.happened_at for word in told
        ) or any(
            event.created_at > row.happened_at and not hands.is_us(event, self.scene.us)
            for event in seen.events
            if event.event in (hands.ADDED, hands.REMOVED)
            and event.label is not None
            and event.label.name.casefold() in ours
        )

    def _provide(self, labels: Sequence[Label]) -> None:
        """Create what the repository never had. Mistake for a label that its people deleted."""
        scene = self.scene
        absent = scene.client.lacks(scene.name, [label.github for label in labels])
        new = [label for label in labels if label.github.casefold() in absent]
        seen = scene.seen() if new else set()
        for label in new:
            if label.github.casefold() in seen or not label.create:
                raise Mistake(
                    f"There is no label {quoted(label.github)} in this repository: "
                    "somebody who may has to create it first."
                )
        for label in new:
            scene.hold()
            scene.client.create_label(scene.name, label)
            scene.pause()
        scene.remember([label.github for label in labels])


def _names(dimension: Dimension) -> set[str]:
    return {label.github.casefold() for label in dimension.labels}
