"""The App as a client of the stand-in: signs its JWT, asks for tokens, sends plain requests."""

from __future__ import annotations

import ssl
import time
from typing import Any

import httpx
import jwt

from deploy.sandbox.remote import PROJECT
from deploy.sandbox.sandbox import Sandbox
from tests.contract.judge import DELIBERATE

REPO = f"/repos/{PROJECT}"
AGENT = "triora-tests"
# Plain HTTP only; reading the system's authorities for each request would take most of the time.
NO_TLS = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)


def signed(github: Sandbox, key: str | None = None, algorithm: str = "RS256", **claims: Any) -> str:
    """The App's JWT; a claim given as None is left out."""
    now = int(time.time())
    payload = {"iss": str(github.app_id), "iat": now - 60, "exp": now + 540, **claims}
    present = {name: value for name, value in payload.items() if value is not None}
    return jwt.encode(present, key or github.private_key, algorithm=algorithm)


def call(
    github: Sandbox,
    method: str,
    path: str,
    token: str | None = None,
    *,
    wrong: bool = False,
    **options: Any,
) -> httpx.Response:
    """One request, following nothing. `wrong` marks a request that is meant to be refused."""
    headers = {"user-agent": AGENT, **options.pop("headers", {})}
    if token:
        headers["authorization"] = f"Bearer {token}"
    if wrong:
        headers[DELIBERATE] = "1"
    with httpx.Client(trust_env=False, timeout=30, verify=NO_TLS) as client:
        return client.request(method, github.api_url + path, headers=headers, **options)


def installation_token(github: Sandbox, **narrowed: Any) -> str:
    """A token of the sample project's installation."""
    path = f"/app/installations/{github.installation_id}/access_tokens"
    answer = call(github, "POST", path, signed(github), json=narrowed)
    answer.raise_for_status()
    return str(answer.json()["token"])
