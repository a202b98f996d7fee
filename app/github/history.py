"""Reads a repository's past: its issues as they were filed, and who put which label on."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from urllib.parse import quote

import structlog
from githubkit.auth import AppAuthStrategy, AppInstallationAuthStrategy, TokenAuthStrategy
from pydantic import BaseModel, ConfigDict, Field

from app.core.errors import ConfigProblem, GitHubUnavailable, Gone, NotPermitted
from app.core.settings import Settings
from app.github.connection import PER_PAGE, Connection
from app.github.models import Actor, App, Issue, RepositoryFacts, RepositoryLabel, read

log = structlog.get_logger()


# Every revision holds the whole body, the newest first: the last one is what was filed, if GitHub
# kept it (edits before 2018 and revisions people deleted are gone).
_EDITS = """
query($owner: String!, $name: String!, $number: Int!) {
  repository(owner: $owner, name: $name) {
    issue(number: $number) {
      lastEditedAt
      includesCreatedEdit
      userContentEdits(last: 1) { nodes { diff deletedAt } }
    }
  }
}
"""


class Rename(BaseModel):
    """The title before and after."""

    model_config = ConfigDict(frozen=True, extra="ignore", populate_by_name=True)

    before: str = Field(alias="from")
    after: str = Field(alias="to")


class TimelineEvent(BaseModel):
    """Something on an issue's timeline; `label` and `rename` stand on events of that kind."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    event: str = ""
    actor: Actor | None = None
    label: RepositoryLabel | None = None
    rename: Rename | None = None
    app: App | None = Field(default=None, alias="performed_via_github_app")
    created_at: datetime | None = None


@dataclass(frozen=True)
class FiledBody:
    """The first body of an issue. `known` is False where GitHub cannot tell what it was."""

    known: bool
    body: str | None = None


class History:
    """A repository's past, as one identity may read it. `repository` is owner/name.

    Calls raise GitHubUnavailable, NotPermitted or Gone, and may be repeated.
    """

    def __init__(self, connection: Connection, api_url: str) -> None:
        self._connection = connection
        # Enterprise Server has GraphQL beside /api/v3, github.com below the base.
        self._graphql = f"{api_url.rstrip('/').removesuffix('/v3')}/graphql"
        self._tells_edits = True

    @classmethod
    def with_token(cls, token: str, api_url: str) -> History:
        """As the person (or machine) a token belongs to."""
        return cls(Connection(TokenAuthStrategy(token), api_url), api_url)

    @classmethod
    def as_app(cls, settings: Settings, repository: str) -> History:
        """As the App, through its installation on `repository`. Gone if it is not installed."""
        app_id, key, api_url = settings.require_app_id, settings.private_key_pem, settings.api_url
        found = Connection(AppAuthStrategy(app_id, key), api_url).get(
            f"/repos/{quote(repository)}/installation"
        )
        auth = AppInstallationAuthStrategy(app_id, key, int(found["id"]))
        return cls(Connection(auth, api_url), api_url)

    def about(self, repository: str) -> RepositoryFacts:
        """Whether it is private, has issues, and where its pages are."""
        return read(RepositoryFacts, self._connection.get(f"/repos/{repository}"))

    def labels(self, repository: str) -> list[RepositoryLabel]:
        """Every label of the repository, with its description."""
        path = f"/repos/{repository}/labels"
        return [read(RepositoryLabel, item) for item in self._connection.items(path)]

    def page(self, repository: str, number: int) -> list[Issue]:
        """One page (counted from 1) of issues and pull requests, the newest first."""
        found = self._connection.get(
            f"/repos/{repository}/issues",
            state="all",
            sort="created",
            direction="desc",
            per_page=PER_PAGE,
            page=number,
        )
        return [read(Issue, item) for item in found]

    def timeline(self, repository: str, number: int) -> list[TimelineEvent]:
        """What happened to an issue, oldest first."""
        path = f"/repos/{repository}/issues/{number}/timeline"
        return [read(TimelineEvent, item) for item in self._connection.items(path)]

    def filed_body(self, repository: str, number: int, body: str | None) -> FiledBody:
        """The body as first written, given the `body` of now.

        Not known where the server has no GraphQL, does not let us ask, or has lost the revision.
        """
        if not self._tells_edits:
            return FiledBody(known=False)
        owner, _, name = repository.partition("/")
        variables = {"owner": owner, "name": name, "number": number}
        try:
            answer = self._connection.send(
                "POST", self._graphql, {"query": _EDITS, "variables": variables}
            )
        except (Gone, NotPermitted) as error:
            # No use in asking for every issue again.
            self._tells_edits = False
            log.info("github.no_edit_history", error=type(error).__name__)
            return FiledBody(known=False)
        return _filed(answer, body)


def current_labels(
    issue: Issue, timeline: list[TimelineEvent]
) -> Iterator[tuple[str, TimelineEvent | None]]:
    """The labels an issue carries now, each with the event that put it there, if there is one."""
    last = {
        event.label.name.casefold(): event
        for event in timeline
        if event.event == "labeled" and event.label is not None
    }
    for label in issue.labels:
        yield label.name, last.get(label.name.casefold())


def filed_title(issue: Issue, timeline: list[TimelineEvent]) -> str:
    """The title as first written."""
    for event in timeline:
        if event.event == "renamed" and event.rename is not None:
            return event.rename.before
    return issue.title


def _filed(answer: Any, body: str | None) -> FiledBody:
    if not isinstance(answer, dict):
        raise GitHubUnavailable("GitHub's answer could not be read")
    errors = answer.get("errors") or []
    if any(e.get("type") == "RATE_LIMITED" for e in errors if isinstance(e, dict)):
        raise GitHubUnavailable("rate limit of GraphQL used up", limited=True)
    issue = ((answer.get("data") or {}).get("repository") or {}).get("issue")
    if errors or not isinstance(issue, dict):
        return FiledBody(known=False)
    if issue.get("lastEditedAt") is None:
        return FiledBody(known=True, body=body)
    kept = (issue.get("userContentEdits") or {}).get("nodes") or []
    if issue.get("includesCreatedEdit") and kept and kept[-1].get("deletedAt") is None:
        return FiledBody(known=True, body=kept[-1].get("diff"))
    return FiledBody(known=False)


def check_name(repository: str) -> str:
    """owner/name as given, or ConfigProblem."""
    owner, slash, name = repository.partition("/")
    if not (owner and slash and name) or any(c in repository for c in " ?#%\\") or "/" in name:
        raise ConfigProblem(f"{repository!r} is no repository: write OWNER/REPO")
    return repository
