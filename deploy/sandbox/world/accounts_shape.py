"""Accounts, repositories, Apps and installations as GitHub's REST API and webhooks show them."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from urllib.parse import quote

from deploy.sandbox.world.model import Account, App, Installation, Repository, Role, node_id
from deploy.sandbox.world.state import World

Shape = dict[str, Any]

# What hangs below a repository's API address, as (field, path). `{x}` is a URI template.
_REPOSITORY_LINKS = {
    "archive_url": "/{archive_format}{/ref}",
    "assignees_url": "/assignees{/user}",
    "blobs_url": "/git/blobs{/sha}",
    "branches_url": "/branches{/branch}",
    "collaborators_url": "/collaborators{/collaborator}",
    "comments_url": "/comments{/number}",
    "commits_url": "/commits{/sha}",
    "compare_url": "/compare/{base}...{head}",
    "contents_url": "/contents/{+path}",
    "contributors_url": "/contributors",
    "deployments_url": "/deployments",
    "downloads_url": "/downloads",
    "events_url": "/events",
    "forks_url": "/forks",
    "git_commits_url": "/git/commits{/sha}",
    "git_refs_url": "/git/refs{/sha}",
    "git_tags_url": "/git/tags{/sha}",
    "hooks_url": "/hooks",
    "issue_comment_url": "/issues/comments{/number}",
    "issue_events_url": "/issues/events{/number}",
    "issues_url": "/issues{/number}",
    "keys_url": "/keys{/key_id}",
    "labels_url": "/labels{/name}",
    "languages_url": "/languages",
    "merges_url": "/merges",
    "milestones_url": "/milestones{/number}",
    "notifications_url": "/notifications{?since,all,participating}",
    "pulls_url": "/pulls{/number}",
    "releases_url": "/releases{/id}",
    "stargazers_url": "/stargazers",
    "statuses_url": "/statuses/{sha}",
    "subscribers_url": "/subscribers",
    "subscription_url": "/subscription",
    "tags_url": "/tags",
    "teams_url": "/teams",
    "trees_url": "/git/trees{/sha}",
}


def stamp(time: datetime | None) -> str | None:
    """2026-11-23T05:35:39Z, or None."""
    return None if time is None else time.strftime("%Y-%m-%dT%H:%M:%SZ")


def api(world: World, path: str) -> str:
    """The API address of a path."""
    return f"{world.base_url}/api/v3{path}"


def page(world: World, path: str) -> str:
    """The address of a page."""
    return f"{world.base_url}{path}"


def account(world: World, who: Account) -> Shape:
    """A simple user."""
    login = quote(who.login)  # a bot's has brackets
    url = api(world, f"/users/{login}")
    return {
        "login": who.login,
        "id": who.id,
        "node_id": node_id(who.kind, who.id),
        "avatar_url": page(world, f"/_sandbox/avatar/{who.id}.svg"),
        "gravatar_id": "",
        "url": url,
        "html_url": page(world, f"/people/{login}"),
        "followers_url": f"{url}/followers",
        "following_url": f"{url}/following{{/other_user}}",
        "gists_url": f"{url}/gists{{/gist_id}}",
        "starred_url": f"{url}/starred{{/owner}}{{/repo}}",
        "subscriptions_url": f"{url}/subscriptions",
        "organizations_url": f"{url}/orgs",
        "repos_url": f"{url}/repos",
        "events_url": f"{url}/events{{/privacy}}",
        "received_events_url": f"{url}/received_events",
        "type": who.kind,
        "site_admin": False,
    }


def profile(world: World, who: Account) -> Shape:
    """A user with what stands on the profile, as /user and /users/{login} answer."""
    return account(world, who) | {
        "name": who.name,
        "company": None,
        "blog": "",
        "location": None,
        "email": None,
        "hireable": None,
        "bio": None,
        "public_repos": 0,
        "public_gists": 0,
        "followers": 0,
        "following": 0,
        "created_at": stamp(who.created),
        "updated_at": stamp(who.created),
    }


def collaborator(world: World, who: Account, role: Role | None) -> Shape:
    """The answer to «what may this person do here?»."""
    return {
        "permission": role.legacy if role else "none",
        "role_name": str(role) if role else "none",
        "user": account(world, who)
        | {"role_name": str(role) if role else "none", "permissions": permissions(role)},
    }


def permissions(role: Role | None) -> dict[str, bool]:
    """The five yes-or-no questions behind a role."""
    steps = {
        "pull": Role.READ,
        "triage": Role.TRIAGE,
        "push": Role.WRITE,
        "maintain": Role.MAINTAIN,
        "admin": Role.ADMIN,
    }
    return {name: role is not None and role.covers(least) for name, least in steps.items()}


def repository(
    world: World,
    repo: Repository,
    *,
    full: bool = False,
    webhook: bool = False,
    viewer_role: Role | None = None,
) -> Shape:
    """A repository: in a webhook, in a list, or in `full` as GET /repos/{owner}/{repo} has it."""
    url = api(world, f"/repos/{repo.full_name}")
    html = page(world, f"/{repo.full_name}")
    opened = sum(issue.state == "open" for issue in repo.issues.values())
    shape: Shape = {
        "id": repo.id,
        "node_id": node_id("Repository", repo.id),
        "name": repo.name,
        "full_name": repo.full_name,
        "owner": account(world, repo.owner),
        "private": repo.private,
        "visibility": "private" if repo.private else "public",
        "html_url": html,
        "description": repo.description,
        "fork": False,
        "url": url,
        **{name: url + path for name, path in _REPOSITORY_LINKS.items()},
        "clone_url": f"{html}.git",
        "git_url": html.replace("http", "git", 1) + ".git",
        "ssh_url": f"git@localhost:{repo.full_name}.git",
        "svn_url": html,
        "mirror_url": None,
        "homepage": None,
        "language": None,
        "license": None,
        "topics": [],
        "size": 0,
        "default_branch": repo.default_branch,
        "open_issues": opened,
        "open_issues_count": opened,
        "has_issues": repo.has_issues,
        "has_projects": False,
        "has_wiki": False,
        "has_pages": False,
        "has_downloads": False,
        "has_discussions": False,
        "archived": False,
        "disabled": False,
        "is_template": False,
        "allow_forking": True,
        "web_commit_signoff_required": False,
        "pushed_at": stamp(repo.updated),
        "created_at": stamp(repo.created),
        "updated_at": stamp(repo.updated),
        **dict.fromkeys(
            ("forks", "forks_count", "stargazers_count", "watchers", "watchers_count"), 0
        ),
    }
    if full:
        shape |= {"subscribers_count": 0, "network_count": 0}
    if not webhook:
        shape["permissions"] = permissions(viewer_role)
    return shape


def repository_stub(repo: Repository) -> Shape:
    """The five fields installation webhooks carry for each repository."""
    return {
        "id": repo.id,
        "node_id": node_id("Repository", repo.id),
        "name": repo.name,
        "full_name": repo.full_name,
        "private": repo.private,
    }


def app(world: World, it: App) -> Shape:
    """An App as `performed_via_github_app` names it."""
    return {
        "id": it.id,
        "slug": it.slug,
        "node_id": node_id("Integration", it.id),
        "owner": account(world, it.owner),
        "name": it.name,
        "description": None,
        "external_url": page(world, f"/apps/{it.slug}"),
        "html_url": page(world, f"/apps/{it.slug}"),
        "created_at": stamp(it.created),
        "updated_at": stamp(it.created),
        "permissions": it.permissions,
        "events": it.events,
    }


def installation(world: World, it: Installation) -> Shape:
    """An installation, as /app/installations lists it."""
    url = api(world, f"/app/installations/{it.id}")
    return {
        "id": it.id,
        "account": account(world, it.account),
        "repository_selection": "all" if it.repository_ids is None else "selected",
        "access_tokens_url": f"{url}/access_tokens",
        "repositories_url": api(world, "/installation/repositories"),
        "html_url": page(
            world, f"/organizations/{it.account.login}/settings/installations/{it.id}"
        ),
        "app_id": it.app.id,
        "app_slug": it.app.slug,
        "target_id": it.account.id,
        "target_type": it.account.kind,
        "permissions": it.permissions,
        "events": it.events,
        "created_at": stamp(it.created),
        "updated_at": stamp(it.updated),
        "single_file_name": it.app.single_files[0] if it.app.single_files else None,
        "has_multiple_single_files": len(it.app.single_files) > 1,
        "single_file_paths": list(it.app.single_files),
        "suspended_by": account(world, it.suspended_by) if it.suspended_by else None,
        "suspended_at": stamp(it.suspended),
    }
