"""The App, its installations and their tokens."""

from __future__ import annotations

from deploy.sandbox.rest.exchange import Refusal, Reply, not_found
from deploy.sandbox.rest.routing import APP, TOKEN, Call, Routes
from deploy.sandbox.world import accounts_shape as shape
from deploy.sandbox.world.model import App, Installation, Repository

routes = Routes()
_RANK = {"read": 1, "write": 2, "admin": 3}


def _app(call: Call) -> App:
    if call.actor.app is None:
        raise not_found()
    return call.actor.app


def _installations(call: Call) -> list[Installation]:
    app = _app(call)
    return [it for it in call.world.installations.values() if it.app is app]


@routes.add("GET", "/app", APP)
def the_app(call: Call) -> Reply:
    """Who am I?"""
    app, count = _app(call), len(_installations(call))
    told = {"client_id": app.client_id, "installations_count": count}
    return Reply(data=shape.app(call.world, app) | told)


@routes.add("GET", "/app/installations", APP)
def list_installations(call: Call) -> Reply:
    """Where the App is installed."""
    return call.paged(_installations(call), lambda it: shape.installation(call.world, it))


def _installation(call: Call) -> Installation:
    wanted = int(call.params["installation_id"])
    for installation in _installations(call):
        if installation.id == wanted:
            return installation
    raise not_found()


@routes.add("GET", "/app/installations/{installation_id}", APP)
def get_installation(call: Call) -> Reply:
    """One installation."""
    return Reply(data=shape.installation(call.world, _installation(call)))


@routes.add("GET", "/repos/{owner}/{repo}/installation", APP)
def installation_of_repository(call: Call) -> Reply:
    """The App's installation that covers a repository."""
    # The JWT sees a private repository only through an installation.
    owner, name = call.params["owner"], call.params["repo"]
    found = call.world.repository(owner, name)
    if found is None:
        call.redirect(owner, name)
    for installation in _installations(call):
        if found is not None and installation.covers(found):
            return Reply(data=shape.installation(call.world, installation))
    raise not_found()


def _installation_of_account(call: Call, login: str) -> Reply:
    for installation in _installations(call):
        if installation.account.login.casefold() == login.casefold():
            return Reply(data=shape.installation(call.world, installation))
    raise not_found()


@routes.add("GET", "/orgs/{org}/installation", APP)
def installation_of_organization(call: Call) -> Reply:
    """The App's installation on an organization."""
    return _installation_of_account(call, call.params["org"])


@routes.add("GET", "/users/{username}/installation", APP)
def installation_of_user(call: Call) -> Reply:
    """The App's installation on a person's account."""
    return _installation_of_account(call, call.params["username"])


@routes.add("POST", "/app/installations/{installation_id}/access_tokens", APP)
def create_token(call: Call) -> Reply:
    """A token for an installation, narrowed to repositories and permissions on request."""
    installation, wanted = _installation(call), call.fields()
    if installation.suspended:
        raise Refusal(403, "This installation has been suspended")
    repositories = _narrowed(call, installation, wanted)
    permissions = wanted.get("permissions") or dict(installation.permissions)
    _check_permissions(installation, permissions)
    ids = None if repositories is None else frozenset(r.id for r in repositories)
    token = call.tokens.for_installation(installation, ids, permissions)
    selected = repositories is not None or installation.repository_ids is not None
    answer = {
        "token": token.text,
        "expires_at": shape.stamp(token.expires),
        "permissions": permissions,
        "repository_selection": "selected" if selected else "all",
    }
    if repositories is not None:
        answer["repositories"] = [shape.repository(call.world, r) for r in repositories]
    return Reply(201, answer)


def _narrowed(
    call: Call, installation: Installation, wanted: dict[str, list[object]]
) -> list[Repository] | None:
    names = {str(name).casefold() for name in wanted.get("repositories") or []}
    ids = set(wanted.get("repository_ids") or [])
    if not names and not ids:
        return None
    covered = call.world.repositories_of(installation)
    chosen = [r for r in covered if r.name.casefold() in names or r.id in ids]
    known_names, known_ids = {r.name.casefold() for r in chosen}, {r.id for r in chosen}
    if not names <= known_names or not ids <= known_ids:
        raise Refusal(
            422,
            "There is at least one repository that does not exist or is not accessible to the"
            " parent installation.",
        )
    return chosen


def _check_permissions(installation: Installation, wanted: dict[str, str]) -> None:
    for name, level in wanted.items():
        held = installation.permissions.get(name, "")
        if _RANK.get(held, 0) < _RANK.get(level, 9):
            raise Refusal(422, "The permissions requested are not granted to this installation.")


@routes.add("DELETE", "/installation/token", TOKEN)
def revoke_token(call: Call) -> Reply:
    """Revoke the token that asks."""
    if call.actor.installation is None or call.actor.token is None:
        raise Refusal(403, "You must authenticate with an installation access token")
    call.actor.token.revoked = True
    return Reply(204)


@routes.add("GET", "/installation/repositories", TOKEN)
def installation_repositories(call: Call) -> Reply:
    """The repositories the asking token reaches."""
    installation = call.actor.installation
    if installation is None:
        raise Refusal(403, "You must authenticate with an installation access token")
    reached = [r for r in call.world.repositories_of(installation) if call.actor.in_scope(r)]
    return call.paged(reached, lambda r: shape.repository(call.world, r), "repositories")


@routes.add("GET", "/user/installations", TOKEN)
def installations_for_person(call: Call) -> Reply:
    """Installations on accounts where the person may do something."""
    visible = [it for it in call.world.installations.values() if _reached(call, it)]
    return call.paged(visible, lambda it: shape.installation(call.world, it), "installations")


@routes.add("GET", "/user/installations/{installation_id}/repositories", TOKEN)
def installation_repositories_for_person(call: Call) -> Reply:
    """Repositories of an installation that the person can reach."""
    found = call.world.installations.get(int(call.params["installation_id"]))
    if found is None or not _reached(call, found):
        raise not_found()

    def shown(repository: Repository) -> object:
        return shape.repository(call.world, repository, viewer_role=call.actor.role(repository))

    return call.paged(_reached(call, found), shown, "repositories")


def _reached(call: Call, installation: Installation) -> list[Repository]:
    who = call.actor
    if who.account is None or who.installation is not None:
        raise Refusal(403, "You must authenticate with an access token authorized to a GitHub App")
    login = who.account.login.casefold()
    return [
        repository
        for repository in call.world.repositories_of(installation)
        if login in repository.roles or repository.owner is who.account
    ]
