"""The control API under /_sandbox: what no GitHub offers, for tests, harnesses and the demo."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Literal

from fastapi import APIRouter, HTTPException, Request
from pydantic import BaseModel, ConfigDict, Field

from deploy.sandbox import seed
from deploy.sandbox.hooks import Weather
from deploy.sandbox.rest.limits import Secondary
from deploy.sandbox.world import accounts_shape as shape
from deploy.sandbox.world import shapes
from deploy.sandbox.world.acts import Act

if TYPE_CHECKING:
    from deploy.sandbox.standin import StandIn


class Body(BaseModel):
    """Unknown keys are mistakes."""

    model_config = ConfigDict(extra="forbid")


class NewFault(Body):
    """A fault to switch on; see rest.faults."""

    route: str
    kind: str
    times: int | None = Field(default=1, ge=1)
    skip: int = Field(default=0, ge=0)
    status: int = Field(default=502, ge=400, le=599)
    body: str | None = None
    seconds: float = Field(default=0.0, ge=0)


class SecondaryLimit(Body):
    """A secondary rate limit; `retry_after` null sends no header."""

    status: Literal[403, 429] = 403
    retry_after: int | None = 60
    times: int | None = None
    writes_only: bool = True


class NewLimits(Body):
    """What to change of the rate limits. `whom`: how the names of those begin whom they are for."""

    whom: str | None = None
    hourly: int | None = None
    exhaust_seconds: float | None = None
    status: Literal[403, 429] = 403
    secondary: SecondaryLimit | None = None
    content_per_minute: int | None = None


class HookChange(Body):
    """What to change of the webhook."""

    url: str | None = None
    secret: str | None = None
    active: bool | None = None
    timeout: float | None = Field(default=None, gt=0)
    lose: float | None = Field(default=None, ge=0, le=1)
    duplicate: float | None = Field(default=None, ge=0, le=1)
    delay: float | None = Field(default=None, ge=0)
    seed: int = 0


class Sample(Body):
    """Which sample issues to open, and where."""

    repository: str = "lantern-works/emberfall"
    limit: int | None = Field(default=None, ge=1)


class Clock(Body):
    """How far the stand-in's clock is ahead (or behind, if negative)."""

    skew_seconds: float


class TokenLife(Body):
    """How long installation tokens made from now on live."""

    lifetime_seconds: float = Field(gt=0)


class NewPerson(Body):
    """Somebody new, with a role in a repository if one is named."""

    login: str
    kind: Literal["User", "Bot"] = "User"
    name: str | None = None


class AppKey(Body):
    """The App's public key, PEM."""

    public_key: str | None


def router(standin: StandIn) -> APIRouter:
    """The control API over one stand-in."""
    routes = APIRouter(prefix="/_sandbox")
    _status(routes, standin)
    _faults(routes, standin)
    _tokens(routes, standin)
    _hook(routes, standin)
    return routes


def _status(routes: APIRouter, standin: StandIn) -> None:
    world = standin.world

    @routes.get("/status")
    async def status() -> dict[str, Any]:
        return {
            "url": world.base_url,
            "api_url": f"{world.base_url}/api/v3",
            "app_id": standin.app.id,
            "client_id": standin.app.client_id,
            "slug": standin.app.slug,
            "bot": {"login": standin.app.bot.login, "id": standin.app.bot.id},
            "webhook_url": standin.hooks.url,
            "installations": [shape.installation(world, i) for i in world.installations.values()],
            "repositories": [r.full_name for r in world.repositories.values()],
            "people": [account.login for account in world.people()],
        }

    @routes.post("/people")
    async def add_person(person: NewPerson) -> dict[str, Any]:
        return shape.account(world, world.add_account(person.login, person.kind, person.name))

    @routes.get("/people/{login}/token")
    async def personal_token(login: str) -> dict[str, str]:
        who = world.account(login)
        if who is None:
            raise HTTPException(404, f"nobody is called {login}")
        return {"token": standin.tokens.personal(who).text}

    @routes.post("/samples")
    async def open_samples(wanted: Sample) -> list[dict[str, Any]]:
        repository = world.repository(*wanted.repository.split("/", 1))
        if repository is None:
            raise HTTPException(404, f"no repository {wanted.repository}")
        opened = []
        for sample in seed.samples()["issues"][: wanted.limit]:
            act = Act(world, world.add_account(sample["author"]))
            issue = act.open(repository, sample["title"], sample["body"])
            opened.append(shapes.issue(world, issue))
        return opened

    @routes.get("/requests")
    async def requests(
        method: str | None = None, route: str | None = None, after: int = 0
    ) -> list[dict[str, Any]]:
        return [
            line
            for line in standin.rest.journal
            if line["number"] > after
            and method in (None, line["method"])
            and route in (None, line["route"])
        ]

    @routes.delete("/requests")
    async def forget_requests() -> None:
        standin.rest.journal.clear()

    @routes.put("/clock")
    async def set_clock(clock: Clock) -> dict[str, str]:
        world.skew = timedelta(seconds=clock.skew_seconds)
        return {"now": world.now().isoformat()}


def _faults(routes: APIRouter, standin: StandIn) -> None:
    faults, limits = standin.rest.faults, standin.rest.limits

    @routes.get("/faults")
    async def list_faults() -> list[dict[str, Any]]:
        return [fault.shown() for fault in faults.active]

    @routes.post("/faults")
    async def add_fault(wanted: NewFault) -> dict[str, Any]:
        try:
            fault = faults.add(**wanted.model_dump(exclude_none=True) | {"times": wanted.times})
        except ValueError as error:
            raise HTTPException(422, str(error)) from error
        standin.world.changed("/faults")
        return fault.shown()

    @routes.delete("/faults")
    async def clear_faults() -> None:
        faults.clear()
        standin.world.changed("/faults")

    @routes.delete("/faults/{fault_id}")
    async def remove_fault(fault_id: int) -> None:
        faults.remove(fault_id)
        standin.world.changed("/faults")

    @routes.post("/limits")
    async def set_limits(wanted: NewLimits) -> None:
        if wanted.whom is not None:
            limits.whom = wanted.whom
        if wanted.hourly is not None:
            limits.hourly, limits.status = wanted.hourly, wanted.status
        if wanted.exhaust_seconds is not None:
            limits.exhaust(wanted.exhaust_seconds, wanted.status)
        if wanted.secondary is not None:
            limits.secondary = Secondary(**wanted.secondary.model_dump())
        if wanted.content_per_minute is not None:
            limits.content_per_minute = wanted.content_per_minute
        standin.world.changed("/faults")

    @routes.delete("/limits")
    async def clear_limits() -> None:
        limits.clear()
        standin.world.changed("/faults")


def _tokens(routes: APIRouter, standin: StandIn) -> None:
    @routes.post("/tokens/revoke")
    async def revoke() -> dict[str, int]:
        return {"revoked": standin.tokens.revoke_installations()}

    @routes.put("/tokens")
    async def lifetime(wanted: TokenLife) -> None:
        standin.tokens.lifetime = timedelta(seconds=wanted.lifetime_seconds)

    @routes.put("/app")
    async def set_key(wanted: AppKey) -> None:
        standin.app.public_key = wanted.public_key


def _hook(routes: APIRouter, standin: StandIn) -> None:
    hooks = standin.hooks

    @routes.put("/hook")
    async def change_hook(change: HookChange) -> None:
        for name in ("url", "secret", "active", "timeout"):
            value = getattr(change, name)
            if value is not None:
                setattr(hooks, name, value)
        weather = change.model_dump(include={"lose", "duplicate", "delay"}, exclude_none=True)
        if weather:
            hooks.weather = Weather(**weather, seed=change.seed)

    @routes.post("/hook/ping")
    async def ping() -> None:
        hooks.ping()

    @routes.get("/deliveries")
    async def deliveries() -> list[dict[str, Any]]:
        return [
            {
                "id": d.id,
                "guid": d.guid,
                "event": d.event,
                "action": d.action,
                "redelivery": d.redelivery,
                "status": d.status,
                "status_code": d.status_code,
                "duration": d.duration,
                "response": d.response_body,
            }
            for d in sorted(hooks.deliveries, key=lambda d: d.id)
        ]

    @routes.post("/settle")
    async def settle(request: Request, within: float = 30.0) -> None:
        try:
            async with asyncio.timeout(within):
                await hooks.settle()
        except TimeoutError as error:
            raise HTTPException(504, f"deliveries are still under way after {within} s") from error
