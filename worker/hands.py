"""Who put which label on an issue, and who took one off: our bot, or anybody else.

A label is ours only on evidence: an event of our App (or of its bot user), or our own note, made
before the write, that we were about to put it there. Everything else counts as a person's word,
other bots and labels of an issue template included, so in doubt we leave it alone.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from app.core.decision import Hands
from app.core.taxonomy import Taxonomy
from app.db.tables import LabelEvent
from app.github.models import Identity, IssueEvent

ADDED = "labeled"
REMOVED = "unlabeled"


@dataclass(frozen=True)
class Touch:
    """One label put on (or taken off), by us or by somebody else. `label` is case-folded."""

    label: str
    added: bool
    ours: bool


def read(
    live: Iterable[str],
    events: Sequence[IssueEvent],
    heard: Sequence[LabelEvent],
    noted: Iterable[str],
    us: Identity,
) -> Hands:
    """What people did to the labels of one issue; names are case-folded.

    live: labels on the issue now. events: GitHub's list. heard: the same from webhooks, which may
    be ahead of that list. noted: labels that we wrote, or were about to. The order of the events
    does not matter: what somebody else ever set or removed stays theirs to decide.
    """
    touches = [*_from_events(events, us), *_from_webhooks(heard, us)]
    noted_folded = {name.casefold() for name in noted}
    put_by_us = {t.label for t in touches if t.added and t.ours} | noted_folded
    put_by_others = {t.label for t in touches if t.added and not t.ours}
    removed = {t.label for t in touches if not t.added and not t.ours}
    present = {name.casefold() for name in live}
    return Hands(
        set=frozenset((present - put_by_us) | put_by_others),
        removed=frozenset(removed),
    )


def crossed(
    taxonomy: Taxonomy,
    live: Iterable[str],
    events: Sequence[IssueEvent],
    noted: Iterable[str],
    us: Identity,
    *,
    besides: Iterable[str] = (),
) -> tuple[str, ...]:
    """Labels on the issue that we put there after somebody else had acted in their dimension.

    Such a write was under way when the person acted. `events` as GitHub has them, oldest first;
    `noted` are the labels that we wrote, of which those of `besides` are left alone.
    """
    may_be = {name.casefold() for name in noted} - {name.casefold() for name in besides}
    decided: set[str] = set()
    late: set[str] = set()
    for event in events:
        owner = taxonomy.owner_of(event.label.name) if event.label is not None else None
        if event.event not in (ADDED, REMOVED) or event.label is None or owner is None:
            continue
        name = event.label.name.casefold()
        if not is_us(event, us):
            decided.add(owner[0].name)
            # Whoever acts on this very label has seen it.
            late.discard(name)
        elif event.event == ADDED and owner[0].name in decided and name in may_be:
            late.add(name)
    return tuple(name for name in live if name.casefold() in late)


def both(first: Hands, second: Hands) -> Hands:
    """What is known of people's hands from two sources."""
    return Hands(set=first.set | second.set, removed=first.removed | second.removed)


def _from_events(events: Sequence[IssueEvent], us: Identity) -> list[Touch]:
    return [
        Touch(e.label.name.casefold(), e.event == ADDED, is_us(e, us))
        for e in events
        if e.event in (ADDED, REMOVED) and e.label is not None
    ]


def is_us(event: IssueEvent, us: Identity) -> bool:
    """True if our App did it, whoever else is named beside it."""
    if event.app is not None:
        return event.app.id == us.id
    # Some events of Apps come without the App; then the bot user's number tells.
    return us.bot_id is not None and event.actor is not None and event.actor.id == us.bot_id


def _from_webhooks(heard: Sequence[LabelEvent], us: Identity) -> list[Touch]:
    # A webhook does not name the actor's App, and its sender may not be known to us by number:
    # then only what GitHub's own list says counts.
    return [
        Touch(e.label.casefold(), e.added, e.actor_id == us.bot_id)
        for e in heard
        if us.bot_id is not None or e.actor_type != "Bot"
    ]
