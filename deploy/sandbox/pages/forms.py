"""What a person does on the pages, as plain HTML forms: each ends with a redirect back."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Annotated, Literal

from fastapi import APIRouter, Form, Request
from fastapi.responses import RedirectResponse
from starlette.exceptions import HTTPException

from deploy.sandbox import seed
from deploy.sandbox.pages.visitor import COOKIE, Visitor
from deploy.sandbox.rest.limits import Secondary
from deploy.sandbox.world.acts import Act
from deploy.sandbox.world.model import Issue, Repository, Role
from deploy.sandbox.world.state import World

if TYPE_CHECKING:
    from deploy.sandbox.standin import StandIn

Text = Annotated[str, Form()]
_ISSUE = "/{owner}/{name}/issues/{number}"


def repository(world: World, owner: str, name: str) -> Repository:
    """The repository of a page. 404 in words."""
    found = world.repository(owner, name) or world.moved_to(owner, name)
    if found is None:
        raise HTTPException(404, f"There is no repository {owner}/{name} here.")
    return found


def issue(world: World, owner: str, name: str, number: int) -> Issue:
    """The issue of a page. 404 in words."""
    home = repository(world, owner, name)
    found = home.issues.get(number) or home.gone.get(number)
    if found is None:
        raise HTTPException(404, f"{home.full_name} has no issue {number}.")
    return found


def _back(path: str) -> RedirectResponse:
    return RedirectResponse(path, 303)


def _to(it: Issue) -> RedirectResponse:
    return _back(f"/{it.repository.full_name}/issues/{it.number}")


def router(standin: StandIn) -> APIRouter:
    """All forms over one stand-in."""
    routes = APIRouter()
    _visiting(routes)
    _issues(routes, standin.world)
    _labels(routes, standin.world)
    _machinery(routes, standin)
    return routes


def _visiting(routes: APIRouter) -> None:
    @routes.post("/act-as")
    async def act_as(login: Text, back: Text = "/") -> RedirectResponse:
        # Only a path of this site: "//elsewhere" would leave it, however browsers may read it.
        inside = re.fullmatch(r"/(?!/)[\x21-\x5b\x5d-\x7e]*", back) is not None
        answer = _back(back if inside else "/")
        answer.set_cookie(COOKIE, login, samesite="lax", httponly=True)
        return answer


def _issues(routes: APIRouter, world: World) -> None:
    @routes.post("/{owner}/{name}/issues")
    async def open_issue(
        request: Request, owner: str, name: str, title: Text, body: Text = ""
    ) -> RedirectResponse:
        visitor, home = Visitor.of(request, world), repository(world, owner, name)
        visitor.need(home, Role.READ)
        if not title.strip():
            raise HTTPException(422, "An issue needs a title.")
        return _to(visitor.act.open(home, title.strip(), body.replace("\r\n", "\n") or None))

    @routes.post("/{owner}/{name}/samples")
    async def open_samples(owner: str, name: str) -> RedirectResponse:
        home = repository(world, owner, name)
        for sample in seed.samples()["issues"]:
            author = world.add_account(sample["author"])
            Act(world, author).open(home, sample["title"], sample["body"])
        return _back(f"/{home.full_name}/issues")

    @routes.post(_ISSUE + "/comments")
    async def comment(
        request: Request, owner: str, name: str, number: int, body: Text = ""
    ) -> RedirectResponse:
        visitor, it = Visitor.of(request, world), issue(world, owner, name, number)
        visitor.need(it.repository, Role.READ)
        if not body.strip():
            raise HTTPException(422, "There is nothing in the comment.")
        visitor.act.comment(it, body.replace("\r\n", "\n"))
        return _to(it)

    @routes.post(_ISSUE + "/edit")
    async def edit(
        request: Request, owner: str, name: str, number: int, title: Text, body: Text = ""
    ) -> RedirectResponse:
        visitor, it = _changing(request, world, owner, name, number)
        if not title.strip():
            raise HTTPException(422, "An issue needs a title.")
        visitor.act.edit(it, title=title.strip(), body=body.replace("\r\n", "\n"))
        return _to(it)

    @routes.post(_ISSUE + "/state")
    async def state(
        request: Request,
        owner: str,
        name: str,
        number: int,
        state: Annotated[Literal["open", "closed"], Form()],
    ) -> RedirectResponse:
        visitor, it = _changing(request, world, owner, name, number)
        if state == "closed":
            visitor.act.close(it)
        else:
            visitor.act.reopen(it)
        return _to(it)


def _changing(
    request: Request, world: World, owner: str, name: str, number: int
) -> tuple[Visitor, Issue]:
    """Visitor and issue, if the visitor wrote it or may triage."""
    visitor, it = Visitor.of(request, world), issue(world, owner, name, number)
    if visitor.account is not it.author:
        visitor.need(it.repository, Role.TRIAGE)
    return visitor, it


def _labels(routes: APIRouter, world: World) -> None:
    def triaging(request: Request, owner: str, name: str, number: int) -> tuple[Visitor, Issue]:
        visitor, it = Visitor.of(request, world), issue(world, owner, name, number)
        visitor.need(it.repository, Role.TRIAGE)
        return visitor, it

    @routes.post(_ISSUE + "/labels")
    async def add(
        request: Request, owner: str, name: str, number: int, label: Text
    ) -> RedirectResponse:
        visitor, it = triaging(request, owner, name, number)
        if it.repository.label(label) is None:
            raise HTTPException(422, f"{it.repository.full_name} has no label «{label}».")
        visitor.act.label(it, [label])
        return _to(it)

    @routes.post(_ISSUE + "/labels/remove")
    async def remove(
        request: Request, owner: str, name: str, number: int, label: Text
    ) -> RedirectResponse:
        visitor, it = triaging(request, owner, name, number)
        visitor.act.unlabel(it, [x for x in it.labels if x.name.casefold() == label.casefold()])
        return _to(it)

    @routes.post(_ISSUE + "/suggestions/{suggestion_id}")
    async def resolve(
        request: Request,
        owner: str,
        name: str,
        number: int,
        suggestion_id: int,
        decision: Annotated[Literal["approve", "dismiss"], Form()],
    ) -> RedirectResponse:
        visitor, it = triaging(request, owner, name, number)
        for suggestion in it.suggestions:
            if suggestion.id == suggestion_id and suggestion.state == "pending":
                visitor.act.resolve(suggestion, approve=decision == "approve")
        return _to(it)


def _machinery(routes: APIRouter, standin: StandIn) -> None:
    world, faults, limits = standin.world, standin.rest.faults, standin.rest.limits

    @routes.post("/deliveries/{delivery_id}/attempts")
    async def redeliver(delivery_id: int) -> RedirectResponse:
        found = standin.hooks.find(delivery_id)
        if found is None:
            raise HTTPException(404, "There is no such delivery, or it is too long ago.")
        standin.hooks.redeliver(found)
        return _back("/deliveries")

    @routes.post("/faults")
    async def add_fault(
        route: Text,
        kind: Text,
        times: Text = "1",
        status: Annotated[int, Form(ge=400, le=599)] = 502,
        seconds: Annotated[float, Form(ge=0, le=600)] = 0.0,
    ) -> RedirectResponse:
        try:
            count = int(times) if times.strip() else None
            faults.add(route.strip(), kind, times=count, status=status, seconds=seconds)
        except ValueError as error:
            raise HTTPException(422, str(error)) from error
        world.changed("/faults")
        return _back("/faults")

    @routes.post("/faults/clear")
    async def clear() -> RedirectResponse:
        faults.clear()
        limits.clear()
        world.changed("/faults")
        return _back("/faults")

    @routes.post("/faults/limit")
    async def limit(
        which: Annotated[Literal["primary", "secondary", "silent"], Form()],
    ) -> RedirectResponse:
        if which == "primary":
            limits.exhaust(60)
        else:
            limits.secondary = Secondary(retry_after=30 if which == "secondary" else None)
        world.changed("/faults")
        return _back("/faults")

    @routes.post("/faults/revoke")
    async def revoke() -> RedirectResponse:
        standin.tokens.revoke_installations()
        return _back("/faults")

    @routes.post("/faults/{fault_id}/off")
    async def switch_off(fault_id: int) -> RedirectResponse:
        faults.remove(fault_id)
        world.changed("/faults")
        return _back("/faults")
