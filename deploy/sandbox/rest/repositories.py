"""Repositories, people's permissions, files, and what GitHub says of itself and of people."""

from __future__ import annotations

import base64
import hashlib
from pathlib import PurePosixPath
from typing import Any

from deploy.sandbox.rest.auth import NOT_BY_INTEGRATION
from deploy.sandbox.rest.exchange import Refusal, Reply, not_found
from deploy.sandbox.rest.routing import ANYBODY, Call, Routes
from deploy.sandbox.world import accounts_shape as shape
from deploy.sandbox.world.model import Repository, Role

routes = Routes()


@routes.add("GET", "/zen", ANYBODY)
def zen(call: Call) -> Reply:
    """A sign of life."""
    return Reply(data="Practicality beats purity.")


@routes.add("GET", "/user")
def current_user(call: Call) -> Reply:
    """The person behind a personal token."""
    who = call.actor.account
    if who is None:
        raise Refusal(401, "Requires authentication")
    if call.actor.installation is not None:
        raise Refusal(403, NOT_BY_INTEGRATION)
    return Reply(data=shape.profile(call.world, who))


@routes.add("GET", "/users/{username}", ANYBODY)
def user(call: Call) -> Reply:
    """Anybody's public face; how an App learns the id of its own bot."""
    who = call.world.account(call.params["username"])
    if who is None:
        raise not_found()
    return Reply(data=shape.profile(call.world, who))


@routes.add("GET", "/repos/{owner}/{repo}", ANYBODY)
def get_repository(call: Call) -> Reply:
    """A repository by its name, or by its number once the dispatcher has looked that up."""
    repository = call.repository()
    role = call.actor.role(repository)
    return Reply(data=shape.repository(call.world, repository, full=True, viewer_role=role))


@routes.add("GET", "/repos/{owner}/{repo}/collaborators/{username}/permission")
def permission(call: Call) -> Reply:
    """What a person may do here. `permission` says "read" for triage; look into `user`."""
    repository = call.repository()
    call.need_role(repository, Role.WRITE)
    who = call.world.account(call.params["username"])
    if who is None:
        raise not_found()
    return Reply(data=shape.collaborator(call.world, who, repository.role_of(who)))


@routes.add("GET", "/repos/{owner}/{repo}/contents/{path}", ANYBODY)
def contents(call: Call) -> Reply:
    """A file of the default branch; single-file permission opens the named files only."""
    repository, path = call.repository(), call.params["path"]
    _check_file(call, repository, path)
    if call.query.get("ref") not in (None, "", repository.default_branch):
        raise Refusal(404, f"No commit found for the ref {call.query['ref']}")
    content = repository.files.get(path)
    if content is None:
        raise not_found()
    return Reply(data=_file(call, repository, path, content))


def _check_file(call: Call, repository: Repository, path: str) -> None:
    actor = call.actor
    if actor.installation is None or actor.granted("contents", "read"):
        return
    named = actor.app is not None and path in actor.app.single_files
    if not (named and actor.granted("single_file", "read") and actor.in_scope(repository)):
        raise Refusal(403, NOT_BY_INTEGRATION)


def _file(call: Call, repository: Repository, path: str, content: bytes) -> dict[str, Any]:
    sha = hashlib.sha1(b"blob %d\0" % len(content) + content, usedforsecurity=False).hexdigest()
    branch = repository.default_branch
    url = shape.api(call.world, f"/repos/{repository.full_name}/contents/{path}?ref={branch}")
    git = shape.api(call.world, f"/repos/{repository.full_name}/git/blobs/{sha}")
    html = shape.page(call.world, f"/{repository.full_name}/blob/{branch}/{path}")
    return {
        "type": "file",
        "encoding": "base64",
        "size": len(content),
        "name": PurePosixPath(path).name,
        "path": path,
        # GitHub breaks the lines, and ends with a line break.
        "content": base64.encodebytes(content).decode(),
        "sha": sha,
        "url": url,
        "git_url": git,
        "html_url": html,
        "download_url": shape.page(call.world, f"/{repository.full_name}/raw/{branch}/{path}"),
        "_links": {"self": url, "git": git, "html": html},
    }
