"""Open reports as issues, and follow their labels until all are there."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import httpx

from deploy.sandbox.demo.reports import Report
from deploy.sandbox.demo.stage import DemoFailed, Stage
from deploy.sandbox.remote import PROJECT, Remote

POLL_SECONDS = 0.3
# How often Triora is asked what it did while no label arrives.
LOOK_SECONDS = 5.0
SETTLED = ("done", "dead")


@dataclass(frozen=True)
class Opened:
    """A report that is an issue now."""

    number: int
    report: Report
    at: datetime


def open_all(github: Remote, reports: Sequence[Report]) -> Iterator[Opened]:
    """Open each report as an issue, in order; DemoFailed if the stand-in refuses one."""
    for login in dict.fromkeys(report.author for report in reports):
        github.control("POST", "/people", json={"login": login})
    for report in reports:
        at = datetime.now(UTC)
        try:
            issue = github.open_issue(report.title, report.body, by=report.author)
        except httpx.HTTPError as error:
            raise DemoFailed(f"the issue {report.title!r} could not be opened: {error}") from error
        yield Opened(issue["number"], report, at)


def labels_of(github: Remote) -> dict[int, list[str]]:
    """Issue number -> the names of its labels now."""
    found: dict[int, list[str]] = {}
    page = 1
    while True:
        issues = github.rest(
            "GET",
            f"/repos/{PROJECT}/issues",
            params={"state": "all", "per_page": 100, "page": page},
        )
        found |= {issue["number"]: [x["name"] for x in issue["labels"]] for issue in issues}
        if len(issues) < 100:
            return found
        page += 1


def until_settled(
    stage: Stage,
    numbers: Sequence[int],
    patience: float,
    arrived: Callable[[int, list[str]], None],
) -> dict[int, dict[str, Any]]:
    """Wait until Triora is through with every issue; what it stored, by issue number.

    Calls `arrived` with an issue's labels when it has some for the first time. DemoFailed when a
    process ends, or nothing happens for `patience` seconds.
    """
    waiting = set(numbers)
    settled = 0
    news = look = time.monotonic()
    while True:
        stage.check()
        for number, names in labels_of(stage.github).items():
            if names and number in waiting:
                waiting.remove(number)
                arrived(number, names)
                news = time.monotonic()
        if not waiting or time.monotonic() > max(news, look) + LOOK_SECONDS:
            stored = {line["number"]: line for line in stage.predictions()}
            done = [n for n in numbers if stored.get(n, {}).get("stage") in SETTLED]
            if len(done) == len(numbers):
                return stored
            look = time.monotonic()
            news, settled = (look, len(done)) if len(done) > settled else (news, settled)
        if time.monotonic() > news + patience:
            raise DemoFailed(
                f"{len(waiting)} of {len(numbers)} issues have no labels, and none came for "
                f"{patience:.0f} s. Triora said:\n{stage.processes[1].last_lines}"
            )
        time.sleep(POLL_SECONDS)


def rest(stage: Stage) -> None:
    """Let a moment pass; DemoFailed when a process has ended."""
    stage.check()
    time.sleep(POLL_SECONDS)
