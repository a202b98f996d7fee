"""What we read of GitHub's webhooks: the events we use, and small, tolerant payload models.

Only the keys we use are named, and most may be missing: GitHub's own examples lack keys that its
schema requires, and new keys and actions appear without notice.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from enum import StrEnum
from typing import Annotated

from pydantic import (
    AfterValidator,
    AliasChoices,
    AwareDatetime,
    BaseModel,
    ConfigDict,
    Field,
    ValidationError,
)


class Name(StrEnum):
    """The events we look into."""

    ISSUES = "issues"
    ISSUE_COMMENT = "issue_comment"
    INSTALLATION = "installation"
    INSTALLATION_REPOSITORIES = "installation_repositories"
    REPOSITORY = "repository"
    LABEL = "label"


class Action(StrEnum):
    """The actions of those events that change something for us."""

    OPENED = "opened"
    EDITED = "edited"
    CLOSED = "closed"
    REOPENED = "reopened"
    TRANSFERRED = "transferred"
    DELETED = "deleted"
    LABELED = "labeled"
    UNLABELED = "unlabeled"
    CREATED = "created"
    SUSPEND = "suspend"
    UNSUSPEND = "unsuspend"
    NEW_PERMISSIONS_ACCEPTED = "new_permissions_accepted"
    ADDED = "added"
    REMOVED = "removed"
    RENAMED = "renamed"
    PRIVATIZED = "privatized"
    PUBLICIZED = "publicized"


INTEREST: Mapping[str, frozenset[Action]] = {
    Name.ISSUES: frozenset(
        {
            Action.OPENED,
            Action.EDITED,
            Action.CLOSED,
            Action.REOPENED,
            Action.TRANSFERRED,
            Action.DELETED,
            Action.LABELED,
            Action.UNLABELED,
        }
    ),
    Name.ISSUE_COMMENT: frozenset({Action.CREATED}),
    Name.LABEL: frozenset({Action.EDITED, Action.DELETED}),
    Name.INSTALLATION: frozenset(
        {
            Action.CREATED,
            Action.DELETED,
            Action.SUSPEND,
            Action.UNSUSPEND,
            Action.NEW_PERMISSIONS_ACCEPTED,
        }
    ),
    Name.INSTALLATION_REPOSITORIES: frozenset({Action.ADDED, Action.REMOVED}),
    Name.REPOSITORY: frozenset(
        {
            Action.RENAMED,
            Action.TRANSFERRED,
            Action.DELETED,
            Action.PRIVATIZED,
            Action.PUBLICIZED,
        }
    ),
}
# Events that reach us by our own choice of subscriptions, and what is not done with them.
_UNUSED = {
    "ping": "GitHub asks whether anybody is there",
    "github_app_authorization": "no tokens of people are kept",
}


def unused(name: str) -> str | None:
    """Why an event of that name is ignored without a look inside; None if we look inside."""
    if name in INTEREST:
        return None
    return _UNUSED.get(name, "not an event we use")


def _cut(length: int) -> AfterValidator:
    # PostgreSQL takes no NUL in a text.
    return AfterValidator(lambda value: value.replace("\x00", "")[:length])


def _to_utc(moment: datetime) -> datetime:
    try:
        return moment.astimezone(UTC)
    except OverflowError:
        raise ValueError("a time outside the calendar") from None


GitHubId = Annotated[int, Field(ge=1, lt=2**63)]
Moment = Annotated[AwareDatetime, AfterValidator(_to_utc)]


LabelName = Annotated[str, _cut(50)]


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore")


class Actor(_Part):
    """A person, bot, organisation or enterprise (which has a slug instead of a login)."""

    id: GitHubId
    login: Annotated[str, _cut(100)] = Field(
        default="", validation_alias=AliasChoices("login", "slug")
    )
    type: Annotated[str, _cut(20)] = "User"


class Issue(_Part):
    """An issue as the event left it. `user` is None for an author whose account is gone."""

    number: int = Field(ge=1, lt=2**31)
    title: str | None = None
    body: str | None = None
    user: Actor | None = None
    created_at: Moment | None = None
    updated_at: Moment
    pull_request: object = None


class Comment(_Part):
    """A comment on an issue. `performed_via_github_app` is the App that wrote it for its author."""

    id: GitHubId
    body: str | None = None
    user: Actor | None = None
    created_at: Moment
    performed_via_github_app: object = None


class Repository(_Part):
    """A repository; the lists in installation events carry no owner."""

    id: GitHubId
    full_name: Annotated[str, _cut(300)]
    private: bool = False
    owner: Actor | None = None


class Installation(_Part):
    """An installation; most events carry only its id."""

    id: GitHubId
    account: Actor | None = None
    suspended_at: Moment | None = None


class Label(_Part):
    """A label, by name; its id survives renames."""

    name: LabelName
    id: GitHubId | None = None


class _Renaming(_Part):
    before: LabelName = Field(alias="from")


class _Changes(_Part):
    name: _Renaming | None = None


class Event(_Part):
    """The union of what the events we use carry."""

    action: Annotated[str, _cut(100)] = ""
    sender: Actor | None = None
    installation: Installation | None = None
    repository: Repository | None = None
    issue: Issue | None = None
    comment: Comment | None = None
    label: Label | None = None
    # Titles and bodies before an edit, a transferred issue's new place: which keys changed.
    changes: dict[str, object] = Field(default_factory=dict)
    repositories: tuple[Repository, ...] = ()
    repositories_added: tuple[Repository, ...] = ()
    repositories_removed: tuple[Repository, ...] = ()

    @property
    def renamed_from(self) -> str | None:
        """The name before, where what the event is about got another one."""
        try:
            renaming = _Changes.model_validate(self.changes).name
        except ValidationError:
            return None
        return renaming.before if renaming is not None else None


class Unusable(ValueError):
    """The payload of an event we use has a shape we cannot use. The text says where."""


def read(payload: Mapping[str, object]) -> Event:
    """The parts of `payload` we use. Raises Unusable, in words without any of its content."""
    try:
        return Event.model_validate(payload)
    except ValidationError as error:
        first = error.errors(include_input=False, include_url=False, include_context=False)[0]
        where = ".".join(str(part) for part in first["loc"])
        raise Unusable(f"{where}: {first['msg']}") from None
