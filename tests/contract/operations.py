"""The operations of GitHub's REST API that Triora and its stand-in speak, and the webhooks."""

from __future__ import annotations

PACKAGE = "@octokit/openapi"
VERSION = "23.0.2"
INTEGRITY = "sha512-" + (
    "pV8M7L9GY23AybNvTmo2nyjmpmnt6+2sRE/tqr0ZLQcPS4lnw7u5eZGNmwRNkBC3D7gZXbFx5AHzLUVRBXGDhg=="
)

_REPO = "/repos/{owner}/{repo}"
_ISSUE = f"{_REPO}/issues/{{issue_number}}"
_COMMENT = f"{_REPO}/issues/comments/{{comment_id}}"

OPERATIONS = (
    "GET /zen",
    "GET /app",
    "GET /app/installations",
    "GET /app/installations/{installation_id}",
    "POST /app/installations/{installation_id}/access_tokens",
    "GET /app/hook/config",
    "PATCH /app/hook/config",
    "GET /app/hook/deliveries",
    "GET /app/hook/deliveries/{delivery_id}",
    "POST /app/hook/deliveries/{delivery_id}/attempts",
    "DELETE /installation/token",
    "GET /installation/repositories",
    "GET /orgs/{org}/installation",
    "GET /users/{username}/installation",
    "GET /user",
    "GET /user/installations",
    "GET /user/installations/{installation_id}/repositories",
    "GET /users/{username}",
    f"GET {_REPO}",
    f"GET {_REPO}/installation",
    f"GET {_REPO}/collaborators/{{username}}/permission",
    f"GET {_REPO}/contents/{{path}}",
    f"GET {_REPO}/issues",
    f"POST {_REPO}/issues",
    f"GET {_REPO}/issues/events",
    f"GET {_REPO}/issues/comments",
    f"GET {_COMMENT}",
    f"PATCH {_COMMENT}",
    f"DELETE {_COMMENT}",
    f"GET {_COMMENT}/reactions",
    f"POST {_COMMENT}/reactions",
    f"GET {_ISSUE}",
    f"PATCH {_ISSUE}",
    f"GET {_ISSUE}/comments",
    f"POST {_ISSUE}/comments",
    f"GET {_ISSUE}/events",
    f"GET {_ISSUE}/timeline",
    f"GET {_ISSUE}/labels",
    f"POST {_ISSUE}/labels",
    f"PUT {_ISSUE}/labels",
    f"DELETE {_ISSUE}/labels",
    f"DELETE {_ISSUE}/labels/{{name}}",
    f"GET {_ISSUE}/suggestions",
    f"POST {_ISSUE}/suggestions/{{suggestion_id}}/approve",
    f"POST {_ISSUE}/suggestions/{{suggestion_id}}/dismiss",
    f"GET {_REPO}/labels",
    f"POST {_REPO}/labels",
    f"GET {_REPO}/labels/{{name}}",
    f"PATCH {_REPO}/labels/{{name}}",
    f"DELETE {_REPO}/labels/{{name}}",
)

# event -> actions; the description names them event-action with dashes.
WEBHOOKS = {
    "ping": (None,),
    "installation": (
        "created",
        "deleted",
        "suspend",
        "unsuspend",
        "new_permissions_accepted",
    ),
    "installation_repositories": ("added", "removed"),
    "issues": (
        "opened",
        "edited",
        "labeled",
        "unlabeled",
        "closed",
        "reopened",
        "deleted",
        "transferred",
    ),
    "issue_comment": ("created", "edited", "deleted"),
    "label": ("created", "edited", "deleted"),
    "repository": ("renamed", "transferred", "deleted"),
}


def webhook_name(event: str, action: str | None) -> str:
    """`issues` and `opened` as the description writes them: issues-opened."""
    return "-".join(part for part in (event, action) if part).replace("_", "-")
