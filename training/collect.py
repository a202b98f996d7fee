"""Collects issues from GitHub as they were filed, and can be stopped and resumed at any point.

Rows are appended as they come; a state file beside them pins what is collected (repositories,
limit, and the moment before which issues count), so that a resumed run writes the same file as
one that was never stopped. Limits are waited out as GitHub says.
"""

from __future__ import annotations

import os
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Protocol, TypeVar

import structlog
from pydantic import AwareDatetime, BaseModel, ConfigDict, ValidationError

from app.core.errors import ConfigProblem, GitHubUnavailable
from app.core.text import MAX_BODY, MAX_TITLE
from app.github.failures import RepositoryMoved
from app.github.history import FiledBody, TimelineEvent, current_labels, filed_title
from app.github.models import Issue
from training import dataset
from training.example import Example, GitHubLabel

log = structlog.get_logger()

# Failures in a row, other than limits, after which a person should look.
PATIENCE = 8
LONGEST_WAIT = 300.0
# What GitHub asks for after a limit that names no time.
LIMIT_WAIT = 60.0

T = TypeVar("T")


class Source(Protocol):
    """Where issues come from: `app.github.history.History`."""

    def page(self, repository: str, number: int) -> list[Issue]:
        """One page of issues and pull requests, counted from 1, newest first; empty at the end."""

    def timeline(self, repository: str, number: int) -> list[TimelineEvent]:
        """What happened to an issue, oldest first."""

    def filed_body(self, repository: str, number: int, body: str | None) -> FiledBody:
        """The body as first written, given that of now."""


class State(BaseModel):
    """What a collection is of; beside the rows, as `FILE.state.json`."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    repositories: tuple[str, ...]
    limit: int
    # Issues filed later are left out, so that a resumed run sees what the first one saw.
    until: AwareDatetime
    finished: bool = False


@dataclass
class Clock:
    """Time as the collector knows it; tests bring their own."""

    now: Callable[[], datetime]
    sleep: Callable[[float], None]


@dataclass
class Tally:
    """What was found: rows per repository, what was left out, and how many were there before."""

    rows: Counter[str] = field(default_factory=Counter)
    resumed: int = 0
    left_out: Counter[str] = field(default_factory=Counter)
    as_filed: int = 0
    waited: float = 0.0


# Called after every row with its repository; the progress bar listens.
Progress = Callable[[str], None]


def collect(
    source_of: Callable[[str], Source],
    repositories: Sequence[str],
    out: Path,
    *,
    limit: int,
    clock: Clock,
    progress: Progress = lambda _: None,
) -> Tally:
    """Append up to `limit` issues of each repository to `out`, the newest first.

    Pull requests and issues filed by bots are left out and counted. ConfigProblem if `out` holds
    something else; GitHubUnavailable if GitHub keeps failing: the same call resumes.
    """
    state = _state(out, repositories, limit, clock)
    done = _kept(out)
    tally = Tally(resumed=len(done))
    with out.open("ab") as stream:
        for repository in state.repositories:
            source = source_of(repository)
            for issue in _issues(source, repository, state, clock, tally):
                row = done.get(f"{repository}#{issue.number}")
                if row is None:
                    row = _example(source, repository, issue, clock, tally)
                    stream.write(dataset.dump(row).encode() + b"\n")
                    # A row that was written is there after a power cut, too.
                    stream.flush()
                    os.fsync(stream.fileno())
                tally.rows[repository] += 1
                tally.as_filed += row.text_as_of == "filing"
                progress(repository)
    _write_state(out, state.model_copy(update={"finished": True}))
    return tally


def state_path(out: Path) -> Path:
    """Where the state of a collection stands."""
    return out.with_name(out.name + ".state.json")


def state_of(out: Path) -> State | None:
    """How far a collection has come; None if there is none. ConfigProblem if that is damaged."""
    path = state_path(out)
    if not path.exists():
        return None
    try:
        return State.model_validate_json(path.read_bytes())
    except ValidationError as error:
        raise ConfigProblem(
            f"{path} is damaged: remove it and {out.name}, then begin anew"
        ) from error


def _state(out: Path, repositories: Sequence[str], limit: int, clock: Clock) -> State:
    wanted = State(repositories=tuple(repositories), limit=limit, until=clock.now())
    found = state_of(out)
    if found is None:
        if out.exists():
            raise ConfigProblem(
                f"{out} is there already and was not collected by this command: choose another file"
            )
        out.parent.mkdir(parents=True, exist_ok=True)
        _write_state(out, wanted)
        return wanted
    if (found.repositories, found.limit) != (wanted.repositories, wanted.limit):
        raise ConfigProblem(
            f"{out} was begun for {' '.join(found.repositories)} --limit {found.limit}: resume "
            "with the same, or choose another file"
        )
    return found


def _write_state(out: Path, state: State) -> None:
    path = state_path(out)
    part = path.with_name(path.name + ".part")
    part.write_text(state.model_dump_json(indent=2) + "\n", encoding="utf-8")
    part.replace(path)


def _kept(out: Path) -> dict[str, Example]:
    """The rows written before, by id. A last line that was cut off is taken away."""
    if not out.exists():
        return {}
    content = out.read_bytes()
    whole = content.rfind(b"\n") + 1
    if whole < len(content):
        with out.open("r+b") as stream:
            stream.truncate(whole)
    reading = dataset.read(out)
    return {example.id: example for example in reading.refuse_problems()}


def _issues(
    source: Source, repository: str, state: State, clock: Clock, tally: Tally
) -> Iterator[Issue]:
    """The issues that count, newest first, `limit` at most."""
    seen: set[int] = set()
    number = 0
    taken = 0
    while taken < state.limit:
        number += 1
        page = patiently(partial(source.page, repository, number), clock, tally)
        if not page:
            return
        for issue in page:
            # Issues opened meanwhile push others onto the next page, where they show up again.
            if issue.number in seen or issue.created_at > state.until:
                continue
            seen.add(issue.number)
            if issue.pull_request is not None:
                tally.left_out["pull requests"] += 1
            elif issue.user is not None and _is_bot(issue.user.type, issue.user.login):
                tally.left_out["filed by bots"] += 1
            elif taken < state.limit:
                taken += 1
                yield issue


def _example(source: Source, repository: str, issue: Issue, clock: Clock, tally: Tally) -> Example:
    timeline = patiently(lambda: source.timeline(repository, issue.number), clock, tally)
    filed = patiently(lambda: source.filed_body(repository, issue.number, issue.body), clock, tally)
    body = filed.body if filed.known else issue.body
    return Example(
        id=f"{repository}#{issue.number}",
        repository=repository,
        number=issue.number,
        author=issue.user.login if issue.user else None,
        filed_at=issue.created_at,
        text_as_of="filing" if filed.known else "collected",
        title=_clean(filed_title(issue, timeline), MAX_TITLE) or "(no title)",
        body=_clean(body or "", MAX_BODY),
        github_labels=tuple(
            GitHubLabel(
                name=name,
                by=event.actor.login if event and event.actor else None,
                by_type=_kind(event),
                at=event.created_at if event else None,
            )
            for name, event in current_labels(issue, timeline)
        ),
    )


def _kind(event: TimelineEvent | None) -> str | None:
    if event is None or event.actor is None:
        return None
    # An App that acts in a person's name is no person.
    if event.app is not None or _is_bot(event.actor.type, event.actor.login):
        return "Bot"
    return event.actor.type


def _is_bot(kind: str, login: str) -> bool:
    return kind == "Bot" or login.endswith("[bot]")


def _clean(text: str, longest: int) -> str:
    return text.replace("\x00", "")[:longest]


def patiently(call: Callable[[], T], clock: Clock, tally: Tally | None = None) -> T:
    """The call's answer, however often GitHub asks to wait; PATIENCE other failures in a row."""
    failures = 0
    while True:
        try:
            return call()
        except RepositoryMoved as error:
            raise ConfigProblem(
                "the repository has another name now: collect it by that"
            ) from error
        except GitHubUnavailable as error:
            if not error.limited:
                failures += 1
                if failures >= PATIENCE:
                    raise
            wait = _wait(error, failures, clock.now())
            log.info("collect.waiting", seconds=round(wait), limited=error.limited)
            clock.sleep(wait)
            if tally is not None:
                tally.waited += wait


def _wait(error: GitHubUnavailable, failures: int, now: datetime) -> float:
    """Seconds: until the time GitHub named, else a minute for a limit, else longer each time."""
    if error.retry_at is not None:
        return max((error.retry_at - now).total_seconds(), 1.0)
    return LIMIT_WAIT if error.limited else min(2.0**failures, LONGEST_WAIT)


def real_clock() -> Clock:
    """The machine's."""
    return Clock(now=lambda: datetime.now(UTC), sleep=time.sleep)
