"""Comments on issues, and reactions to them."""

from __future__ import annotations

from deploy.sandbox.rest.exchange import Reply, invalid, not_found
from deploy.sandbox.rest.routing import ANYBODY, Call, Routes
from deploy.sandbox.world import shapes
from deploy.sandbox.world.model import Comment, Repository, Role

routes = Routes()
LONGEST = 65536
_ON_ISSUE = "/repos/{owner}/{repo}/issues/{issue_number}/comments"
_ONE = "/repos/{owner}/{repo}/issues/comments/{comment_id}"


def _text(call: Call) -> str:
    body = call.fields().get("body")
    if not isinstance(body, str) or not body.strip():
        raise invalid("IssueComment", "body", "missing_field")
    if len(body) > LONGEST:
        raise invalid("IssueComment", "body", "too_long")
    return body


def _all(repository: Repository) -> list[Comment]:
    return [comment for issue in repository.issues.values() for comment in issue.comments]


def _one(call: Call, level: str = "read") -> Comment:
    wanted = int(call.params["comment_id"])
    for comment in _all(call.repository("issues", level)):
        if comment.id == wanted:
            return comment
    raise not_found()


def _newer(call: Call, comments: list[Comment]) -> list[Comment]:
    since = call.since()
    return [comment for comment in comments if since is None or comment.updated >= since]


@routes.add("GET", _ON_ISSUE, ANYBODY)
def list_on_issue(call: Call) -> Reply:
    """Comments of an issue, oldest first."""
    chosen = _newer(call, call.issue().comments)
    return call.paged(chosen, lambda comment: shapes.comment(call.world, comment))


@routes.add("GET", "/repos/{owner}/{repo}/issues/comments", ANYBODY)
def list_in_repository(call: Call) -> Reply:
    """Comments of all issues."""
    chosen = sorted(_newer(call, _all(call.repository("issues"))), key=lambda comment: comment.id)
    if call.query.get("direction") == "desc":
        chosen.reverse()
    return call.paged(chosen, lambda comment: shapes.comment(call.world, comment))


@routes.add("POST", _ON_ISSUE)
def create(call: Call) -> Reply:
    """Say something."""
    issue = call.issue("write")
    call.need_role(issue.repository, Role.READ)
    shape = shapes.comment(call.world, call.act.comment(issue, _text(call)))
    return Reply(201, shape, {"location": shape["url"]})


@routes.add("GET", _ONE, ANYBODY)
def get(call: Call) -> Reply:
    """One comment."""
    return Reply(data=shapes.comment(call.world, _one(call)))


def _own(call: Call) -> Comment:
    comment = _one(call, "write")
    if comment.author is not call.actor.account:
        call.need_role(comment.issue.repository, Role.WRITE)
    return comment


@routes.add("PATCH", _ONE)
def change(call: Call) -> Reply:
    """Change what was said."""
    comment = _own(call)
    call.act.edit_comment(comment, _text(call))
    return Reply(data=shapes.comment(call.world, comment))


@routes.add("DELETE", _ONE)
def delete(call: Call) -> Reply:
    """Take it back."""
    call.act.delete_comment(_own(call))
    return Reply(204)


@routes.add("GET", _ONE + "/reactions", ANYBODY)
def list_reactions(call: Call) -> Reply:
    """Reactions to a comment."""
    wanted = call.query.get("content")
    given = [r for r in _one(call).reactions if wanted in (None, r.content)]
    return call.paged(given, lambda reaction: shapes.reaction(call.world, reaction))


@routes.add("POST", _ONE + "/reactions")
def react(call: Call) -> Reply:
    """React; the same reaction again is answered 200 with the first one."""
    comment, content = _one(call, "write"), call.fields().get("content")
    if content not in shapes.REACTIONS:
        raise invalid("Reaction", "content", value=content)
    reaction, new = call.act.react(comment, content)
    return Reply(201 if new else 200, shapes.reaction(call.world, reaction))
