"""What we say to GitHub, as the App itself and as one of its installations."""

from __future__ import annotations

import threading
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from typing import Any
from urllib.parse import quote

from app.core.errors import BadRequest, Gone, NotPermitted
from app.core.settings import Settings
from app.core.taxonomy import Label
from app.github.connection import Connection
from app.github.models import (
    Comment,
    HookDelivery,
    Identity,
    Issue,
    IssueEvent,
    Permission,
    Proposal,
    RepositoryLabel,
    RepositoryName,
    StoredFile,
    read,
)
from app.github.signing import PrivateKey, Signing


@dataclass(frozen=True)
class IssuePage:
    """A page of a repository's issues, and whether it is the last one."""

    issues: list[Issue]
    last: bool


class AppClient:
    """Calls as the GitHub App, and the way to its installations. Threads may share it."""

    def __init__(
        self,
        app_id: int,
        private_key: str | PrivateKey,
        api_url: str,
        *,
        before_write: Callable[[int], None] = lambda _: None,
    ) -> None:
        """`private_key` is PEM text, or a key that may be replaced; ConfigProblem if it is none.

        before_write: called with the installation's id before each call that changes something;
        what it raises, the call raises.
        """
        text = private_key
        self._key = text if isinstance(text, PrivateKey) else PrivateKey(lambda: text)
        self.app_id = app_id
        self._api_url = api_url
        self._before_write = before_write
        self._connection = self._connect()
        self._installations: dict[int, Connection] = {}
        self._lock = threading.Lock()
        self._identity: Identity | None = None

    @classmethod
    def from_settings(cls, settings: Settings, **guards: Callable[[int], None]) -> AppClient:
        """ConfigProblem if id or key are missing or wrong. `guards` as in the constructor."""
        key = PrivateKey(lambda: settings.private_key_pem)
        return cls(settings.require_app_id, key, settings.api_url, **guards)

    def app(self) -> Identity:
        """The App as GitHub knows it, without its bot user."""
        return read(Identity, self._connection.get("/app"))

    def identity(self, speaker: InstallationClient) -> Identity:
        """Who GitHub says we are, our bot user included; asked once, in part as `speaker`."""
        if self._identity is None:
            app = self.app()
            self._identity = app.model_copy(update={"bot_id": speaker.bot_id(app.slug)})
        return self._identity

    def deliveries(
        self, *, status: str | None = None, max_pages: int = 10
    ) -> Iterator[HookDelivery]:
        """GitHub's attempts to hand us webhooks, newest first; `status` is success or failure."""
        params = {"status": status} if status else {}
        for item in self._connection.items("/app/hook/deliveries", max_pages=max_pages, **params):
            yield read(HookDelivery, item)

    def redeliver(self, delivery_id: int) -> None:
        """Ask GitHub to hand one delivery over again, under its old GUID."""
        self._connection.send("POST", f"/app/hook/deliveries/{delivery_id}/attempts")

    @contextmanager
    def installation(self, installation_id: int) -> Iterator[InstallationClient]:
        """Calls as one installation, on one kept connection while inside."""
        connection = self._connection_of(installation_id)
        with connection.kept_open():
            yield InstallationClient(connection)

    def _connection_of(self, installation_id: int) -> Connection:
        # One for each installation and process, since it keeps the installation's token.
        with self._lock:
            if installation_id not in self._installations:
                self._installations[installation_id] = self._connect(installation_id)
            return self._installations[installation_id]

    def _connect(self, installation_id: int | None = None) -> Connection:
        signing = Signing(self.app_id, self._key, installation_id)
        spend = None if installation_id is None else partial(self._before_write, installation_id)
        return Connection(signing, self._api_url, refused=self._key.renew, before_write=spend)


class InstallationClient:
    """Calls as one installation. `repository` is always owner/name.

    Every call raises GitHubUnavailable (RepositoryMoved among it), NotPermitted or Gone.
    """

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    @property
    def connection(self) -> Connection:
        """The installation's way to GitHub."""
        return self._connection

    def repository(self, repository_id: int) -> RepositoryName:
        """A repository by its lasting id, under whatever name it has now."""
        return read(RepositoryName, self._connection.get(f"/repositories/{repository_id}"))

    def bot_id(self, slug: str) -> int | None:
        """Numeric id of the App's own bot user; None where GitHub does not know it."""
        try:
            found = self._connection.get(f"/users/{quote(f'{slug}[bot]', safe='')}")
        except Gone:
            return None
        return int(found["id"])

    def issue(self, repository: str, number: int) -> Issue:
        """The issue as it is now, labels included."""
        return read(Issue, self._connection.get(f"/repos/{repository}/issues/{number}"))

    def issue_events(self, repository: str, number: int) -> list[IssueEvent]:
        """What happened to the issue, oldest first."""
        path = f"/repos/{repository}/issues/{number}/events"
        return [read(IssueEvent, item) for item in self._connection.items(path)]

    def may_triage(self, repository: str, login: str) -> bool:
        """True if that account may set labels in the repository now: triage rights or more."""
        path = f"/repos/{repository}/collaborators/{quote(login, safe='')}/permission"
        try:
            return read(Permission, self._connection.get(path)).may_triage
        except Gone:
            # No such account (any more).
            return False

    def create_label(self, repository: str, label: Label) -> None:
        """Create a label with colour and description; done already if somebody was faster."""
        body = {"name": label.github, "color": label.color, "description": label.description}
        try:
            self._connection.send("POST", f"/repos/{repository}/labels", body)
        except NotPermitted:
            # 422 already_exists and every other refusal look alike: look whether it is there.
            if not self.has_label(repository, label.github):
                raise

    def lacks(self, repository: str, names: Collection[str]) -> set[str]:
        """Those of `names` (case-folded) that are no label of the repository."""
        labels = self._connection.page(f"/repos/{repository}/labels")
        missing = {name.casefold() for name in names}
        missing -= {read(RepositoryLabel, item).name.casefold() for item in labels.items}
        if labels.complete:
            return missing
        # A repository may have thousands of labels: ask for the few we want.
        return {name for name in missing if not self.has_label(repository, name)}

    def has_label(self, repository: str, name: str) -> bool:
        """True if the repository has a label of that name, in whatever case."""
        try:
            self._connection.get(f"/repos/{repository}/labels/{quote(name, safe='')}")
        except Gone:
            return False
        return True

    def add_labels(self, repository: str, number: int, names: list[str]) -> list[str]:
        """Add labels to an issue, never take any away; all labels it carries afterwards."""
        answer = self._connection.send(
            "POST", f"/repos/{repository}/issues/{number}/labels", {"labels": names}
        )
        return [read(RepositoryLabel, item).name for item in answer or ()]

    def propose_labels(
        self, repository: str, number: int, proposals: Sequence[Proposal]
    ) -> list[str]:
        """Propose labels for a person to approve; all labels the issue carries afterwards.

        Only where `proposals` answered: elsewhere GitHub may take a proposal for a label.
        """
        items = [
            {
                "name": proposal.name,
                "suggest": True,
                "rationale": proposal.rationale,
                "confidence": proposal.confidence,
            }
            for proposal in proposals
        ]
        answer = self._connection.send(
            "POST", f"/repos/{repository}/issues/{number}/labels", {"labels": items}
        )
        return [read(RepositoryLabel, item).name for item in answer or ()]

    def proposed(self, repository: str, number: int) -> set[int] | None:
        """Ids of the labels ever proposed for an issue; None where GitHub has no suggestions."""
        path = f"/repos/{repository}/issues/{number}/suggestions"
        try:
            found = list(self._connection.items(path, state="all", action="add_label"))
        except (Gone, NotPermitted):
            return None
        return {int(item["target_id"]) for item in found if item.get("target_id") is not None}

    def label_id(self, repository: str, name: str) -> int | None:
        """The id of a label of the repository; None if it has none of that name."""
        path = f"/repos/{repository}/labels/{quote(name, safe='')}"
        try:
            return read(RepositoryLabel, self._connection.get(path)).id
        except Gone:
            return None

    def renew(self) -> None:
        """Make the next call with a fresh token, which has what owners granted meanwhile."""
        self._connection.forget_token()

    def file(self, repository: str, path: str, etag: str | None = None) -> StoredFile | None:
        """A file of the default branch; None if it is as `etag` left it. Gone if there is none."""
        fresh = self._connection.get_fresh(f"/repos/{repository}/contents/{path}", etag)
        if fresh is None:
            return None
        if not isinstance(fresh.answer, dict):
            raise BadRequest(f"{path} is a folder")
        return read(StoredFile, fresh.answer | {"etag": fresh.etag})

    def issues_by(self, repository: str, login: str) -> list[Issue]:
        """The issues that `login` opened, whatever their state, newest first."""
        path = f"/repos/{repository}/issues"
        found = self._connection.items(path, state="all", creator=login)
        return [read(Issue, item) for item in found]

    def open_issue(self, repository: str, title: str, body: str) -> Issue:
        """Open an issue in our name."""
        wanted = {"title": title, "body": body}
        return read(Issue, self._connection.send("POST", f"/repos/{repository}/issues", wanted))

    def change_issue(self, repository: str, number: int, **changes: str) -> None:
        """Change title, body or state of an issue."""
        self._connection.send("PATCH", f"/repos/{repository}/issues/{number}", changes)

    def remove_label(self, repository: str, number: int, name: str) -> None:
        """Take one label off an issue; done already if it is not there."""
        path = f"/repos/{repository}/issues/{number}/labels/{quote(name, safe='')}"
        try:
            self._connection.send("DELETE", path)
        except Gone:
            return

    def open_issues(self, repository: str, page: int, since: datetime | None = None) -> IssuePage:
        """One page of the open issues and pull requests, newest first, counted from 1.

        With `since`, only those that something happened to since then.
        """
        asked = {"state": "open", "sort": "created", "direction": "desc", "page": page}
        if since is not None:
            asked["since"] = f"{since.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}"
        found = self._connection.page(f"/repos/{repository}/issues", **asked)
        return IssuePage([read(Issue, item) for item in found.items], found.complete)

    def comments(
        self, repository: str, number: int, since: datetime | None = None
    ) -> Iterator[Comment]:
        """Comments on an issue, oldest first; with `since`, those written or edited since then."""
        asked: dict[str, Any] = (
            {"since": f"{since.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}"} if since else {}
        )
        for item in self._connection.items(
            f"/repos/{repository}/issues/{number}/comments", **asked
        ):
            yield read(Comment, item)

    def say(self, repository: str, number: int, text: str) -> int:
        """Comment on an issue; the comment's id. Not idempotent: look for it before a repeat."""
        path = f"/repos/{repository}/issues/{number}/comments"
        return read(Comment, self._connection.send("POST", path, {"body": text})).id

    def reword(self, repository: str, comment_id: int, text: str) -> bool:
        """Give a comment of ours another text; False if somebody deleted it."""
        try:
            path = f"/repos/{repository}/issues/comments/{comment_id}"
            self._connection.send("PATCH", path, {"body": text})
        except Gone:
            return False
        return True

    def react(self, repository: str, comment_id: int, content: str) -> bool:
        """React to a comment, once however often asked; False if somebody deleted it."""
        path = f"/repos/{repository}/issues/comments/{comment_id}/reactions"
        try:
            self._connection.send("POST", path, {"content": content})
        except Gone:
            return False
        return True
