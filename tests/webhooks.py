"""Webhooks as GitHub sends them: signed over the raw body, with a GUID a delivery."""

from __future__ import annotations

import hashlib
import hmac
import json
from collections.abc import Mapping
from typing import Any
from uuid import uuid4

import httpx

SECRET = "a webhook secret for tests"
PATH = "/webhooks/github"


def sign(secret: str | bytes, body: bytes) -> str:
    """Value of X-Hub-Signature-256; written apart from app.github.signature, to test that."""
    key = secret.encode() if isinstance(secret, str) else secret
    return "sha256=" + hmac.new(key, body, hashlib.sha256).hexdigest()


def headers(event: str, body: bytes, *, guid: str | None = None, secret: str = SECRET) -> dict:
    """The headers of one delivery."""
    return {
        "X-GitHub-Event": event,
        "X-GitHub-Delivery": guid or str(uuid4()),
        "X-Hub-Signature-256": sign(secret, body),
        "Content-Type": "application/json",
        "User-Agent": "GitHub-Hookshot/test",
    }


def deliver(
    client: httpx.Client,
    event: str,
    payload: Mapping[str, Any] | bytes,
    *,
    guid: str | None = None,
    secret: str = SECRET,
    **more: str | None,
) -> httpx.Response:
    """Send one signed delivery. `more` headers replace (None: remove) those GitHub sends;
    underscores become dashes."""
    body = payload if isinstance(payload, bytes) else json.dumps(payload).encode()
    sent = headers(event, body, guid=guid, secret=secret)
    for name, value in more.items():
        name = name.replace("_", "-")
        sent = {k: v for k, v in sent.items() if k.lower() != name.lower()}
        if value is not None:
            sent[name] = value
    return client.post(PATH, content=body, headers=sent)


def actor(login: str = "ann", number: int = 101, kind: str = "User") -> dict[str, Any]:
    """A sender, author or owner."""
    return {"login": login, "id": number, "type": kind}


BOT = actor("triora[bot]", 900, "Bot")


def repository(number: int = 11, name: str = "octo/game", *, private: bool = False) -> dict:
    """A repository as events carry it."""
    owner = name.partition("/")[0]
    return {
        "id": number,
        "name": name.partition("/")[2],
        "full_name": name,
        "private": private,
        "owner": actor(owner, 100, "Organization"),
    }


def issue_event(
    action: str = "opened",
    *,
    number: int = 1,
    title: str = "Crash on start",
    body: str | None = "It crashes.",
    at: str = "2026-11-01T12:00:00Z",
    author: dict[str, Any] | None = None,
    sender: dict[str, Any] | None = None,
    label: str | None = None,
    installation: int | None = 5,
    repository: dict[str, Any] | None = None,
    changes: Mapping[str, Any] | None = None,
    **issue: Any,
) -> dict[str, Any]:
    """An `issues` event with the keys that matter. `issue` are further keys of the issue."""
    payload: dict[str, Any] = {
        "action": action,
        "issue": {
            "number": number,
            "title": title,
            "body": body,
            "user": author or actor(),
            "created_at": "2026-11-01T12:00:00Z",
            "updated_at": at,
            "state": "open",
            "labels": [],
            **issue,
        },
        "repository": repository if repository is not None else _REPOSITORY,
        "sender": sender or actor(),
    }
    if label is not None:
        payload["label"] = {"name": label, "color": "ededed"}
    if installation is not None:
        payload["installation"] = {"id": installation, "node_id": "x"}
    if changes is not None:
        payload["changes"] = changes
    elif action == "edited":
        payload["changes"] = {"title": {"from": "before"}}
    return payload


def installation_event(action: str, *, number: int = 5, **more: Any) -> dict[str, Any]:
    """An `installation` or `installation_repositories` event."""
    installation = {"id": number, "account": actor("octo", 100, "Organization")}
    installation |= more.pop("installation", {})
    return {"action": action, "installation": installation, "sender": actor(), **more}


_REPOSITORY = repository()
