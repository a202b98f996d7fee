"""A repository's settings page: the bot's configuration file, and GitHub's label suggestions."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

from fastapi import APIRouter, Form, Request
from fastapi.responses import HTMLResponse, RedirectResponse

from deploy.sandbox.pages import forms
from deploy.sandbox.pages.visitor import Visitor
from deploy.sandbox.seed import CONFIG_FILE
from deploy.sandbox.world.model import Role

if TYPE_CHECKING:
    from deploy.sandbox.pages.site import Site


def router(site: Site) -> APIRouter:
    """The page and its form. Whoever may write may change."""
    routes = APIRouter(default_response_class=HTMLResponse)
    world = site.standin.world

    @routes.get("/{owner}/{name}/settings")
    async def settings(request: Request, owner: str, name: str) -> HTMLResponse:
        found = forms.repository(world, owner, name)
        stored = found.files.get(CONFIG_FILE)
        return site.page(
            request, "settings.html", repository=found, config_file=CONFIG_FILE,
            stored=None if stored is None else stored.decode("utf-8", "replace"),
            may_change=Visitor.of(request, world).may(found, Role.WRITE),
        )  # fmt: skip

    @routes.post("/{owner}/{name}/settings/file")
    async def write(
        request: Request, owner: str, name: str, text: Annotated[str, Form()] = ""
    ) -> RedirectResponse:
        found = forms.repository(world, owner, name)
        Visitor.of(request, world).need(found, Role.WRITE)
        if text.strip():
            found.files[CONFIG_FILE] = text.replace("\r\n", "\n").encode()
        else:
            found.files.pop(CONFIG_FILE, None)
        return RedirectResponse(f"/{found.full_name}/settings", 303)

    @routes.post("/{owner}/{name}/settings/suggestions")
    async def suggestions(
        request: Request, owner: str, name: str, enabled: Annotated[bool, Form()] = False
    ) -> RedirectResponse:
        found = forms.repository(world, owner, name)
        Visitor.of(request, world).need(found, Role.WRITE)
        found.suggestions_enabled = enabled
        return RedirectResponse(f"/{found.full_name}/settings", 303)

    return routes
