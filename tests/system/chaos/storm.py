"""What people do on GitHub in a storm: drawn with a seed, then played against the stand-in."""

from __future__ import annotations

import heapq
import random
import threading
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Any

import httpx

from app.core.taxonomy import DEFAULT_TAXONOMY
from tests.system.chaos.github import AUTHORS, MAINTAINERS, GitHub

# Shares of the issues.
FROM_TEMPLATE = 0.05
EDITED = 0.15
LABELLED = 0.15
UNLABELLED = 0.12
SWAPPED = 0.06
CLOSED = 0.03
# GitHub's times have whole seconds, so two edits within one have no order.
BETWEEN_EDITS = 2.0
# A person who wants to take a label off looks so often whether there is one.
LOOKS = 6
BETWEEN_LOOKS = 1.0

WORDS = (
    *("crash", "menu", "lantern", "save", "sound", "shader", "server", "map", "inventory"),
    *("stutter", "after", "update", "when", "I", "open", "close", "the", "second", "time"),
)


class Kind(StrEnum):
    """What somebody does."""

    OPEN = "open"
    TEMPLATE = "open from a template"
    EDIT = "edit"
    LABEL = "label"
    UNLABEL = "unlabel"
    SWAP = "swap"
    CLOSE = "close"


@dataclass(frozen=True, order=True)
class Deed:
    """One act at `at` seconds from the beginning, on the `issue`-th issue of the storm."""

    at: float
    issue: int
    kind: Kind = field(compare=False)
    repository: int = field(compare=False)
    title: str = field(default="", compare=False)
    body: str = field(default="", compare=False)
    dimension: str = field(default="", compare=False)
    label: str = field(default="", compare=False)
    who: str = field(default="", compare=False)
    looks: int = field(default=LOOKS, compare=False)


def plan(seed: int, issues: int, seconds: float, repositories: int) -> list[Deed]:
    """The storm of a seed: `issues` opened within `seconds`, and what people do to them. Pure."""
    chance = random.Random(f"storm {seed}")
    deeds: list[Deed] = []
    for number in range(issues):
        deeds += _life(chance, number, chance.random() * seconds, chance.randrange(repositories))
    return sorted(deeds)


def _life(chance: random.Random, number: int, at: float, repository: int) -> list[Deed]:
    """All that happens to one issue."""
    author = chance.choice(AUTHORS)
    title = f"{' '.join(chance.choices(WORDS, k=5))} ({number})"
    body = " ".join(chance.choices(WORDS, k=chance.randrange(5, 60)))
    born = Deed(at, number, Kind.OPEN, repository, title, body, who=author)
    if chance.random() < FROM_TEMPLATE:
        dimension, label = _some_label(chance)
        born = replace(born, kind=Kind.TEMPLATE, dimension=dimension, label=label)
    deeds = [born]
    if chance.random() < EDITED:
        later = at
        for turn in range(chance.choice((1, 1, 2))):
            later += BETWEEN_EDITS + chance.random() * 6
            words = f"{title} v{turn + 2}"
            deeds.append(Deed(later, number, Kind.EDIT, repository, words, who=author))
    for kind, share, soonest in (
        (Kind.LABEL, LABELLED, 0.0),
        (Kind.UNLABEL, UNLABELLED, 0.5),
        (Kind.SWAP, SWAPPED, 0.5),
        (Kind.CLOSE, CLOSED, 0.0),
    ):
        if chance.random() < share:
            dimension, label = _some_label(chance)
            deeds.append(
                Deed(
                    at + soonest + chance.random() ** 2 * 10,
                    number,
                    kind,
                    repository,
                    dimension=dimension,
                    label=label,
                    who=chance.choice(MAINTAINERS),
                )
            )
    return deeds


def _some_label(chance: random.Random) -> tuple[str, str]:
    dimension = chance.choice(DEFAULT_TAXONOMY.written)
    return dimension.name, chance.choice(dimension.labels).github


class Player:
    """Plays a storm from a thread. Acts are late rather than left out."""

    def __init__(self, github: GitHub, deeds: Sequence[Deed]) -> None:
        self.done: Counter[Kind] = Counter()
        self.problem: BaseException | None = None
        self._github = github
        self._waiting = list(deeds)
        heapq.heapify(self._waiting)
        # The number of each issue of the storm in its repository.
        self._numbers: dict[int, int] = {}
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run, name="people", daemon=True)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def wait(self) -> None:
        """Until everybody is through; raises what went wrong."""
        self._thread.join()
        if self.problem is not None:
            raise self.problem

    def stop(self) -> None:
        """Leave out the rest."""
        self._over.set()
        self._thread.join()

    def _run(self) -> None:
        began = time.monotonic()
        try:
            while self._waiting and not self._over.is_set():
                deed = heapq.heappop(self._waiting)
                self._over.wait(max(0.0, began + deed.at - time.monotonic()))
                with self._github.acting:
                    self._do(deed)
        except Exception as error:  # noqa: BLE001 - told by whoever waits for the thread
            self.problem = error

    def _do(self, deed: Deed) -> None:
        name = self._github.repositories[deed.repository]
        remote = self._github.remote
        if deed.kind in (Kind.OPEN, Kind.TEMPLATE):
            if deed.kind is Kind.TEMPLATE:
                opened = remote.open_from_template(
                    deed.title, deed.label, by=deed.who, repository=name
                )
            else:
                opened = remote.open_issue(deed.title, deed.body, by=deed.who, repository=name)
            self._numbers[deed.issue] = opened["number"]
        else:
            number = self._numbers[deed.issue]
            options: dict[str, Any] = {"by": deed.who, "repository": name}
            if deed.kind is Kind.EDIT:
                remote.edit_issue(number, title=deed.title, **options)
            elif deed.kind is Kind.LABEL:
                remote.label(number, deed.label, **options)
            elif deed.kind is Kind.CLOSE:
                remote.close_issue(number, **options)
            elif not self._take_off(deed, number, options):
                return
        self.done[deed.kind] += 1

    def _take_off(self, deed: Deed, number: int, options: dict[str, Any]) -> bool:
        """Take the label of a dimension off; False if there is none yet, and it is tried later."""
        remote = self._github.remote
        wanted = {d.name: d for d in DEFAULT_TAXONOMY.written}[deed.dimension]
        ours = {label.github for label in wanted.labels}
        there = [n for n in remote.labels(number, options["repository"]) if n in ours]
        if not there:
            if deed.looks:
                again = replace(deed, at=deed.at + BETWEEN_LOOKS, looks=deed.looks - 1)
                heapq.heappush(self._waiting, again)
            return False
        try:
            remote.unlabel(number, there[0], **options)
        except httpx.HTTPStatusError as error:
            # The bot was faster: the label belonged to a text that was edited meanwhile.
            if error.response.status_code != httpx.codes.NOT_FOUND:
                raise
        if deed.kind is Kind.SWAP:
            other = next(name for name in (deed.label, *sorted(ours)) if name != there[0])
            remote.label(number, other, **options)
        return True
