"""One comment that says which labels were set and how surely: opt-in, and edited in place.

A hidden marker finds it again. It quotes nothing of the issue.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass

from app.core.commands import named
from app.core.taxonomy import Taxonomy
from app.github.client import InstallationClient
from app.github.models import Comment, Identity

MARKER = "<!-- triora:labels -->"


@dataclass(frozen=True)
class Line:
    """One label that stands by our hand: what is asked, GitHub's name, probability 0 to 1."""

    question: str
    label: str
    chance: float


@dataclass(frozen=True)
class Remark:
    """The comment on one issue. `before_write` may raise; `after_write` waits a moment."""

    client: InstallationClient
    us: Identity
    repository: str
    number: int
    before_write: Callable[[], None]
    after_write: Callable[[], None]

    def say(self, lines: Sequence[Line], *, first: bool) -> None:
        """Make the comment say `lines`. A new one is only made if `first` and there are any."""
        found = next((c for c in self._comments() if _is_remark(c, self.us)), None)
        said = text(lines)
        if found is not None:
            # GitHub may give line ends back in its own way.
            if (found.body or "").split() != said.split():
                self.before_write()
                self.client.reword(self.repository, found.id, said)
                self.after_write()
        elif first and lines:
            self.before_write()
            self.client.say(self.repository, self.number, said)
            self.after_write()

    def _comments(self) -> Sequence[Comment]:
        return list(self.client.comments(self.repository, self.number))


def lines(
    taxonomy: Taxonomy,
    wanted: Mapping[str, Sequence[str]],
    kept: Collection[str],
    chances: Mapping[str, Mapping[str, float]],
) -> list[Line]:
    """A line a label that was written: of the dimensions in `wanted` that were not `kept`."""
    found = []
    for names in (names for dimension, names in wanted.items() if dimension not in kept):
        for owner in map(taxonomy.owner_of, names):
            if owner is not None:
                dimension, label = owner
                chance = chances.get(dimension.name, {}).get(label.name, 0.0)
                found.append(Line(dimension.called, label.github, chance))
    return found


def _is_remark(comment: Comment, us: Identity) -> bool:
    if not (comment.body or "").startswith(MARKER) or comment.user is None:
        return False
    # Anybody can write the marker; where our number is not known, any bot may be us.
    return comment.user.id == us.bot_id if us.bot_id is not None else comment.user.type == "Bot"


def text(lines: Sequence[Line]) -> str:
    """The comment's Markdown."""
    if not lines:
        return f"{MARKER}\nNone of the labels here is from me any more."
    rows = "\n".join(
        f"| {_cell(line.question)} | {_code(line.label)} | {line.chance:.0%} |" for line in lines
    )
    return (
        f"{MARKER}\nI read this report and set labels:\n\n"
        f"| | label | how sure |\n|---|---|---|\n{rows}\n\n"
        "Change what is wrong: what people set is never touched again, and it is learnt from."
    )


def _cell(name: str) -> str:
    return _bars(named(name))


def _code(name: str) -> str:
    # Backticks need a longer fence; a bar ends a cell even in code.
    fence = "`" * (1 + max((len(run) for run in re.findall("`+", name)), default=0))
    return f"{fence} {_bars(name)} {fence}" if "`" in name else f"`{_bars(name)}`"


def _bars(name: str) -> str:
    return name.replace("|", "\\|")
