"""What the pages show, taken from the world."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import ClassVar

from deploy.sandbox.hooks import Hooks
from deploy.sandbox.world.model import (
    Account,
    App,
    Comment,
    Delivery,
    Event,
    Issue,
    Label,
    Repository,
)

TOGETHER_SECONDS = 60


@dataclass(frozen=True)
class Chip:
    """A label on an issue and who put it there: a person, a bot, or the author with the issue."""

    label: Label
    by: Account
    via: App | None
    at: datetime


@dataclass
class Moment:
    """A line of the timeline: a comment, or one actor's events that belong together."""

    kind: str
    actor: Account
    at: datetime
    key: str
    via: App | None = None
    comment: Comment | None = None
    added: list[tuple[str, str]] = field(default_factory=list)
    removed: list[tuple[str, str]] = field(default_factory=list)
    rename: tuple[str, str] | None = None


def chips(issue: Issue) -> list[Chip]:
    """The labels of an issue in the order they came."""
    found = []
    for label in issue.labels:
        event = issue.who_set(label)
        if event:
            found.append(Chip(label, event.actor, event.via, event.created))
        else:
            found.append(Chip(label, issue.author, None, issue.created))
    return found


def timeline(issue: Issue) -> list[Moment]:
    """Comments and events in order; label changes by one actor within a minute are one line."""
    moments: list[Moment] = []
    items: list[Comment | Event] = [*issue.comments, *issue.events]
    for item in sorted(items, key=lambda item: item.id):
        if isinstance(item, Comment):
            key = f"comment-{item.id}"
            moments.append(Moment("comment", item.author, item.created, key, item.via, item))
        elif item.label:
            _add_label(moments, item)
        else:
            moments.append(
                Moment(item.kind, item.actor, item.created, f"event-{item.id}", item.via,
                       rename=item.rename)
            )  # fmt: skip
    return moments


def _add_label(moments: list[Moment], event: Event) -> None:
    last = moments[-1] if moments else None
    if (
        last is None
        or last.kind != "labels"
        or last.actor is not event.actor
        or (event.created - last.at).total_seconds() > TOGETHER_SECONDS
    ):
        key = f"event-{event.id}"
        last = Moment("labels", event.actor, event.created, key, event.via)
        moments.append(last)
    if event.label:
        (last.added if event.kind == "labeled" else last.removed).append(event.label)


@dataclass(frozen=True)
class Search:
    """What a reader of the issue list looks for. `SHOWN` of what is found stand on the page."""

    SHOWN: ClassVar[int] = 100

    text: str = ""
    state: str = "open"
    label: str = ""

    def fits(self, issue: Issue) -> bool:
        """True when the text, if any, stands in title, body, number or a label's name."""
        if self.label and not issue.has(self.label):
            return False
        words = [issue.title, issue.body or "", f"#{issue.number}", *(x.name for x in issue.labels)]
        return all(word in " ".join(words).casefold() for word in self.text.casefold().split())

    def of(self, repository: Repository) -> dict[str, list[Issue]]:
        """Matching issues, newest first, by state."""
        matching = [issue for issue in repository.issues.values() if self.fits(issue)]
        matching.sort(key=lambda issue: issue.number, reverse=True)
        return {state: [i for i in matching if i.state == state] for state in ("open", "closed")}


@dataclass(frozen=True)
class Line:
    """How the App's webhook is doing, for the pill in the header."""

    state: str
    text: str


def line(hooks: Hooks) -> Line:
    """«no webhook», «waiting», «connected» or «failing», from the last delivery."""
    if not hooks.url:
        return Line("off", "no webhook set")
    last: Delivery | None = hooks.deliveries[-1] if hooks.deliveries else None
    if last is None:
        return Line("off", "nothing sent yet")
    if last.failed:
        return Line("bad", f"last delivery: {last.status}")
    return Line("good", f"App listens, {last.duration * 1000:.0f} ms")
