"""Issues: list, read, open, change."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from deploy.sandbox.rest.exchange import Refusal, Reply, invalid
from deploy.sandbox.rest.labels import names_of
from deploy.sandbox.rest.routing import ANYBODY, Call, Routes
from deploy.sandbox.world import shapes
from deploy.sandbox.world.model import Issue, Repository, Role

routes = Routes()
LONGEST_TITLE = 1024
LONGEST_BODY = 65536
_SORTS = {
    "created": lambda issue: (issue.created, issue.number),
    "updated": lambda issue: (issue.updated, issue.number),
    "comments": lambda issue: (len(issue.comments), issue.number),
}


@routes.add("GET", "/repos/{owner}/{repo}/issues", ANYBODY)
def list_issues(call: Call) -> Reply:
    """Issues and pull requests by state, labels, author and time, newest first."""
    repository = call.repository("issues")
    if not repository.has_issues:
        raise Refusal(410, "Issues are disabled for this repo")
    return call.paged(_ordered(call, repository), lambda issue: shapes.issue(call.world, issue))


def _ordered(call: Call, repository: Repository) -> list[Issue]:
    since = call.since()
    chosen = [issue for issue in repository.issues.values() if _fits(call, issue, since)]
    key = _SORTS.get(call.query.get("sort", "created"))
    if key is None:
        raise invalid("Issue", "sort", value=call.query["sort"])
    return sorted(chosen, key=key, reverse=call.query.get("direction", "desc") != "asc")


def _fits(call: Call, issue: Issue, since: datetime | None) -> bool:
    query = call.query
    if query.get("state", "open") not in ("all", issue.state):
        return False
    if since is not None and issue.updated < since:
        return False
    creator = query.get("creator")
    if creator and issue.author.login.casefold() != creator.casefold():
        return False
    wanted = [name for name in query.get("labels", "").split(",") if name]
    return all(issue.has(name) for name in wanted)


@routes.add("POST", "/repos/{owner}/{repo}/issues")
def create_issue(call: Call) -> Reply:
    """Open an issue. Labels are dropped in silence when the author may not set any."""
    repository = call.repository("issues", "write")
    call.need_role(repository, Role.READ)
    if not repository.has_issues:
        raise Refusal(410, "Issues are disabled for this repo")
    wanted = call.fields()
    title, body = _title(wanted, required=True), _body(wanted)
    labels = names_of(wanted.get("labels") or []) if _may_label(call, repository) else []
    issue = call.act.open(repository, title or "", body, labels)
    location = shapes.issue(call.world, issue)
    return Reply(201, location, {"location": location["url"]})


def _title(wanted: dict[str, Any], *, required: bool = False) -> str | None:
    title = wanted.get("title")
    if title is None and not required:
        return None
    if title is None or not str(title).strip():
        raise invalid("Issue", "title", "missing_field")
    if len(str(title)) > LONGEST_TITLE:
        raise invalid("Issue", "title", "too_long")
    return str(title)


def _body(wanted: dict[str, Any]) -> str | None:
    body = wanted.get("body")
    if body is not None and not isinstance(body, str):
        raise invalid("Issue", "body", "invalid", body)
    if body is not None and len(body) > LONGEST_BODY:
        raise invalid("Issue", "body", "too_long")
    return body


def _may_label(call: Call, repository: Repository) -> bool:
    if call.actor.installation is not None:
        return True
    role = call.actor.role(repository)
    return role is not None and role.covers(Role.TRIAGE)


@routes.add("GET", "/repos/{owner}/{repo}/issues/{issue_number}", ANYBODY)
def get_issue(call: Call) -> Reply:
    """One issue."""
    return Reply(data=shapes.issue(call.world, call.issue()))


@routes.add("PATCH", "/repos/{owner}/{repo}/issues/{issue_number}")
def change_issue(call: Call) -> Reply:
    """Change title, body, state or the whole set of labels; authors may change their own."""
    issue, wanted = call.issue("write"), call.fields()
    if call.actor.account is not issue.author:
        call.need_role(issue.repository, Role.TRIAGE)
    title, body, state = _title(wanted), _body(wanted), wanted.get("state")
    if state not in (None, "open", "closed"):
        raise invalid("Issue", "state", value=state)
    act = call.act
    act.edit(issue, title=title, body=body)
    if wanted.get("labels") is not None and _may_label(call, issue.repository):
        act.set_labels(issue, names_of(wanted["labels"]))
    if state == "closed":
        act.close(issue, wanted.get("state_reason") or "completed")
    elif state == "open":
        act.reopen(issue)
    return Reply(data=shapes.issue(call.world, issue))
