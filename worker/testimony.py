"""What happened to an issue, from GitHub's list of its events and from webhooks. Pure.

GitHub's list is complete but may be a moment late; webhooks may come late, twice or never. Both
tell of the same acts, so what a webhook told counts only until the list has it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from app.core.corrections import Act, Hand, Kind, Place
from app.db.tables import LabelEvent
from app.db.words import Word
from app.github.models import Identity, IssueEvent
from worker.hands import is_us

# A label that an issue's author set this soon after opening it came with the template or the form.
OF_THE_TEMPLATE = timedelta(seconds=5)
# A webhook tells the time of the issue's last change, which may be later than that of the event.
SAME_ACT = timedelta(seconds=60)
# GitHub strips a deleted label off an issue and tells of it at once.
SAME_STRIP = timedelta(seconds=10)
# Closings that say the report was dealt with. One as duplicate or not planned says nothing of it.
JUDGED = (None, "completed")

Canonical = Callable[[str], str]


@dataclass(frozen=True)
class Witnessed:
    """An act and where it was told. Its hand is final unless `unsure`: rights are to be asked."""

    act: Act
    unsure: bool
    event_id: int | None = None
    heard: LabelEvent | None = None

    def by(self, hand: Hand) -> Act:
        """The act, now that we know whose it is."""
        return replace(self.act, hand=hand)


@dataclass(frozen=True)
class Filing:
    """Who opened the issue, and when; as far as we know."""

    author: str = ""
    at: datetime | None = None

    def covers(self, login: str, kind: Kind, at: datetime) -> bool:
        """True for a label that came with the issue: it is set in the author's name."""
        return (
            kind is Kind.LABELED
            and self.at is not None
            and login.casefold() == self.author.casefold()
            and at <= self.at + OF_THE_TEMPLATE
        )


@dataclass(frozen=True)
class Testimony:
    """Everything that was done, in no particular order; `early` if webhooks told more than the
    list."""

    acts: tuple[Witnessed, ...]
    early: bool


def hear(
    events: Sequence[IssueEvent],
    heard: Iterable[LabelEvent],
    said: Iterable[Word],
    us: Identity,
    filing: Filing,
    canonical: Canonical,
) -> Testimony:
    """Put together what GitHub lists, what webhooks told, and what people told us by command."""
    listed = [event for event in events if _usable(event)]
    told = sorted(heard, key=lambda row: (row.happened_at, row.guid))
    named = [row for row in told if row.label]
    matched, early = _match(listed, named, canonical)
    stripped = _stripped(listed, matched, [row for row in told if not row.label])
    acts = [
        _listed(event, matched.get(event.id), us, filing, canonical)
        for event in listed
        if event.id not in stripped
    ]
    acts += [_only_heard(row, us, filing, canonical) for row in early]
    acts += [_by_command(word, canonical) for word in said]
    return Testimony(tuple(acts), bool(early))


def _usable(event: IssueEvent) -> bool:
    if event.event in (Kind.LABELED, Kind.UNLABELED):
        return event.label is not None
    return event.event in (Kind.CLOSED, Kind.REOPENED)


def _match(
    listed: Sequence[IssueEvent], named: Sequence[LabelEvent], canonical: Canonical
) -> tuple[dict[int, LabelEvent], list[LabelEvent]]:
    """Event id -> the webhook that told the same; and the webhooks the list knows nothing of."""
    matched: dict[int, LabelEvent] = {}
    early: list[LabelEvent] = []
    in_order = sorted(listed, key=lambda event: (event.created_at, event.id))
    for row in named:
        fits = (e for e in in_order if e.id not in matched and _same(e, row, canonical))
        event = next(fits, None)
        if event is None:
            early.append(row)
        else:
            matched[event.id] = row
    return matched, early


def _same(event: IssueEvent, row: LabelEvent, canonical: Canonical) -> bool:
    return (
        event.label is not None
        and event.event == (Kind.LABELED if row.added else Kind.UNLABELED)
        and event.actor is not None
        and event.actor.id == row.actor_id
        and canonical(event.label.name).casefold() == canonical(row.label).casefold()
        and abs(row.happened_at - event.created_at) <= SAME_ACT
    )


def _stripped(
    listed: Sequence[IssueEvent],
    matched: dict[int, LabelEvent],
    nameless: Sequence[LabelEvent],
) -> set[int]:
    """Ids of removals that nobody made: the label was deleted from the repository."""
    gone: set[int] = set()
    for row in nameless:
        for event in listed:
            if (
                event.event == Kind.UNLABELED
                and event.id not in matched
                and event.id not in gone
                and event.actor is not None
                and event.actor.id == row.actor_id
                and abs(row.happened_at - event.created_at) <= SAME_STRIP
            ):
                gone.add(event.id)
                break
    return gone


def _listed(
    event: IssueEvent,
    heard: LabelEvent | None,
    us: Identity,
    filing: Filing,
    canonical: Canonical,
) -> Witnessed:
    kind, actor = Kind(event.event), event.actor
    ours = is_us(event, us)
    # Whatever goes through an App, ours or another, may be a machine's doing in a person's name.
    person = actor is not None and actor.type == "User" and event.app is None
    unsure = person and not filing.covers(actor.login if actor else "", kind, event.created_at)
    act = Act(
        place=Place(event.created_at, number=event.id),
        kind=kind,
        hand=Hand.OURS if ours else Hand.OTHER,
        label=canonical(event.label.name) if event.label is not None else "",
        judged=kind is Kind.CLOSED and event.state_reason in JUDGED,
        actor_id=actor.id if actor is not None else 0,
        actor=actor.login if actor is not None else "",
    )
    return Witnessed(act, unsure and not ours, event.id, heard)


def _only_heard(row: LabelEvent, us: Identity, filing: Filing, canonical: Canonical) -> Witnessed:
    kind = Kind.LABELED if row.added else Kind.UNLABELED
    ours = us.bot_id is not None and row.actor_id == us.bot_id
    unsure = row.actor_type == "User" and not filing.covers(row.actor, kind, row.happened_at)
    act = Act(
        place=Place(row.happened_at, rank=1, tie=row.guid),
        kind=kind,
        hand=Hand.OURS if ours else Hand.OTHER,
        label=canonical(row.label),
        actor_id=row.actor_id,
        actor=row.actor,
    )
    return Witnessed(act, unsure and not ours, heard=row)


def _by_command(word: Word, canonical: Canonical) -> Witnessed:
    act = Act(
        # Before what we did of it: that may bear the same second.
        place=Place(word.happened_at, rank=-1, tie=word.label),
        kind=Kind.LABELED if word.added else Kind.UNLABELED,
        hand=Hand.PERSON,
        label=canonical(word.label),
        actor_id=word.actor_id,
        actor=word.actor,
    )
    return Witnessed(act, unsure=False)
