"""Other Apps at work: they set labels as themselves, or in the name of a person who let them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fastapi import APIRouter, HTTPException
from pydantic import BaseModel, ConfigDict

from deploy.sandbox.world.acts import Act
from deploy.sandbox.world.model import Account, App
from deploy.sandbox.world.state import World

if TYPE_CHECKING:
    from deploy.sandbox.standin import StandIn


class Relay(BaseModel):
    """What an App does to an issue. `by` is the person in whose name; None is its own bot.

    The App of that slug is made when it is new; "triora" is the one under test.
    """

    model_config = ConfigDict(extra="forbid")

    app: str = "board-sync"
    by: str | None = None
    repository: str
    number: int
    add: list[str] = []
    remove: list[str] = []
    close: bool = False


def router(standin: StandIn) -> APIRouter:
    """The control of other Apps over one stand-in."""
    routes = APIRouter(prefix="/_sandbox")
    world = standin.world

    @routes.post("/relays")
    async def relay(wanted: Relay) -> None:
        repository = world.repository(*wanted.repository.partition("/")[::2])
        issue = repository.issues.get(wanted.number) if repository is not None else None
        if issue is None:
            raise HTTPException(404, f"no issue {wanted.repository}#{wanted.number}")
        app = _app(world, wanted.app)
        act = Act(world, _actor(world, app, wanted.by), app)
        gone = {name.casefold() for name in wanted.remove}
        act.unlabel(issue, [label for label in issue.labels if label.name.casefold() in gone])
        act.label(issue, wanted.add)
        if wanted.close:
            act.close(issue)

    return routes


def _app(world: World, slug: str) -> App:
    known = next((app for app in world.apps.values() if app.slug == slug), None)
    if known is not None:
        return known
    app = App(
        id=world.new_id(),
        client_id=f"Iv23li{slug}",
        slug=slug,
        name=slug,
        owner=world.add_account(f"{slug}-makers", "Organization"),
        bot=world.add_account(f"{slug}[bot]", "Bot"),
        created=world.now(),
        permissions={"issues": "write", "metadata": "read"},
    )
    world.apps[app.id] = app
    return app


def _actor(world: World, app: App, login: str | None) -> Account:
    if login is None:
        return app.bot
    person = world.account(login)
    if person is None:
        raise HTTPException(404, f"nobody is called {login}")
    return person
