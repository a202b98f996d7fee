"""The pages a person looks at: repositories, issues, deliveries, faults."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fastapi import APIRouter, FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import HTMLResponse, JSONResponse, RedirectResponse, Response
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from sse_starlette import EventSourceResponse
from starlette.exceptions import HTTPException
from starlette.staticfiles import StaticFiles

from deploy.sandbox.pages import forms, look, settings, views
from deploy.sandbox.pages.markdown import render as markdown
from deploy.sandbox.pages.visitor import SameOrigin, Visitor
from deploy.sandbox.rest.faults import Kind
from deploy.sandbox.world.model import Role

if TYPE_CHECKING:
    from deploy.sandbox.standin import StandIn

HERE = Path(__file__).parent
SHOWN_DELIVERIES, SHOWN_REQUESTS = 100, 30
_POLICY = (
    "default-src 'self'; style-src-attr 'unsafe-inline'; frame-ancestors 'none'; base-uri 'none'"
)


class Site:
    """Templates over one stand-in."""

    def __init__(self, standin: StandIn) -> None:
        self.standin = standin
        self._templates = Environment(
            loader=FileSystemLoader(HERE / "templates"),
            autoescape=True,
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
        )
        self._templates.filters["markdown"] = markdown

    def page(self, request: Request, name: str, code: int = 200, **shown: Any) -> HTMLResponse:
        """A page for whoever looks at it."""
        world = self.standin.world
        context = {
            "visitor": Visitor.of(request, world),
            "people": world.people(),
            "line": views.line(self.standin.hooks),
            "ago": lambda time: look.ago(time, world.now()),
            "path": request.url.path + (f"?{request.url.query}" if request.url.query else ""),
            "topics": "/deliveries",
            **shown,
        }
        html = self._templates.get_template(name).render(context)
        return HTMLResponse(html, code, {"content-security-policy": _POLICY})


def attach(application: FastAPI, standin: StandIn) -> None:
    """Add the pages to the application, and the guard against other sites' forms."""
    site = Site(standin)
    application.add_middleware(SameOrigin)
    application.mount("/_sandbox/static", StaticFiles(directory=HERE / "static"))
    # Forms first: /{owner}/{name} below would swallow their paths.
    for routes in (
        _plumbing(standin),
        _machinery(site),
        forms.router(standin),
        settings.router(site),
        _issues(site),
    ):
        application.include_router(routes)

    @application.exception_handler(HTTPException)
    async def explain(request: Request, error: HTTPException) -> Response:
        if request.url.path.startswith("/_sandbox"):
            return JSONResponse({"detail": error.detail}, error.status_code)
        return site.page(request, "problem.html", error.status_code, problem=error.detail)

    @application.exception_handler(RequestValidationError)
    async def explain_form(request: Request, error: RequestValidationError) -> Response:
        lines = [f"{'/'.join(str(x) for x in e['loc'])}: {e['msg']}" for e in error.errors()]
        if request.url.path.startswith("/_sandbox"):
            return JSONResponse({"detail": lines}, 422)
        return site.page(request, "problem.html", 422, problem="; ".join(lines))


def _plumbing(standin: StandIn) -> APIRouter:
    routes = APIRouter(prefix="/_sandbox")

    @routes.get("/live")
    async def live(topics: str = "/") -> EventSourceResponse:
        return EventSourceResponse(standin.feed.listen(tuple(topics.split(","))), ping=15)

    @routes.get("/avatar/{account_id}.svg")
    async def avatar(account_id: int) -> Response:
        for account in standin.world.accounts.values():
            if account.id == account_id:
                headers = {"cache-control": "max-age=86400"}
                return Response(look.avatar(account), headers=headers, media_type="image/svg+xml")
        raise HTTPException(404, "nobody has this face")

    return routes


def _machinery(site: Site) -> APIRouter:
    """Pages about the stand-in itself."""
    routes = APIRouter(default_response_class=HTMLResponse)
    standin, world = site.standin, site.standin.world

    @routes.get("/")
    async def repositories(request: Request) -> HTMLResponse:
        found = sorted(world.repositories.values(), key=lambda r: -len(r.issues))
        return site.page(
            request, "repositories.html", repositories=found, app=standin.app,
            hooks=standin.hooks, topics="/",
        )  # fmt: skip

    @routes.get("/deliveries")
    async def deliveries(request: Request, status: str = "") -> HTMLResponse:
        everything = standin.hooks.newest_first()
        failed = [d for d in everything if d.failed]
        shown = failed if status == "failure" else everything
        return site.page(
            request, "deliveries.html", deliveries=shown[:SHOWN_DELIVERIES], status=status,
            total=len(everything), failed=len(failed), hooks=standin.hooks,
        )  # fmt: skip

    @routes.get("/deliveries/{delivery_id}")
    async def delivery(request: Request, delivery_id: int) -> HTMLResponse:
        found = standin.hooks.find(delivery_id)
        if found is None:
            raise HTTPException(404, "There is no such delivery, or it is too long ago.")
        payload = json.dumps(json.loads(found.payload), indent=2, ensure_ascii=False)
        attempts = [d for d in standin.hooks.newest_first() if d.guid == found.guid]
        return site.page(
            request, "delivery.html", delivery=found, payload=payload, attempts=attempts
        )

    @routes.get("/faults")
    async def faults(request: Request) -> HTMLResponse:
        rest = standin.rest
        return site.page(
            request, "faults.html", faults=rest.faults.active, limits=rest.limits,
            kinds=list(Kind), known=sorted({f"{r.method} {r.template}" for r in rest.routes}),
            requests=list(rest.journal)[: -SHOWN_REQUESTS - 1 : -1], topics="/",
        )  # fmt: skip

    return routes


def _issues(site: Site) -> APIRouter:
    """Pages of a repository."""
    routes = APIRouter(default_response_class=HTMLResponse)
    world = site.standin.world

    @routes.get("/{owner}/{name}")
    async def repository(owner: str, name: str) -> Response:
        return RedirectResponse(f"/{owner}/{name}/issues", 302)

    @routes.get("/{owner}/{name}/issues")
    async def issues(
        request: Request, owner: str, name: str, q: str = "", state: str = "open", label: str = ""
    ) -> HTMLResponse:
        found = forms.repository(world, owner, name)
        search = views.Search(q, "closed" if state == "closed" else "open", label)
        return site.page(
            request, "issues.html", repository=found, search=search, found=search.of(found),
            topics=f"/{found.full_name},/deliveries",
        )  # fmt: skip

    @routes.get("/{owner}/{name}/issues/new")
    async def new(request: Request, owner: str, name: str) -> HTMLResponse:
        return site.page(request, "new.html", repository=forms.repository(world, owner, name))

    @routes.get("/{owner}/{name}/pull/{number}")
    @routes.get("/{owner}/{name}/issues/{number}")
    async def issue(request: Request, owner: str, name: str, number: int) -> HTMLResponse:
        found = forms.issue(world, owner, name, number)
        who = Visitor.of(request, world)
        labels = [x for x in found.repository.labels.values() if x not in found.labels]
        return site.page(
            request, "issue.html", repository=found.repository, issue=found,
            chips=views.chips(found), timeline=views.timeline(found),
            suggestions=[s for s in found.suggestions if s.state == "pending"],
            may_label=who.may(found.repository, Role.TRIAGE),
            may_change=who.account is found.author or who.may(found.repository, Role.TRIAGE),
            addable=sorted(labels, key=lambda x: x.name.casefold()),
            topics=f"/{found.repository.full_name},/deliveries",
        )  # fmt: skip

    return routes
