"""Signed deliveries by the hundred thousand: each another issue, GUID and signature.

What is the same in all of them comes first in the body, and the state of the signature after it is
copied. So a delivery costs its sender microseconds, and need not be made before the measurement.
"""

from __future__ import annotations

import hashlib
import hmac
import json
from dataclasses import dataclass
from typing import Any

from tests.contract.webhook_examples import load

REPOSITORIES = 20
_TEXT = (
    "After the second checkpoint the game freezes for about ten seconds, then closes without a "
    "message.\n\n### Steps\n1. Start a new game\n2. Reach level {number}\n3. Open the map\n\n"
    "### Expected\nThe map opens.\n\n```\nTraceback: index {number} out of range\n```\n"
)


@dataclass(frozen=True)
class Delivery:
    """One webhook call. `parts` are what goes over the wire, one after the other."""

    guid: str
    repository: int
    number: int
    parts: tuple[bytes, bytes, bytes]


class Deliveries:
    """GitHub's own example of an opened issue (12 KB), as deliveries of 20 repositories."""

    def __init__(self, secret: str, path: str, host: str) -> None:
        self._request = (
            f"POST {path} HTTP/1.1\r\nHost: {host}\r\nAccept: */*\r\n"
            "User-Agent: GitHub-Hookshot/044aadd\r\nContent-Type: application/json\r\n"
            "X-GitHub-Event: issues\r\nX-GitHub-Hook-ID: 292430182\r\n"
            "X-GitHub-Hook-Installation-Target-ID: 79929171\r\n"
            "X-GitHub-Hook-Installation-Target-Type: integration\r\n"
        )
        self._beginnings = [_beginning(place + 1) for place in range(REPOSITORIES)]
        self._signed = [
            hmac.new(secret.encode(), beginning, hashlib.sha256) for beginning in self._beginnings
        ]

    def make(self, number: int) -> Delivery:
        """The delivery of that number, which is its issue's as well."""
        place = number % REPOSITORIES
        title = json.dumps(f"Freeze and crash when the map is opened in level {number}")
        body = json.dumps(_TEXT.format(number=number))
        rest = f'"number":{number},"title":{title},"body":{body}}}}}'.encode()
        signed = self._signed[place].copy()
        signed.update(rest)
        guid = f"72d3162e-cc78-11e3-81ab-{number:012x}"
        head = (
            f"{self._request}X-GitHub-Delivery: {guid}\r\n"
            f"X-Hub-Signature-256: sha256={signed.hexdigest()}\r\n"
            f"Content-Length: {len(self._beginnings[place]) + len(rest)}\r\n\r\n"
        )
        return Delivery(guid, place + 1, number, (head.encode(), self._beginnings[place], rest))


def _beginning(repository: int) -> bytes:
    """The JSON of an opened issue up to what differs from issue to issue."""
    payload = _example()
    payload["installation"] = {"id": 1 + repository % 4, "node_id": "MDIzOkludGVncmF0aW9u"}
    payload["repository"] |= {"id": repository, "full_name": f"octo/game-{repository}"}
    issue = payload.pop("issue")
    for key in ("number", "title", "body"):
        del issue[key]
    return json.dumps({**payload, "issue": issue}, separators=(",", ":"))[:-2].encode() + b","


def _example() -> dict[str, Any]:
    found = (
        example.payload
        for example in load()
        if (example.server, example.event) == ("api.github.com", "issues")
        and example.payload["action"] == "opened"
    )
    return dict(next(found))
