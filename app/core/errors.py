"""Every error Triora raises on purpose, and the two questions a caller may ask of one.

TriageError
├── ConfigProblem        a setting, file or option is wrong; the text says what to do
├── BadRequest           what the caller sent cannot be used (a webhook, a row, a form)
├── GitHubUnavailable    GitHub did not answer, or asked us to wait; worth trying again
├── NotPermitted         GitHub said no, for good: revoked, missing permission, disabled
├── Gone                 the issue or repository is no longer there
└── ArtifactMismatch     weights, adapter, manifest and taxonomy do not belong together
"""

from __future__ import annotations

from datetime import datetime

# Exit code of a command that ended with one of these: trying again changes nothing.
EXIT_PROBLEM = 2


class TriageError(Exception):
    """Base of the tree. `str(error)` is one line a person can act on."""


class ConfigProblem(TriageError):
    """A setting, file or option is missing or wrong."""


class BadRequest(TriageError):
    """What was sent to us cannot be used. Carries the HTTP status that says so."""

    def __init__(self, message: str, status: int = 400) -> None:
        super().__init__(message)
        self.status = status


class GitHubUnavailable(TriageError):
    """GitHub did not answer or asked us to wait.

    `retry_at` is the earliest time (timezone-aware UTC) a further attempt makes sense, None when
    GitHub did not say. `limited` is True when the whole installation has to wait (a rate limit).
    """

    def __init__(
        self, message: str, *, retry_at: datetime | None = None, limited: bool = False
    ) -> None:
        super().__init__(message)
        self.retry_at = retry_at
        self.limited = limited


class NotPermitted(TriageError):
    """GitHub refused for good: trying again changes nothing until an owner acts."""


class Gone(TriageError):
    """The issue, label or repository does not exist any more."""


class ArtifactMismatch(TriageError):
    """Weights, adapter, manifest and taxonomy do not belong together."""


def may_retry(error: BaseException) -> bool:
    """True when the same call may succeed later without anybody changing anything."""
    return isinstance(error, GitHubUnavailable | ConnectionError | TimeoutError)


def ends_quietly(error: BaseException) -> bool:
    """True when there is nothing left to do: the thing the work was about is not there."""
    return isinstance(error, Gone)
