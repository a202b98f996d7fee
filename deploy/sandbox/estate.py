"""Control over repositories and installations: what owners do on GitHub's settings pages."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from fastapi import APIRouter, HTTPException, Request
from pydantic import BaseModel, ConfigDict

from deploy.sandbox import seed
from deploy.sandbox.world import accounts_shape as shape
from deploy.sandbox.world import shapes
from deploy.sandbox.world.acts import Act
from deploy.sandbox.world.model import Account, Installation, Issue, Occurrence, Repository, Role

if TYPE_CHECKING:
    from deploy.sandbox.standin import StandIn


class Body(BaseModel):
    """Unknown keys are mistakes."""

    model_config = ConfigDict(extra="forbid")


class NewRepository(Body):
    """A repository to make, and who may do what there."""

    full_name: str
    private: bool = False
    description: str | None = None
    roles: dict[str, Role] = {}
    labels: list[str] = []


class RepositoryChange(Body):
    """What to change: a new name or owner sends the webhook and leaves a redirect behind."""

    name: str | None = None
    owner: str | None = None
    has_issues: bool | None = None
    private: bool | None = None
    suggestions_enabled: bool | None = None
    roles: dict[str, Role] | None = None


class NewInstallation(Body):
    """Where to install the App; `repositories` null is all of the account's."""

    account: str
    repositories: list[str] | None = None


class InstallationChange(Body):
    """What to change of an installation, each with its webhook."""

    suspended: bool | None = None
    add: list[str] = []
    remove: list[str] = []
    permissions: dict[str, str] | None = None


class NewPullRequest(Body):
    """A pull request, which the issue list shows as well."""

    title: str
    body: str = ""
    author: str = "rita"


class NewIssue(Body):
    """An issue from a template: its labels are set in the author's name, whatever the role."""

    title: str
    body: str = ""
    author: str = "rita"
    labels: list[str] = []


class Target(Body):
    """Where an issue is transferred to."""

    repository: str


class Estate:
    """The owners' acts, by the organization's first admin."""

    def __init__(self, standin: StandIn) -> None:
        self.standin = standin
        self.world = standin.world

    @property
    def owner(self) -> Account:
        """Who is the sender of the webhooks."""
        return self.world.people()[0]

    def repository(self, full_name: str) -> Repository:
        """The repository of that name. 404 otherwise."""
        found = self.world.repository(*full_name.partition("/")[::2])
        if found is None:
            raise HTTPException(404, f"no repository {full_name}")
        return found

    def issue(self, full_name: str, number: int) -> Issue:
        """The issue of that number. 404 otherwise."""
        found = self.repository(full_name).issues.get(number)
        if found is None:
            raise HTTPException(404, f"no issue {full_name}#{number}")
        return found

    def installation(self, installation_id: int) -> Installation:
        """The installation of that id. 404 otherwise."""
        found = self.world.installations.get(installation_id)
        if found is None:
            raise HTTPException(404, f"no installation {installation_id}")
        return found

    def rename(self, repository: Repository, name: str) -> None:
        """Give it another name; the old one redirects."""
        old = repository.name
        self.world.moved[repository.full_name.casefold()] = repository.id
        repository.name = name
        changes = {"repository": {"name": {"from": old}}}
        self._tell("repository", "renamed", repository, changes=changes)

    def move(self, repository: Repository, owner: str) -> None:
        """Give it to another account; the old name redirects."""
        old = shape.account(self.world, repository.owner)
        kind = "organization" if repository.owner.kind == "Organization" else "user"
        self.world.moved[repository.full_name.casefold()] = repository.id
        account = self.world.account(owner) or self.world.add_account(owner, "Organization")
        repository.owner = account
        self._tell(
            "repository", "transferred", repository, changes={"owner": {"from": {kind: old}}}
        )

    def delete(self, repository: Repository) -> None:
        """Delete it: the webhook goes to those who were installed."""
        self._tell("repository", "deleted", repository)
        del self.world.repositories[repository.id]

    def _tell(self, event: str, action: str, repository: Repository, **extra: Any) -> None:
        self.world.announce(Occurrence(event, action, self.owner, repository, extra=extra))

    def tell_installation(
        self, event: str, action: str, installation: Installation, **extra: Any
    ) -> None:
        """An `installation` or `installation_repositories` webhook."""
        extra = {"installation": shape.installation(self.world, installation), **extra}
        self.world.announce(
            Occurrence(event, action, self.owner, installation=installation, extra=extra)
        )

    def stubs(self, installation: Installation) -> list[dict[str, Any]]:
        """The repositories as installation webhooks list them."""
        return [shape.repository_stub(r) for r in self.world.repositories_of(installation)]

    def suspend(self, installation: Installation, suspended: bool) -> None:
        """Suspend or take back the suspension."""
        installation.suspended = self.world.now() if suspended else None
        installation.suspended_by = self.owner if suspended else None
        action = "suspend" if suspended else "unsuspend"
        stubs = self.stubs(installation)
        self.tell_installation("installation", action, installation, repositories=stubs)

    def reselect(
        self, installation: Installation, added: list[Repository], removed: list[Repository]
    ) -> None:
        """Add and remove repositories; from now on the selection counts, not `all`."""
        now = {r.id for r in self.world.repositories_of(installation)}
        installation.repository_ids = (now | {r.id for r in added}) - {r.id for r in removed}
        for action, some in (("added", added), ("removed", removed)):
            if some:
                self.tell_installation(
                    "installation_repositories",
                    action,
                    installation,
                    repository_selection="selected",
                    repositories_added=[shape.repository_stub(r) for r in added if some is added],
                    repositories_removed=[
                        shape.repository_stub(r) for r in removed if some is removed
                    ],
                    requester=None,
                )


def router(standin: StandIn) -> APIRouter:
    """The routes over one stand-in's estate."""
    routes = APIRouter(prefix="/_sandbox")
    estate = Estate(standin)
    _repositories(routes, estate)
    _installations(routes, estate)
    return routes


def _repositories(routes: APIRouter, estate: Estate) -> None:
    world = estate.world

    @routes.post("/repositories")
    async def create(wanted: NewRepository) -> dict[str, Any]:
        made = world.add_repository(**wanted.model_dump(exclude={"labels"}))
        for name in wanted.labels:
            world.new_label(made, name)
        world.changed("/")
        return shape.repository(world, made)

    @routes.patch("/repositories/{owner}/{name}")
    async def change(owner: str, name: str, wanted: RepositoryChange) -> dict[str, Any]:
        repository = estate.repository(f"{owner}/{name}")
        for field in ("has_issues", "private", "suggestions_enabled"):
            value = getattr(wanted, field)
            if value is not None:
                setattr(repository, field, value)
        for login, role in (wanted.roles or {}).items():
            repository.roles[login.casefold()] = role
        if wanted.name:
            estate.rename(repository, wanted.name)
        if wanted.owner:
            estate.move(repository, wanted.owner)
        return shape.repository(world, repository)

    @routes.delete("/repositories/{owner}/{name}")
    async def delete(owner: str, name: str) -> None:
        estate.delete(estate.repository(f"{owner}/{name}"))

    @routes.put("/repositories/{owner}/{name}/files/{path:path}")
    async def put_file(owner: str, name: str, path: str, request: Request) -> None:
        estate.repository(f"{owner}/{name}").files[path] = await request.body()

    @routes.delete("/repositories/{owner}/{name}/files/{path:path}")
    async def delete_file(owner: str, name: str, path: str) -> None:
        estate.repository(f"{owner}/{name}").files.pop(path, None)

    @routes.post("/repositories/{owner}/{name}/pulls")
    async def open_pull(owner: str, name: str, wanted: NewPullRequest) -> dict[str, Any]:
        act = Act(world, world.add_account(wanted.author))
        repository = estate.repository(f"{owner}/{name}")
        opened = act.open(repository, wanted.title, wanted.body, is_pull_request=True)
        return shapes.issue(world, opened)

    @routes.post("/repositories/{owner}/{name}/issues")
    async def open_issue(owner: str, name: str, wanted: NewIssue) -> dict[str, Any]:
        act = Act(world, world.add_account(wanted.author))
        repository = estate.repository(f"{owner}/{name}")
        opened = act.open(repository, wanted.title, wanted.body, wanted.labels)
        return shapes.issue(world, opened)

    @routes.delete("/repositories/{owner}/{name}/issues/{number}")
    async def delete_issue(owner: str, name: str, number: int) -> None:
        Act(world, estate.owner).delete(estate.issue(f"{owner}/{name}", number))

    @routes.post("/repositories/{owner}/{name}/issues/{number}/transfer")
    async def transfer(owner: str, name: str, number: int, target: Target) -> dict[str, Any]:
        issue = estate.issue(f"{owner}/{name}", number)
        moved = Act(world, estate.owner).transfer(issue, estate.repository(target.repository))
        return shapes.issue(world, moved)


def _installations(routes: APIRouter, estate: Estate) -> None:
    world, app = estate.world, estate.standin.app

    @routes.post("/installations")
    async def create(wanted: NewInstallation) -> dict[str, Any]:
        chosen = wanted.repositories
        repositories = None if chosen is None else [estate.repository(name) for name in chosen]
        made = seed.install(world, app, wanted.account, repositories)
        stubs = estate.stubs(made)
        estate.tell_installation(
            "installation", "created", made, repositories=stubs, requester=None
        )
        return shape.installation(world, made)

    @routes.patch("/installations/{installation_id}")
    async def change(installation_id: int, wanted: InstallationChange) -> dict[str, Any]:
        installation = estate.installation(installation_id)
        if wanted.permissions is not None:
            installation.permissions = wanted.permissions
            estate.tell_installation("installation", "new_permissions_accepted", installation)
        if wanted.suspended is not None:
            estate.suspend(installation, wanted.suspended)
        if wanted.add or wanted.remove:
            added = [estate.repository(name) for name in wanted.add]
            removed = [estate.repository(name) for name in wanted.remove]
            estate.reselect(installation, added, removed)
        return shape.installation(world, installation)

    @routes.delete("/installations/{installation_id}")
    async def delete(installation_id: int) -> None:
        installation = estate.installation(installation_id)
        stubs = estate.stubs(installation)
        del world.installations[installation_id]
        estate.tell_installation("installation", "deleted", installation, repositories=stubs)
