"""One request and its answer, as routes see it and as the journal keeps it."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qsl

DOCS = "https://docs.github.com/rest"


@dataclass
class Reply:
    """An answer: status, JSON data (None for an empty body), further headers."""

    status: int = 200
    data: Any = None
    headers: dict[str, str] = field(default_factory=dict)

    def body(self) -> bytes:
        """The bytes to send."""
        if self.data is None:
            return b""
        return json.dumps(self.data, ensure_ascii=False, separators=(",", ":")).encode()


class Refusal(Exception):
    """An answer that is an error, raised from anywhere below the dispatcher."""

    def __init__(
        self,
        status: int,
        message: str,
        *,
        errors: list[dict[str, Any]] | None = None,
        headers: dict[str, str] | None = None,
        extra: dict[str, Any] | None = None,
    ) -> None:
        super().__init__(message)
        data: dict[str, Any] = {"message": message}
        if errors is not None:
            data["errors"] = errors
        data |= {"documentation_url": DOCS, "status": str(status)} | (extra or {})
        self.reply = Reply(status, data, dict(headers or {}))


def not_found() -> Refusal:
    """404, also for what the caller may not even know of."""
    return Refusal(404, "Not Found")


def invalid(resource: str, name: str, code: str = "invalid", value: Any = None) -> Refusal:
    """422 with GitHub's list of what is wrong."""
    error: dict[str, Any] = {"resource": resource, "code": code, "field": name}
    if value is not None:
        error["value"] = value
    return Refusal(422, "Validation Failed", errors=[error])


@dataclass(frozen=True)
class Exchange:
    """A finished request, for the journal and for observers.

    template: the route in GitHub's own words (`/repos/{owner}/{repo}/issues`), None if there is
    none. fate: what became of the answer: `answered`, or what a fault did to it. mark: a number
    above the ids of all that was there when it was answered, and below those of what came later.
    """

    number: int
    method: str
    path: str
    query: str
    template: str | None
    request_headers: dict[str, str]
    request_body: bytes
    actor: str
    status: int
    response_headers: dict[str, str]
    response_body: bytes
    fate: str = "answered"
    applied: bool = True
    at: str = ""
    mark: int = 0

    @property
    def parameters(self) -> list[tuple[str, str]]:
        """The query as pairs."""
        return parse_qsl(self.query, keep_blank_values=True)

    def summary(self) -> dict[str, Any]:
        """The journal's line: what was asked by whom, what came back. No headers, no tokens."""
        body = None
        if self.request_body and "access_tokens" not in self.path:
            body = json.loads(self.request_body) if _is_json(self.request_body) else None
        return {
            "number": self.number,
            "at": self.at,
            "mark": self.mark,
            "method": self.method,
            "path": self.path,
            "query": self.query,
            "route": self.template,
            "actor": self.actor,
            "status": self.status,
            "fate": self.fate,
            "applied": self.applied,
            "body": body,
        }


def _is_json(body: bytes) -> bool:
    try:
        json.loads(body)
    except ValueError:
        return False
    return True
