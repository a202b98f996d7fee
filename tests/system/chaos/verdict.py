"""What a storm did, counted from GitHub's own books. Pure: nothing here asks Triora.

The books are those of the stand-in: each issue with its events (`Remote.books`) and every request
with what became of it (`Remote.requests`). Ids and marks grow, so all of it has one order. An owner
has one repository in a storm, so owner and number name an issue also after a rename.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from app.core.taxonomy import DEFAULT_TAXONOMY

LABELS = "/repos/{owner}/{repo}/issues/{issue_number}/labels"
EVENTS = "/repos/{owner}/{repo}/issues/{issue_number}/events"
DIMENSIONS = {
    dimension.name: frozenset(label.github for label in dimension.labels)
    for dimension in DEFAULT_TAXONOMY.written
}

Key = tuple[str, int]


@dataclass(frozen=True)
class Touch:
    """A label put on an issue or taken off, in the order of `id`."""

    id: int
    label: str
    added: bool
    ours: bool


@dataclass(frozen=True)
class Entry:
    """One issue as GitHub has it at the end. `answers`: what its being opened was answered."""

    key: Key
    title: str
    closed: bool
    labels: frozenset[str]
    answers: tuple[int, ...]
    touches: tuple[Touch, ...]

    @property
    def accepted(self) -> bool:
        """True when somebody took responsibility for it."""
        return any(200 <= status < 300 for status in self.answers)

    def within(self, dimension: str) -> list[Touch]:
        """What happened to the labels of a dimension, oldest first."""
        return [touch for touch in self.touches if touch.label in DIMENSIONS[dimension]]

    def decided(self, dimension: str) -> bool:
        """True when a person set or removed a label there."""
        return any(not touch.ours for touch in self.within(dimension))


@dataclass(frozen=True)
class Request:
    """What the bot asked of an issue; `names` are the labels of a POST that was carried out."""

    mark: int
    key: Key
    names: tuple[str, ...] = ()


@dataclass(frozen=True)
class Books:
    """Everything GitHub knows."""

    entries: Sequence[Entry]
    posts: Sequence[Request]
    reads: Sequence[Request]


@dataclass(frozen=True)
class Count:
    """The count of a storm. Tuples name the issues, so that their history can be looked up."""

    issues: int
    accepted: int
    posts: int
    # Never accepted, not even by a redelivery, and without labels. (An answer that got lost on its
    # way leaves an issue that nobody answered for, and that has its labels all the same.)
    refused: tuple[Key, ...] = ()
    # Accepted, and a dimension has neither a label nor a reason to have none.
    lost: tuple[Key, ...] = ()
    # A label that belongs to an older text than the one that stands there, or one too many.
    outdated: tuple[Key, ...] = ()
    # A POST of a label where an earlier POST of it still stood.
    repeated: tuple[Key, ...] = ()
    # A person decided in a dimension, and what the bot did there afterwards stands.
    overridden: tuple[Key, ...] = ()
    # A person acted while a write was under way, and the bot took back what it had written.
    crossed: tuple[Key, ...] = ()
    # Given up, visibly.
    dead: tuple[Key, ...] = ()

    @property
    def settled(self) -> bool:
        """True when nothing is missing any more."""
        return not (self.refused or self.lost or self.outdated)


def read_books(entries: Iterable[Mapping[str, Any]], journal: Iterable[Mapping[str, Any]]) -> Books:
    """The stand-in's answers, as the count wants them."""
    posts, reads = [], []
    for line in journal:
        carried_out = line["applied"] and 200 <= line["status"] < 300
        if not carried_out or not str(line["actor"]).startswith("installation"):
            continue
        if (line["method"], line["route"]) == ("POST", LABELS):
            names = tuple(str(name) for name in line["body"]["labels"])
            posts.append(Request(line["mark"], _key(line["path"]), names))
        elif (line["method"], line["route"]) == ("GET", EVENTS):
            reads.append(Request(line["mark"], _key(line["path"])))
    return Books([_entry(entry) for entry in entries], posts, reads)


def _key(path: str) -> Key:
    _, _, owner, _, _, number, *_ = path.split("/")
    return owner, int(number)


def _entry(entry: Mapping[str, Any]) -> Entry:
    return Entry(
        key=(entry["repository"].partition("/")[0], entry["number"]),
        title=entry["title"],
        closed=entry["state"] == "closed",
        labels=frozenset(entry["labels"]),
        answers=tuple(entry["opened_deliveries"]),
        touches=tuple(
            Touch(event["id"], event["label"], event["event"] == "labeled", event["by_app"])
            for event in entry["events"]
            if event["event"] in ("labeled", "unlabeled")
        ),
    )


def count(
    books: Books, expected: Callable[[str], Mapping[str, str]], dead: Collection[Key] = ()
) -> Count:
    """The count. `expected`: title -> dimension -> the label that belongs there.

    `dead`: issues whose work Triora shows as given up; those are not lost, they are dead.
    """
    given_up = frozenset(dead)
    posts = _by_issue(books.posts)
    overridden, crossed = _interfered(books.entries)
    return Count(
        issues=len(books.entries),
        accepted=sum(entry.accepted for entry in books.entries),
        posts=len(books.posts),
        refused=tuple(e.key for e in books.entries if not e.accepted and _lacks(e)),
        lost=tuple(
            e.key for e in books.entries if e.accepted and e.key not in given_up and _lacks(e)
        ),
        outdated=tuple(e.key for e in books.entries if _outdated(e, expected)),
        repeated=tuple(key for e in books.entries for key in _repeated(e, posts[e.key])),
        overridden=overridden,
        crossed=crossed,
        dead=tuple(sorted(given_up)),
    )


def _by_issue(requests: Iterable[Request]) -> dict[Key, list[Request]]:
    found: dict[Key, list[Request]] = defaultdict(list)
    for request in sorted(requests, key=lambda request: request.mark):
        found[request.key].append(request)
    return found


def _lacks(entry: Entry) -> bool:
    """True if a dimension is without a label, and nobody wanted that."""
    return not entry.closed and any(
        not entry.labels & names and not entry.decided(dimension)
        for dimension, names in DIMENSIONS.items()
    )


def _outdated(entry: Entry, expected: Callable[[str], Mapping[str, str]]) -> bool:
    """True if labels stand there that do not belong to the text, and only the bot acted."""
    if entry.closed or not entry.accepted or any(entry.decided(name) for name in DIMENSIONS):
        return False
    wanted = expected(entry.title)
    for dimension in DEFAULT_TAXONOMY.written:
        there = entry.labels & DIMENSIONS[dimension.name]
        # Where an issue may have several labels, those of an earlier text stay.
        right = there == {wanted[dimension.name]} or (
            not dimension.exclusive and wanted[dimension.name] in there
        )
        if there and not right:
            return True
    return False


def _repeated(entry: Entry, posts: Sequence[Request]) -> Iterator[Key]:
    """The issue, once for each POST that put on what an earlier one had put on."""
    standing: set[str] = set()
    removals = [touch for touch in entry.touches if not touch.added]
    for post in posts:
        while removals and removals[0].id < post.mark:
            standing.discard(removals.pop(0).label)
        if standing & set(post.names):
            yield entry.key
        standing |= set(post.names)


def _interfered(entries: Iterable[Entry]) -> tuple[tuple[Key, ...], tuple[Key, ...]]:
    """Issues where the bot acted after a person, in the same dimension: still so, or taken back."""
    overridden, crossed = [], []
    for entry in entries:
        for dimension in DIMENSIONS:
            touches = entry.within(dimension)
            first = next((at for at, touch in enumerate(touches) if not touch.ours), len(touches))
            ours = [touch for touch in touches[first:] if touch.ours]
            if _stands(touches[:first], touches[first:]):
                overridden.append(entry.key)
            elif ours:
                crossed.append(entry.key)
    return tuple(overridden), tuple(crossed)


def _stands(before: Sequence[Touch], after: Sequence[Touch]) -> bool:
    """True unless the bot took back all that it did since a person first acted.

    before, after: the touches of a dimension before that act, and from it on.
    """
    wanted, found = set(), set()
    for touch in before:
        _apply(touch, found)
        _apply(touch, wanted)
    for touch in after:
        _apply(touch, found)
        if not touch.ours:
            _apply(touch, wanted)
    return wanted != found


def _apply(touch: Touch, labels: set[str]) -> None:
    if touch.added:
        labels.add(touch.label)
    else:
        labels.discard(touch.label)
