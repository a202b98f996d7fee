"""Issues, labels, comments and events as GitHub's REST API and webhooks show them."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

from deploy.sandbox.world.accounts_shape import account, api, app, page, repository, stamp
from deploy.sandbox.world.model import (
    Account,
    Comment,
    Event,
    Issue,
    Label,
    Reaction,
    Repository,
    Role,
    Suggestion,
    node_id,
)
from deploy.sandbox.world.state import World

__all__ = [
    "association",
    "comment",
    "event",
    "issue",
    "label",
    "reaction",
    "repository",
    "suggestion",
    "timeline_comment",
]

Shape = dict[str, Any]

REACTIONS = ("+1", "-1", "laugh", "confused", "heart", "hooray", "rocket", "eyes")


def association(repo: Repository, who: Account) -> str:
    """How an author stands to the repository."""
    if who is repo.owner:
        return "OWNER"
    role = repo.roles.get(who.login.casefold(), Role.READ)
    if role.covers(Role.MAINTAIN):
        return "MEMBER"
    return "COLLABORATOR" if role.covers(Role.TRIAGE) else "NONE"


def label(world: World, repo: Repository, it: Label) -> Shape:
    """A label of a repository, also where it stands on an issue."""
    return {
        "id": it.id,
        "node_id": node_id("Label", it.id),
        "url": api(world, f"/repos/{repo.full_name}/labels/{quote(it.name, safe='')}"),
        "name": it.name,
        "color": it.color,
        "default": it.default,
        "description": it.description,
        # New in 2026: githubkit's latest models require both.
        "archived_at": None,
        "archived_by": None,
    }


def _reactions(url: str, given: list[Reaction]) -> Shape:
    counts = {kind: sum(r.content == kind for r in given) for kind in REACTIONS}
    return {"url": f"{url}/reactions", "total_count": len(given), **counts}


def issue(world: World, it: Issue, *, webhook: bool = False) -> Shape:
    """An issue. Pull requests carry the key `pull_request`, by which clients tell them apart."""
    repo = it.repository
    url = api(world, f"/repos/{repo.full_name}/issues/{it.number}")
    kind = "pull" if it.is_pull_request else "issues"
    html = page(world, f"/{repo.full_name}/{kind}/{it.number}")
    shape: Shape = {
        "id": it.id,
        "node_id": node_id("Issue", it.id),
        "url": url,
        "repository_url": api(world, f"/repos/{repo.full_name}"),
        "labels_url": f"{url}/labels{{/name}}",
        "comments_url": f"{url}/comments",
        "events_url": f"{url}/events",
        "timeline_url": f"{url}/timeline",
        "html_url": html,
        "number": it.number,
        "title": it.title,
        "user": account(world, it.author),
        "labels": [label(world, repo, x) for x in it.labels],
        "state": it.state,
        "state_reason": it.state_reason,
        "locked": False,
        "active_lock_reason": None,
        "assignee": None,
        "assignees": [],
        "milestone": None,
        "comments": len(it.comments),
        "created_at": stamp(it.created),
        "updated_at": stamp(it.updated),
        "closed_at": stamp(it.closed),
        "author_association": association(repo, it.author),
        "body": it.body,
        "reactions": _reactions(url, []),
        "performed_via_github_app": app(world, it.via) if it.via else None,
    }
    if not webhook:
        shape["closed_by"] = account(world, it.closed_by) if it.closed_by else None
    if it.is_pull_request:
        shape["draft"] = False
        shape["pull_request"] = {
            "url": api(world, f"/repos/{repo.full_name}/pulls/{it.number}"),
            "html_url": html,
            "diff_url": f"{html}.diff",
            "patch_url": f"{html}.patch",
            "merged_at": None,
        }
    return shape


def comment(world: World, it: Comment) -> Shape:
    """A comment on an issue."""
    repo = it.issue.repository
    url = api(world, f"/repos/{repo.full_name}/issues/comments/{it.id}")
    return {
        "id": it.id,
        "node_id": node_id("IssueComment", it.id),
        "url": url,
        "html_url": page(world, f"/{repo.full_name}/issues/{it.issue.number}#comment-{it.id}"),
        "issue_url": api(world, f"/repos/{repo.full_name}/issues/{it.issue.number}"),
        "body": it.body,
        "user": account(world, it.author),
        "created_at": stamp(it.created),
        "updated_at": stamp(it.updated),
        "author_association": association(repo, it.author),
        "reactions": _reactions(url, it.reactions),
        "performed_via_github_app": app(world, it.via) if it.via else None,
    }


def reaction(world: World, it: Reaction) -> Shape:
    """A reaction to a comment."""
    return {
        "id": it.id,
        "node_id": node_id("Reaction", it.id),
        "user": account(world, it.author),
        "content": it.content,
        "created_at": stamp(it.created),
    }


def event(world: World, it: Event, *, with_issue: bool = False) -> Shape:
    """An item of an issue's events or timeline; `with_issue` for the repository's list."""
    repo = it.issue.repository
    shape: Shape = {
        "id": it.id,
        "node_id": node_id("Event", it.id),
        "url": api(world, f"/repos/{repo.full_name}/issues/events/{it.id}"),
        "actor": account(world, it.actor),
        "event": it.kind,
        "commit_id": None,
        "commit_url": None,
        "created_at": stamp(it.created),
        "performed_via_github_app": app(world, it.via) if it.via else None,
    }
    if it.label:
        shape["label"] = {"name": it.label[0], "color": it.label[1]}
    if it.rename:
        shape["rename"] = {"from": it.rename[0], "to": it.rename[1]}
    if it.kind == "closed":
        shape["state_reason"] = it.state_reason
    if with_issue:
        shape["issue"] = issue(world, it.issue)
    return shape


def timeline_comment(world: World, it: Comment) -> Shape:
    """A comment as it stands in the timeline."""
    return comment(world, it) | {"event": "commented", "actor": account(world, it.author)}


def suggestion(it: Suggestion) -> Shape:
    """A proposed label."""
    return {
        "id": it.id,
        "issue_id": it.issue.id,
        "action": "add_label",
        "state": it.state,
        "target_id": it.label.id,
        "target_value": None,
        "rationale": it.rationale,
        "confidence": it.confidence.upper() if it.confidence else None,
        "actor_id": it.actor.id,
        "issue_event_id": it.event_id,
        "resolved_by": it.resolved_by.id if it.resolved_by else None,
        "created_at": stamp(it.created),
        "updated_at": stamp(it.updated),
    }
