"""Signs as the App, with a key that may be replaced while we run."""

from __future__ import annotations

import threading
from collections.abc import Callable, Generator
from dataclasses import dataclass
from typing import Any

import httpx
import structlog
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from githubkit import GitHubCore
from githubkit.auth import AppAuthStrategy, AppInstallationAuthStrategy, BaseAuthStrategy

from app.core.errors import ConfigProblem

log = structlog.get_logger()


class PrivateKey:
    """The App's key as PEM text; `read` gives it afresh, from its file if it stands in one."""

    def __init__(self, read: Callable[[], str]) -> None:
        """ConfigProblem if there is no key, or it is none."""
        self._read = read
        self._pem = _checked(read())
        self._lock = threading.Lock()

    @property
    def pem(self) -> str:
        """The key in use."""
        return self._pem

    def renew(self) -> None:
        """Take another key that stands there meanwhile; what is no key is left alone."""
        with self._lock:
            try:
                found = _checked(self._read())
            except ConfigProblem as error:
                # Half written, perhaps: the next refused call looks again.
                log.warning("github.key_unreadable", why=str(error))
                return
            if found != self._pem:
                self._pem = found
                log.info("github.key_replaced")


@dataclass
class Signing(BaseAuthStrategy):
    """The App itself, or one of its installations, signed in with whatever key is in use."""

    app_id: int
    key: PrivateKey
    installation_id: int | None = None

    def get_auth_flow(self, github: GitHubCore[Any]) -> httpx.Auth:
        """Signs each request anew, since githubkit's own keeps the key it began with."""
        return _EachRequest(lambda: self._now().get_auth_flow(github))

    def _now(self) -> AppAuthStrategy | AppInstallationAuthStrategy:
        if self.installation_id is None:
            return AppAuthStrategy(self.app_id, self.key.pem)
        return AppInstallationAuthStrategy(self.app_id, self.key.pem, self.installation_id)


class _EachRequest(httpx.Auth):
    def __init__(self, make: Callable[[], httpx.Auth]) -> None:
        self._make = make

    def sync_auth_flow(
        self, request: httpx.Request
    ) -> Generator[httpx.Request, httpx.Response, None]:
        yield from self._make().sync_auth_flow(request)


def read_key(private_key: str) -> RSAPrivateKey:
    """The RSA key of PEM text; ConfigProblem if it is none."""
    try:
        key = load_pem_private_key(private_key.encode(), password=None)
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        raise ConfigProblem(
            "TRIORA_PRIVATE_KEY is not a PEM private key: download a new one from the App's page"
        ) from error
    if not isinstance(key, RSAPrivateKey):
        raise ConfigProblem("TRIORA_PRIVATE_KEY is no RSA key: GitHub Apps sign with RSA")
    return key


def _checked(pem: str) -> str:
    read_key(pem)
    return pem
