"""One issue of ours that says what is wrong with a repository's configuration.

It is opened once, edited in place when the mistake changes, closed when it is mended, and opened
again for the next one. A hidden marker finds it again, so a crash between the call and our note of
it makes no second one. A person who closes it is not contradicted until the mistakes change.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import structlog

from app.core.errors import Gone, NotPermitted
from app.core.repository_config import PATH
from app.github.client import InstallationClient
from app.github.failures import RepositoryMoved
from app.github.models import Identity

log = structlog.get_logger()

MARKER = "<!-- triora:configuration -->"
TITLE = f"{PATH} cannot be used as it is"
# GitHub takes 65536 characters.
_LONGEST = 20_000


@dataclass(frozen=True)
class Notice:
    """What the issue shall say. `lines` are the mistakes, none when all is well again."""

    lines: tuple[str, ...]
    idle: bool = False

    @property
    def digest(self) -> str:
        """Equal for notices that say the same; "" for one that all is well."""
        return hashlib.sha256(self.body.encode()).hexdigest() if self.lines else ""

    @property
    def body(self) -> str:
        """The issue's text. Mistakes stand in a code block: nothing in them is rendered."""
        if not self.lines:
            return f"{MARKER}\n`{PATH}` is in order again. Thank you."
        listed = "\n".join(f"    {_one_line(line)}" for line in self.lines)[:_LONGEST]
        meanwhile = (
            "No earlier version of it was in order, so nothing is labelled until this one is."
            if self.idle
            else "Until it is mended, what was in force before stays in force."
        )
        return (
            f"{MARKER}\nSomething in `{PATH}` cannot be used:\n\n{listed}\n\n{meanwhile} "
            "This issue is edited when the file changes and closed when it is in order."
        )


@dataclass(frozen=True)
class Board:
    """Where the notice is put up. `before_write` may raise; `after_write` waits a moment."""

    client: InstallationClient
    us: Identity
    repository: str
    before_write: Callable[[], None]
    after_write: Callable[[], None]

    def put_up(self, notice: Notice, number: int | None) -> int | None:
        """Make the issue say it; the issue's number, None where there is none and need be none."""
        try:
            return self._put_up(notice, number if number is not None else self._find())
        except (Gone, NotPermitted) as error:
            # Issues are switched off, or we may not write: then only the log can say it.
            log.warning("config.not_reported", repository=self.repository, error=str(error))
            return None

    def _put_up(self, notice: Notice, number: int | None) -> int | None:
        if number is not None:
            try:
                return self._change(number, notice)
            except (Gone, RepositoryMoved):
                # Somebody deleted it, or transferred it to another repository.
                number = None
        if not notice.lines:
            return None
        self.before_write()
        made = self.client.open_issue(self.repository, TITLE, notice.body)
        self.after_write()
        return made.number

    def _change(self, number: int, notice: Notice) -> int:
        state = {"state": "open"} if notice.lines else {"state": "closed"}
        self.before_write()
        self.client.change_issue(self.repository, number, body=notice.body, **state)
        self.after_write()
        return number

    def _find(self) -> int | None:
        ours = self.client.issues_by(self.repository, f"{self.us.slug}[bot]")
        return min((issue.number for issue in ours if _is_notice(issue.body)), default=None)


def _is_notice(body: str | None) -> bool:
    return (body or "").startswith(MARKER)


def _one_line(text: str) -> str:
    return " ".join(text.split())


def told(own: Sequence[str], owners: Sequence[str], *, tells_owners: bool) -> tuple[str, ...]:
    """The mistakes to report in a repository: its own, and its owner's where that is the place."""
    theirs = [f"the owner's default: {line}" for line in owners] if tells_owners else []
    return (*own, *theirs)
