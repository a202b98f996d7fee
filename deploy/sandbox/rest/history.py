"""What happened to issues: events, the timeline, and suggestions waiting for a person."""

from __future__ import annotations

from typing import Any

from deploy.sandbox.rest.exchange import Refusal, Reply, not_found
from deploy.sandbox.rest.routing import ANYBODY, Call, Routes
from deploy.sandbox.world import shapes
from deploy.sandbox.world.model import Comment, Event, Role, Suggestion

routes = Routes()
_ISSUE = "/repos/{owner}/{repo}/issues/{issue_number}"


@routes.add("GET", _ISSUE + "/events", ANYBODY)
def events(call: Call) -> Reply:
    """Events of an issue, oldest first; the actor's App stands on each."""
    return call.paged(call.issue().events, lambda event: shapes.event(call.world, event))


@routes.add("GET", "/repos/{owner}/{repo}/issues/events", ANYBODY)
def events_of_repository(call: Call) -> Reply:
    """Events of all issues, newest first."""
    repository = call.repository("issues")
    found = [event for issue in repository.issues.values() for event in issue.events]
    found.sort(key=lambda event: event.id, reverse=True)
    return call.paged(found, lambda event: shapes.event(call.world, event, with_issue=True))


@routes.add("GET", _ISSUE + "/timeline", ANYBODY)
def timeline(call: Call) -> Reply:
    """Events and comments of an issue in the order they came."""
    issue = call.issue()

    def shape(item: Event | Comment) -> dict[str, Any]:
        if isinstance(item, Comment):
            return shapes.timeline_comment(call.world, item)
        return shapes.event(call.world, item)

    items: list[Event | Comment] = [*issue.events, *issue.comments]
    return call.paged(sorted(items, key=lambda item: item.id), shape)


@routes.add("GET", _ISSUE + "/suggestions")
def suggestions(call: Call) -> Reply:
    """Pending suggestions, or those of the `state` asked for."""
    issue = call.issue()
    if not issue.repository.suggestions_enabled:
        raise not_found()
    call.need_role(issue.repository, Role.TRIAGE)
    state = call.query.get("state", "pending")
    chosen = [s for s in issue.suggestions if state in ("all", s.state)]
    return call.paged(chosen, shapes.suggestion)


def _pending(call: Call) -> Suggestion:
    issue, wanted = call.issue("write"), int(call.params["suggestion_id"])
    call.need_role(issue.repository, Role.TRIAGE)
    for suggestion in issue.suggestions:
        if suggestion.id == wanted:
            if suggestion.state != "pending":
                raise Refusal(422, "Suggestion is not pending")
            return suggestion
    raise not_found()


@routes.add("POST", _ISSUE + "/suggestions/{suggestion_id}/approve")
def approve(call: Call) -> Reply:
    """Approve: the label goes on in the approver's name."""
    suggestion = _pending(call)
    call.act.resolve(suggestion, approve=True)
    return Reply(data=shapes.suggestion(suggestion))


@routes.add("POST", _ISSUE + "/suggestions/{suggestion_id}/dismiss")
def dismiss(call: Call) -> Reply:
    """Dismiss: nothing goes on, and no webhook tells."""
    suggestion = _pending(call)
    call.act.resolve(suggestion, approve=False)
    return Reply(data=shapes.suggestion(suggestion))
