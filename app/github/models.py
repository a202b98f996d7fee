"""What we read of GitHub's answers: the few fields in use, and nothing else has to be there.

Unknown fields are ignored and absent optional ones are filled, since GitHub Enterprise Server is
years older than github.com and both keep adding fields.
"""

from __future__ import annotations

from base64 import b64decode
from datetime import datetime
from enum import StrEnum
from typing import Any, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from app.core.errors import BadRequest, GitHubUnavailable

M = TypeVar("M", bound=BaseModel)


class _Answer(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore")


class Actor(_Answer):
    """Who did something. `type` is User, Bot, Organization or Mannequin."""

    id: int
    login: str
    type: str = "User"


class RepositoryLabel(_Answer):
    """A label as a repository or an issue carries it."""

    id: int | None = None
    name: str
    color: str | None = None
    description: str | None = None


class Issue(_Answer):
    """An issue (or pull request: GitHub's lists hold both) with its labels."""

    number: int
    title: str = ""
    body: str | None = None
    state: str = "open"
    locked: bool = False
    labels: tuple[RepositoryLabel, ...] = ()
    user: Actor | None = None
    created_at: datetime
    updated_at: datetime
    pull_request: dict[str, Any] | None = None

    @field_validator("labels", mode="before")
    @classmethod
    def _named(cls, labels: Any) -> Any:
        # GitHub's schema allows a label to be its bare name.
        return [{"name": x} if isinstance(x, str) else x for x in labels or ()]

    @property
    def closed(self) -> bool:
        """True once somebody closed it."""
        return self.state == "closed"


class Comment(_Answer):
    """A comment on an issue."""

    id: int
    body: str | None = None
    user: Actor | None = None


class App(_Answer):
    """A GitHub App."""

    id: int


class IssueEvent(_Answer):
    """Something that happened to an issue; `label` is there for labeled and unlabeled.

    `state_reason` of a closing is completed, not_planned or duplicate; None on old servers.
    """

    id: int
    event: str
    state_reason: str | None = None
    actor: Actor | None = None
    label: RepositoryLabel | None = None
    app: App | None = Field(default=None, alias="performed_via_github_app")
    created_at: datetime


class Identity(_Answer):
    """Who we are: the App's id and slug, and the numeric id of its bot user if GitHub told it."""

    id: int
    slug: str = ""
    bot_id: int | None = None


class RepositoryName(_Answer):
    """A repository's lasting id and its present name."""

    id: int
    full_name: str


class RepositoryFacts(_Answer):
    """What a reader may want to know of a repository before anything else."""

    full_name: str
    private: bool = False
    html_url: str | None = None
    has_issues: bool = True


class Rights(_Answer):
    """What an account may do in a repository."""

    triage: bool = False


class Collaborator(_Answer):
    """An account with its rights in one repository."""

    permissions: Rights | None = None


class Permission(_Answer):
    """An account's role in a repository. `permission` says "read" for triage too."""

    permission: str = "none"
    role_name: str | None = None
    user: Collaborator | None = None

    @property
    def may_triage(self) -> bool:
        """True for triage rights or more, custom roles included."""
        if self.user is not None and self.user.permissions is not None:
            return self.user.permissions.triage
        # Enterprise Server before 3.4 tells no rights one by one.
        return self.permission in ("admin", "write") or self.role_name in ("triage", "maintain")


class Confidence(StrEnum):
    """How sure a proposal is, in GitHub's words."""

    LOW = "low"
    MEDIUM = "medium"
    HIGH = "high"


class Proposal(BaseModel):
    """A label that a person may approve or dismiss."""

    name: str
    rationale: str
    confidence: Confidence


class StoredFile(_Answer):
    """A file as the contents API tells it; `content` is base64 with line breaks."""

    type: str
    size: int = 0
    encoding: str = ""
    content: str = ""
    etag: str = ""

    def text(self, most_bytes: int) -> str:
        """Its text, of at most so many bytes of UTF-8; BadRequest in words if it is none."""
        if self.type != "file":
            raise BadRequest(f"it is a {self.type}, no file")
        if self.size > most_bytes:
            raise BadRequest(f"the file is larger than {most_bytes // 1024} KB")
        if self.encoding != "base64":
            raise BadRequest(f"its content came in an unknown form ({self.encoding or 'none'})")
        try:
            return b64decode(self.content).decode("utf-8-sig")
        except ValueError:
            raise BadRequest("it is not UTF-8 text") from None


class HookDelivery(_Answer):
    """One attempt of GitHub's to hand a webhook to us; redeliveries share the GUID."""

    id: int
    guid: str
    delivered_at: datetime
    redelivery: bool = False
    status: str = ""
    status_code: int = 0
    event: str
    action: str | None = None

    @property
    def arrived(self) -> bool:
        """True if we answered this attempt with a 2xx."""
        return 200 <= self.status_code < 300


def read(model: type[M], answer: Any) -> M:
    """`answer` as that model. GitHubUnavailable names the fields that do not fit."""
    try:
        return model.model_validate(answer)
    except ValidationError as error:
        # The fields by name only: their values may be issue text.
        fields = ", ".join(sorted({".".join(map(str, e["loc"])) for e in error.errors()}))
        raise GitHubUnavailable(f"GitHub's answer lacks what we need: {fields}") from error
