"""The stand-in's books: each issue with everything that happened to it, for harnesses that count.

Ids grow, and the journal's marks are drawn from them too: so all that happened has one order.
"""

from __future__ import annotations

import json
from collections import defaultdict
from typing import TYPE_CHECKING, Any

from fastapi import APIRouter

from deploy.sandbox.world.model import Issue

if TYPE_CHECKING:
    from deploy.sandbox.standin import StandIn


def router(standin: StandIn) -> APIRouter:
    """GET /_sandbox/books over one stand-in."""
    routes = APIRouter(prefix="/_sandbox")

    @routes.get("/books")
    async def books() -> list[dict[str, Any]]:
        attempts = _attempts(standin)
        return [
            _entry(issue, attempts[repository.id, issue.number])
            for repository in standin.world.repositories.values()
            for issue in repository.issues.values()
            if not issue.is_pull_request
        ]

    return routes


def _attempts(standin: StandIn) -> dict[tuple[int | None, int], list[int]]:
    """(repository, issue) -> the answers that its being opened got."""
    found: dict[tuple[int | None, int], list[int]] = defaultdict(list)
    for delivery in standin.hooks.deliveries:
        if (delivery.event, delivery.action) == ("issues", "opened"):
            number = json.loads(delivery.payload)["issue"]["number"]
            found[delivery.repository_id, number].append(delivery.status_code)
    return found


def _entry(issue: Issue, attempts: list[int]) -> dict[str, Any]:
    return {
        "repository": issue.repository.full_name,
        "repository_id": issue.repository.id,
        "number": issue.number,
        "title": issue.title,
        "body": issue.body or "",
        "state": issue.state,
        "labels": [label.name for label in issue.labels],
        "opened_deliveries": attempts,
        "events": [
            {
                "id": event.id,
                "at": event.created.isoformat(),
                "event": event.kind,
                "label": event.label[0] if event.label else None,
                "actor": event.actor.login,
                "by_app": event.via is not None,
            }
            for event in issue.events
        ],
    }
