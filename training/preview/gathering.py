"""Gets a repository's issues and labels: from GitHub, resumable, or from a collected file."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path
from typing import TypeVar
from urllib.parse import urlsplit

import structlog

from app.core.errors import BadRequest, ConfigProblem, Gone, NotPermitted
from app.github.failures import RepositoryMoved
from app.github.history import History
from app.github.models import RepositoryLabel
from training import collect, dataset
from training.example import Example

# What was collected whole is used again for so long; what was not is gone on with at any time.
KEPT = timedelta(days=1)

log = structlog.get_logger()
T = TypeVar("T")


@dataclass(frozen=True)
class Gathered:
    """What is known of a repository. `used` counts the issues that carry a label, by folded name.

    `private` is None where nobody asked. `web` is the address of its pages.
    """

    repository: str
    examples: Sequence[Example]
    labels: Sequence[RepositoryLabel]
    used: Counter[str]
    web: str
    private: bool | None = None


def from_github(
    source: Callable[[], History],
    repository: str,
    folder: Path,
    *,
    limit: int,
    fresh: bool,
    web: str,
    progress: Callable[[], None] = lambda: None,
    who: str = "the token",
    clock: collect.Clock | None = None,
) -> Gathered:
    """Collect the newest `limit` issues into `folder`, or go on where a run before stopped.

    What was collected whole is used again for a day, unless `fresh`. ConfigProblem names what
    GitHub refuses.
    """
    clock = clock or collect.real_clock()
    try:
        history = source()
        facts = collect.patiently(partial(history.about, repository), clock)
        if not facts.has_issues:
            raise ConfigProblem(f"{repository} has its issues switched off")
        labels = collect.patiently(partial(history.labels, repository), clock)
        file = _file(folder, repository, limit, clock.now(), fresh)
        collect.collect(
            lambda _: history,
            [repository],
            file,
            limit=limit,
            clock=clock,
            progress=lambda _: progress(),
        )
    except (Gone, NotPermitted, RepositoryMoved) as error:
        raise _refused(error, repository, who) from error
    examples = dataset.read(file).refuse_problems()
    return Gathered(
        repository=repository,
        examples=examples,
        labels=labels,
        used=_used(examples),
        web=facts.html_url or _web(web, repository),
        private=facts.private,
    )


def from_file(repository: str, path: Path, api_url: str) -> Gathered:
    """The rows of `repository` in a file of `triora collect`; its labels are those they carry.

    BadRequest if the file holds none of them.
    """
    rows = dataset.read(path).refuse_problems()
    examples = [e for e in rows if e.repository.casefold() == repository.casefold()]
    if not examples:
        there = ", ".join(sorted({e.repository for e in rows})[:5]) or "nothing"
        raise BadRequest(f"{path} has no issues of {repository}; it holds {there}")
    names = dict.fromkeys(x.name for e in examples for x in e.github_labels)
    return Gathered(
        repository=repository,
        examples=examples,
        labels=[RepositoryLabel(name=name) for name in names],
        used=_used(examples),
        web=_web(api_url, repository),
    )


def _used(examples: Sequence[Example]) -> Counter[str]:
    return Counter(
        name
        for example in examples
        for name in {x.name.casefold() for x in example.github_labels if x.by_type != "Bot"}
    )


def _file(folder: Path, repository: str, limit: int, now: datetime, fresh: bool) -> Path:
    """Where the rows go: readable for this user alone, since the repository may be private."""
    folder.mkdir(parents=True, exist_ok=True)
    folder.chmod(0o700)
    file = folder / f"{repository.replace('/', '--').casefold()}-{limit}.jsonl"
    kept = collect.state_of(file)
    if kept is None and not fresh:
        return file
    if fresh or (kept is not None and kept.finished and now - kept.until > KEPT):
        file.unlink(missing_ok=True)
        collect.state_path(file).unlink(missing_ok=True)
    elif kept is not None:
        log.info("preview.collected_before", until=kept.until.isoformat(), whole=kept.finished)
    return file


def _web(api_url: str, repository: str) -> str:
    """The pages beside an API: github.com's, or an Enterprise Server's."""
    found = urlsplit(api_url)
    host = "github.com" if found.hostname == "api.github.com" else found.netloc
    return f"{found.scheme}://{host}/{repository}"


def _refused(error: Exception, repository: str, who: str) -> ConfigProblem:
    if isinstance(error, RepositoryMoved):
        return ConfigProblem(f"{repository} has another name now: ask for it by that")
    if isinstance(error, Gone):
        return ConfigProblem(
            f"GitHub shows {who} no repository {repository} with issues: check the name, and that "
            "it may be read (a fine-grained token needs issues and metadata: read)"
        )
    if "401" in str(error):
        return ConfigProblem(f"GitHub does not accept {who}: is it spelled right and not expired?")
    return ConfigProblem(f"GitHub does not let {who} read {repository}: {error}")
