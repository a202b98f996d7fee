"""Who looks at a page: one of the sample people, chosen in the header and kept in a cookie."""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import urlsplit

from fastapi import Request
from fastapi.responses import PlainTextResponse
from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Receive, Scope, Send

from deploy.sandbox.world.acts import Act
from deploy.sandbox.world.model import Account, Repository, Role
from deploy.sandbox.world.state import World

COOKIE = "sandbox_person"


@dataclass(frozen=True)
class Visitor:
    """The person whose name stands in the header."""

    world: World
    account: Account

    @classmethod
    def of(cls, request: Request, world: World) -> Visitor:
        """The person of the cookie; the first one (a maintainer) without it."""
        people = world.people()
        wanted = request.cookies.get(COOKIE, "")
        chosen = next((person for person in people if person.login == wanted), people[0])
        return cls(world, chosen)

    def may(self, repository: Repository, least: Role) -> bool:
        """True when the person has at least this role."""
        role = repository.role_of(self.account)
        return role is not None and role.covers(least)

    def need(self, repository: Repository, least: Role) -> None:
        """403 with a reason when the person may not."""
        if not self.may(repository, least):
            role = repository.role_of(self.account) or "no"
            raise HTTPException(
                403,
                f"{self.account.login} has {role} access to {repository.full_name};"
                f" this needs {least} access. Choose somebody else in the header.",
            )

    def role(self, repository: Repository) -> str:
        """The role in words."""
        return str(repository.role_of(self.account) or "none")

    @property
    def act(self) -> Act:
        """Acts in the person's name."""
        return Act(self.world, self.account)


class SameOrigin:
    """Refuses changes that another site's page sends through the visitor's browser."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let a request through unless its Origin is another host than the one it asks."""
        app = self._app
        if scope["type"] == "http" and scope["method"] not in ("GET", "HEAD"):
            headers = Headers(scope=scope)
            origin = headers.get("origin")
            if origin and urlsplit(origin).netloc != headers.get("host"):
                app = PlainTextResponse("this comes from another site", 403)
        await app(scope, receive, send)
