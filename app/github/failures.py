"""Turns every way a call to GitHub can fail into one error of our tree, in words to act on.

GitHubUnavailable      try again at `retry_at`
├── RepositoryMoved    ask for the repository by its id, it has another name now
└── SecondaryLimit     slow down; wait longer each time in a row
NotPermitted           no, until an owner acts
└── Refused            not about this one issue: the key, the installation or a permission
Gone                   nothing there any more
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime

import httpx
import pydantic
from githubkit.exception import GitHubException, RequestError, RequestFailed, RequestTimeout

from app.core.errors import GitHubUnavailable, Gone, NotPermitted, TriageError

# GitHub asks for at least a minute after a secondary limit that names no time.
SECONDARY_WAIT = timedelta(seconds=60)
LONGEST_DOUBLED = timedelta(hours=1)
# Both clocks tell whole seconds.
RESET_MARGIN = timedelta(seconds=1)
_SECONDARY_WORDS = ("secondary rate limit", "abuse detection", "too many requests")


class RepositoryMoved(GitHubUnavailable):
    """GitHub answered 301: the repository was renamed or transferred."""


class SecondaryLimit(GitHubUnavailable):
    """Too much at once, whatever is left of the hour's budget. `retry_at` is always there."""

    def __init__(self, retry_at: datetime) -> None:
        super().__init__(_wait("secondary rate limit", retry_at), retry_at=retry_at, limited=True)

    def again(self, times: int) -> SecondaryLimit:
        """The wait for this limit when it was met `times` times in a row already: doubled each."""
        assert self.retry_at is not None  # noqa: S101 - narrows the type for mypy
        now = datetime.now(UTC)
        told = self.retry_at - now
        # Never sooner than GitHub said, and never days later.
        return SecondaryLimit(now + max(told, min(told * 2 ** min(times, 10), LONGEST_DOUBLED)))


class Refused(NotPermitted):
    """Our access is refused, whatever issue it is about; waiting helps once somebody mends it.

    `wide` is True where no call of the installation is accepted, False where one repository, or one
    kind of call, is refused.
    """

    def __init__(self, message: str, *, wide: bool) -> None:
        super().__init__(message)
        self.wide = wide


def from_exception(error: GitHubException | ValueError) -> TriageError:
    """The error of our tree for whatever githubkit raised.

    Failures while it fetches a token arrive wrapped in a plain RequestError; they are unwrapped.
    """
    failed = failed_response(error)
    if failed is not None:
        return from_response(failed)
    root = _root(error)
    if isinstance(root, RequestTimeout | httpx.TimeoutException):
        return GitHubUnavailable("GitHub did not answer in time")
    if isinstance(root, httpx.HTTPError):
        return GitHubUnavailable(f"the connection to GitHub failed ({type(root).__name__})")
    if isinstance(root, pydantic.ValidationError | ValueError):
        return GitHubUnavailable("GitHub's answer could not be read")
    raise error


def failed_response(error: BaseException) -> httpx.Response | None:
    """The HTTP answer behind an exception of githubkit's, None if there was none."""
    root = _root(error)
    return root.response.raw_response if isinstance(root, RequestFailed) else None


def from_response(response: httpx.Response) -> TriageError:
    """The error of our tree for an answer that is not a 2xx."""
    status = response.status_code
    said = _message(response)
    if status in (403, 429):
        limit = _rate_limit(response, said)
        if limit is not None:
            return limit
    if 400 <= status < 500 and status != 401 and _asks_for_token(response):
        # 404 is what another App's key gets as well: not a proof that we were uninstalled.
        return Refused(
            f"GitHub gives no access to the installation ({status}): {said or 'no reason given'}; "
            "is TRIORA_APP_ID right, is the App still installed and not suspended?",
            wide=True,
        )
    if response.is_redirect:
        return RepositoryMoved(f"the repository has another name now ({status})")
    if status >= 500:
        return GitHubUnavailable(f"GitHub answered {status}")
    if status in (404, 410):
        return Gone(f"GitHub answered {status}: {said or 'not there'}")
    if status == 401:
        return Refused(
            "GitHub does not accept the App's credentials (401): check TRIORA_APP_ID, "
            "TRIORA_PRIVATE_KEY and this machine's clock",
            wide=True,
        )
    if status == 403 and "locked" not in said.casefold():
        return Refused(f"GitHub refused (403): {said or 'no reason given'}", wide=False)
    return NotPermitted(f"GitHub refused ({status}): {said or 'no reason given'}")


def _asks_for_token(response: httpx.Response) -> bool:
    return response.request.url.path.endswith("/access_tokens")


def _rate_limit(response: httpx.Response, said: str) -> GitHubUnavailable | None:
    after = _seconds(response.headers.get("retry-after"))
    spent = response.headers.get("x-ratelimit-remaining") == "0"
    reset = _seconds(response.headers.get("x-ratelimit-reset"))
    secondary = any(word in said.casefold() for word in _SECONDARY_WORDS)
    now = datetime.now(UTC)
    if after is not None:
        return SecondaryLimit(now + timedelta(seconds=after))
    if spent and not secondary:
        reached = now + (_until(reset, response, now) if reset else SECONDARY_WAIT)
        retry_at = max(reached, now) + RESET_MARGIN
        return GitHubUnavailable(
            _wait("rate limit used up", retry_at), retry_at=retry_at, limited=True
        )
    if secondary or response.status_code == 429:
        return SecondaryLimit(now + SECONDARY_WAIT)
    return None


def _until(reset: float, response: httpx.Response, now: datetime) -> timedelta:
    """How long until `reset` by the clock that told it: GitHub's and ours may be minutes apart."""
    try:
        theirs = parsedate_to_datetime(response.headers.get("date", ""))
    except ValueError:
        theirs = now
    return timedelta(seconds=reset - theirs.timestamp())


def _wait(what: str, retry_at: datetime) -> str:
    return f"{what}: GitHub asks to wait until {retry_at:%H:%M:%S} UTC"


def _seconds(value: str | None) -> float | None:
    # Some proxies answer with a date here; then GitHub's default applies.
    try:
        return max(float(value), 0.0) if value is not None else None
    except ValueError:
        return None


def _message(response: httpx.Response) -> str:
    """GitHub's own words, cut; they name the endpoint's rule, never the issue."""
    try:
        body = response.json()
    except ValueError:
        return ""
    said = body.get("message") if isinstance(body, dict) else None
    return str(said)[:200] if said else ""


def _root(error: BaseException) -> BaseException:
    while isinstance(error, RequestError) and not isinstance(error, RequestFailed | RequestTimeout):
        error = error.exc
    return error
