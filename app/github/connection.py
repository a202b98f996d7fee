"""One identity's way to GitHub's REST API: every failure an error of ours, every answer JSON."""

from __future__ import annotations

import ssl
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from importlib.metadata import version
from typing import Any

import httpx
import structlog
from githubkit import GitHub, Response
from githubkit.auth import BaseAuthStrategy
from githubkit.cache import MemCacheStrategy
from githubkit.exception import GitHubException

from app.core.errors import GitHubUnavailable, TriageError
from app.github import failures

log = structlog.get_logger()

TIMEOUT_SECONDS = 10.0
PER_PAGE = 100
# Past this the list is an attack or a mistake: 10,000 events on one issue.
MAX_PAGES = 100


@dataclass(frozen=True)
class Page:
    """The beginning of a list, and whether that is all of it."""

    items: list[dict[str, Any]]
    complete: bool


@dataclass(frozen=True)
class Fresh:
    """An answer, and the tag by which GitHub says later that it is still the same."""

    answer: Any
    etag: str


class Connection:
    """Calls as one identity (the App or one of its installations).

    githubkit signs in and keeps the token; what it would do about failures is switched off: it
    would sleep through rate limits inside the worker, follow a 301 on POST as a GET that looks
    like success, and keep a revoked token. Calls raise GitHubUnavailable, NotPermitted or Gone.
    """

    def __init__(
        self,
        auth: BaseAuthStrategy,
        api_url: str,
        refused: Callable[[], None] | None = None,
        before_write: Callable[[], None] | None = None,
    ) -> None:
        """`refused` is called when GitHub does not know us, before we sign in once more.

        `before_write` is called before each call that changes something; what it raises stops it.
        """
        self._refused = refused
        self._before_write = before_write
        # Of our own, so that dropping a token drops no other identity's.
        self._tokens = MemCacheStrategy()
        # Secondary limits met in a row, by reads and by writes.
        self._limits = {"read": 0, "write": 0}
        self._base = httpx.URL(api_url.rstrip("/") + "/")
        self._github = GitHub(
            auth,
            base_url=api_url,
            user_agent=f"triora/{version('triora')}",
            timeout=TIMEOUT_SECONDS,
            follow_redirects=False,
            http_cache=False,
            auto_retry=False,
            cache_strategy=self._tokens,
            ssl_verify=_tls(),
        )

    @contextmanager
    def kept_open(self) -> Iterator[None]:
        """Calls of this thread inside share one TCP connection. Do not nest."""
        with self._github:
            yield

    def forget_token(self) -> None:
        """Sign in anew with the next call: a token keeps the permissions it was made with."""
        self._tokens.cleanup()

    def get(self, path: str, **params: Any) -> Any:
        """The decoded JSON of one GET."""
        return _json(self._call("GET", path, params=params))

    def get_fresh(self, path: str, etag: str | None) -> Fresh | None:
        """One GET; None if nothing changed since `etag`, which costs nothing of the rate limit."""
        known = {"if-none-match": etag} if etag else None
        response = self._call("GET", path, headers=known)
        if response.status_code == httpx.codes.NOT_MODIFIED:
            return None
        return Fresh(_json(response), response.headers.get("etag", ""))

    def send(self, method: str, path: str, json: Any | None = None) -> Any:
        """The decoded JSON of one POST, PATCH or DELETE; None for an answer without a body."""
        if self._before_write is not None:
            self._before_write()
        response = self._call(method, path, json=json)
        return _json(response) if response.content else None

    def page(self, path: str, **params: Any) -> Page:
        """One page of a list (the first without `page`), as long as GitHub makes one."""
        response = self._call("GET", path, params={"per_page": PER_PAGE, **params})
        return Page(_json(response), complete=self._next(response.raw_response) is None)

    def items(
        self, path: str, *, max_pages: int = MAX_PAGES, **params: Any
    ) -> Iterator[dict[str, Any]]:
        """Every item of a paginated list, page by page as needed."""
        url, query = path, {"per_page": PER_PAGE, **params}
        for _ in range(max_pages):
            response = self._call("GET", url, params=query)
            yield from _json(response)
            following = self._next(response.raw_response)
            if following is None:
                return
            url, query = following, {}
        log.warning("github.list_cut", pages=max_pages)

    def _next(self, response: httpx.Response) -> str | None:
        link = response.links.get("next", {}).get("url")
        if link is None:
            return None
        # The token goes to the host the operator named and to no other.
        target = httpx.URL(link)
        if (target.scheme, target.host, target.port) != (
            self._base.scheme,
            self._base.host,
            self._base.port,
        ):
            raise GitHubUnavailable("GitHub's list continues on another host: refused")
        return link

    def _call(
        self,
        method: str,
        path: str,
        params: Mapping[str, Any] | None = None,
        json: Any | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Response[Any]:
        try:
            response = self._request(method, path, params, json, headers)
        except (GitHubException, ValueError) as error:
            # ValueError: githubkit reads rate limit headers as numbers, whatever stands there.
            raise self._counted(method, failures.from_exception(error)) from error
        if not response.is_success and not (
            headers and response.status_code == httpx.codes.NOT_MODIFIED
        ):
            raise failures.from_response(response.raw_response)
        # Reads go on while writes are limited, so a read that succeeds says nothing of writes.
        self._limits[_kind(method)] = 0
        return response

    def _counted(self, method: str, error: TriageError) -> TriageError:
        if not isinstance(error, failures.SecondaryLimit):
            return error
        before = self._limits[_kind(method)]
        self._limits[_kind(method)] += 1
        return error.again(before)

    def _request(
        self,
        method: str,
        path: str,
        params: Mapping[str, Any] | None,
        json: Any | None,
        headers: Mapping[str, str] | None,
    ) -> Response[Any]:
        def once() -> Response[Any]:
            return self._github.request(
                method, path.lstrip("/"), params=params or None, json=json, headers=headers
            )

        try:
            return once()
        except GitHubException as error:
            failed = failures.failed_response(error)
            if failed is None or failed.status_code != 401:
                raise
        # The token was revoked before its time; githubkit would offer it until it expires.
        log.info("github.token_dropped")
        self.forget_token()
        if self._refused is not None:
            self._refused()
        return once()


def _kind(method: str) -> str:
    return "read" if method == "GET" else "write"


@cache
def _tls() -> ssl.SSLContext:
    # Building one costs tens of milliseconds; httpx would do it for every client.
    return httpx.create_ssl_context()


def _json(response: Response[Any]) -> Any:
    try:
        return response.json()
    except ValueError as error:
        raise GitHubUnavailable("GitHub's answer could not be read") from error
