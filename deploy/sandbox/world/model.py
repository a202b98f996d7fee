"""What a small GitHub is made of, as plain mutable records. Times are aware UTC, in seconds."""

from __future__ import annotations

import base64
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any


class Role(StrEnum):
    """What a person may do in a repository, weakest first."""

    READ = "read"
    TRIAGE = "triage"
    WRITE = "write"
    MAINTAIN = "maintain"
    ADMIN = "admin"

    @property
    def rank(self) -> int:
        """Position in the order of power, 0 for read."""
        return list(Role).index(self)

    def covers(self, other: Role) -> bool:
        """True when this role may do what `other` may."""
        return self.rank >= other.rank

    @property
    def legacy(self) -> str:
        """The old three-step name GitHub still answers: triage reads, maintain writes."""
        return {Role.TRIAGE: "read", Role.MAINTAIN: "write"}.get(self, self).__str__()


def node_id(kind: str, number: int) -> str:
    """An opaque id as GraphQL hands them out."""
    return base64.b64encode(f"{kind}:{number}".encode()).decode()


@dataclass(eq=False)
class Account:
    """A person, a bot or an organization."""

    id: int
    login: str
    kind: str = "User"
    name: str | None = None
    created: datetime | None = None

    @property
    def is_bot(self) -> bool:
        """True for the accounts that apps act through."""
        return self.kind == "Bot"


@dataclass(eq=False)
class Label:
    """A label of a repository. Issues hold the same object, so a rename reaches them at once."""

    id: int
    name: str
    color: str = "ededed"
    description: str | None = None
    default: bool = False


@dataclass(eq=False)
class Reaction:
    """One person's emoji on a comment."""

    id: int
    author: Account
    content: str
    created: datetime


@dataclass(eq=False)
class Comment:
    """A comment on an issue."""

    id: int
    issue: Issue
    author: Account
    body: str
    created: datetime
    updated: datetime
    via: App | None = None
    reactions: list[Reaction] = field(default_factory=list)


@dataclass(eq=False)
class Event:
    """Something that happened to an issue: labeled, unlabeled, renamed, closed, reopened."""

    id: int
    issue: Issue
    kind: str
    actor: Account
    created: datetime
    via: App | None = None
    label: tuple[str, str] | None = None
    rename: tuple[str, str] | None = None
    state_reason: str | None = None


@dataclass(eq=False)
class Suggestion:
    """A label an app proposes for a person to approve or dismiss."""

    id: int
    issue: Issue
    label: Label
    actor: Account
    rationale: str | None
    confidence: str | None
    created: datetime
    updated: datetime
    state: str = "pending"
    event_id: int | None = None
    resolved_by: Account | None = None


@dataclass(eq=False)
class Issue:
    """An issue, or a pull request seen as one."""

    id: int
    repository: Repository
    number: int
    title: str
    body: str | None
    author: Account
    created: datetime
    updated: datetime
    state: str = "open"
    state_reason: str | None = None
    closed: datetime | None = None
    closed_by: Account | None = None
    labels: list[Label] = field(default_factory=list)
    comments: list[Comment] = field(default_factory=list)
    events: list[Event] = field(default_factory=list)
    suggestions: list[Suggestion] = field(default_factory=list)
    via: App | None = None
    is_pull_request: bool = False

    def has(self, name: str) -> bool:
        """True when a label of that name, in any case, stands on the issue."""
        return any(label.name.casefold() == name.casefold() for label in self.labels)

    def who_set(self, label: Label) -> Event | None:
        """The latest event that put the label on; None when it came with the issue."""
        for event in reversed(self.events):
            if event.kind == "labeled" and event.label and event.label[0] == label.name:
                return event
        return None


@dataclass(eq=False)
class Repository:
    """A repository: its labels, issues, files, and who may do what."""

    id: int
    owner: Account
    name: str
    created: datetime
    updated: datetime
    private: bool = False
    description: str | None = None
    labels: dict[str, Label] = field(default_factory=dict)
    issues: dict[int, Issue] = field(default_factory=dict)
    gone: dict[int, Issue | None] = field(default_factory=dict)
    roles: dict[str, Role] = field(default_factory=dict)
    files: dict[str, bytes] = field(default_factory=dict)
    has_issues: bool = True
    suggestions_enabled: bool = False
    default_branch: str = "main"
    next_number: int = 1

    @property
    def full_name(self) -> str:
        """owner/name."""
        return f"{self.owner.login}/{self.name}"

    def role_of(self, account: Account) -> Role | None:
        """The role of an account; everybody may read what is public."""
        if account.login == self.owner.login:
            return Role.ADMIN
        role = self.roles.get(account.login.casefold())
        return role or (None if self.private else Role.READ)

    def label(self, name: str) -> Label | None:
        """The label of that name, in any case."""
        return self.labels.get(name.casefold())


@dataclass(eq=False)
class App:
    """A GitHub App and its one webhook."""

    id: int
    client_id: str
    slug: str
    name: str
    owner: Account
    bot: Account
    created: datetime
    public_key: str | None = None
    permissions: dict[str, str] = field(default_factory=dict)
    events: list[str] = field(default_factory=list)
    single_files: tuple[str, ...] = ()


@dataclass(eq=False)
class Installation:
    """An App on an account, with the repositories and permissions it was given."""

    id: int
    app: App
    account: Account
    created: datetime
    updated: datetime
    permissions: dict[str, str]
    events: list[str]
    # None means every repository of the account.
    repository_ids: set[int] | None = None
    suspended: datetime | None = None
    suspended_by: Account | None = None

    def covers(self, repository: Repository) -> bool:
        """True when the App may see this repository through this installation."""
        if repository.owner is not self.account:
            return False
        return self.repository_ids is None or repository.id in self.repository_ids


@dataclass(eq=False)
class Delivery:
    """One attempt to hand a webhook over, with everything that was said."""

    id: int
    guid: str
    event: str
    action: str | None
    delivered: datetime
    redelivery: bool
    url: str
    request_headers: dict[str, str]
    payload: bytes
    installation_id: int | None = None
    repository_id: int | None = None
    duration: float = 0.0
    status: str = "pending"
    status_code: int = 0
    response_headers: dict[str, str] = field(default_factory=dict)
    response_body: str = ""

    @property
    def failed(self) -> bool:
        """True unless the receiver answered 2xx."""
        return not 200 <= self.status_code < 300


@dataclass(frozen=True)
class Occurrence:
    """A webhook to be sent: event and action, where, by whom, and what is peculiar to it."""

    event: str
    action: str | None
    actor: Account
    repository: Repository | None = None
    installation: Installation | None = None
    extra: dict[str, Any] = field(default_factory=dict)
