"""Deliveries about comments: a command that a person wrote on an issue.

Only new comments are read. A command is an act, not a text that holds for as long as it stands: an
edit does not say which line is new, carrying it out again would surprise, and whoever may edit
other people's comments could put words into their mouths. Who mistyped writes a new comment.
"""

from __future__ import annotations

from app.core import commands
from app.db import configs, coverage, words
from app.db.clock import from_now
from app.db.insertion import insert_new
from app.db.learning import Command
from app.db.tables import Outcome, State
from app.github.events import Actor, Comment
from app.intake.verdict import Arrival, Verdict, ignored
from app.queue import Task


def comment_event(arrival: Arrival) -> Verdict:
    """Judge a delivery of the `issue_comment` event."""
    event, repository = arrival.event, arrival.repository
    issue, comment, sender = event.issue, event.comment, event.sender
    if issue is None or repository is None or comment is None or sender is None:
        return ignored("no issue, repository, comment or sender in the payload")
    if issue.pull_request is not None:
        return ignored("a comment on a pull request")
    speaker = _speaker(comment, sender)
    if isinstance(speaker, str):
        return ignored(speaker)
    refusal = coverage.refusal(arrival.installation, repository, comment.created_at)
    if refusal is not None:
        return ignored(refusal)
    force = configs.in_force(arrival.session, repository.id)
    unread = force.read_at is None
    lines = commands.find(comment.body or "", None if unread else force.config.taxonomy)
    if not lines:
        return ignored("no command in the comment")
    new = insert_new(
        arrival.session,
        Command,
        comment_id=comment.id,
        repository_id=repository.id,
        issue_number=issue.number,
        lines=lines,
        # Which of them are for us is for the repository's configuration to say.
        words={words.UNREAD: True} if unread else {},
        actor_id=speaker.id,
        actor=speaker.login,
        happened_at=comment.created_at,
        created_at=from_now(),
        state=State.PENDING,
        due_at=from_now(),
        attempts=0,
    )
    if not new:
        return ignored("the comment's commands are known")
    why = (
        "what may be a command waits for the configuration" if unread else "a command in a comment"
    )
    return Verdict(Outcome.COMMAND, why, Task.COMMAND)


def _speaker(comment: Comment, sender: Actor) -> Actor | str:
    """The person who wrote the comment, or why nobody's word is taken."""
    if comment.user is None or comment.user.id != sender.id:
        return "the comment is not its sender's own"
    if sender.type != "User":
        return "a comment of a bot"
    if comment.performed_via_github_app is not None:
        # It writes in a person's name what may be anybody's words: mail, chat, another tracker.
        return "a comment that an App wrote for somebody"
    return sender
