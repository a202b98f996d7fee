"""The stand-in GitHub put together: world, API, webhook, pages and control as one application."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from fastapi import FastAPI
from starlette.types import Receive, Scope, Send

from deploy.sandbox import books, control, estate, relays, seed
from deploy.sandbox.hooks import Hooks
from deploy.sandbox.live import Feed
from deploy.sandbox.pages import site
from deploy.sandbox.rest import (
    apps,
    comments,
    deliveries,
    history,
    issues,
    labels,
    repositories,
)
from deploy.sandbox.rest.auth import Tokens
from deploy.sandbox.rest.dispatch import PREFIX, Rest
from deploy.sandbox.rest.routing import Routes
from deploy.sandbox.world.state import World


def key_pair() -> tuple[str, str]:
    """A fresh RSA key as PEM texts: private, public."""
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    private = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.TraditionalOpenSSL,
        serialization.NoEncryption(),
    )
    public = key.public_key().public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    return private.decode(), public.decode()


class StandIn:
    """Everything of one running stand-in."""

    def __init__(
        self,
        base_url: str,
        public_key: str | None,
        *,
        app_id: int = seed.APP_ID,
        webhook_url: str = "",
        webhook_secret: str = "",
    ) -> None:
        self.world = World(base_url)
        self.app = seed.plant(self.world, app_id, public_key)
        self.tokens = Tokens(self.world)
        self.hooks = Hooks(self.world, self.app, webhook_url, webhook_secret)
        self.feed = Feed()
        self.world.on_occurrence.append(self.hooks.hear)
        self.world.on_change.append(self.feed.publish)
        self.rest = Rest(self.world, self.tokens, self._routes())
        self.on_start: list[Callable[[], None]] = []
        self._pages = self._application()

    async def asgi(self, scope: Scope, receive: Receive, send: Send) -> None:
        """The API under its prefix, without a web framework in between; pages and control else."""
        is_api = scope["type"] == "http" and scope["path"].startswith(f"{PREFIX}/")
        await (self.rest if is_api else self._pages)(scope, receive, send)

    def _routes(self) -> Routes:
        routes = Routes()
        for module in (apps, repositories, issues, labels, comments, history):
            routes.include(module.routes)
        routes.include(deliveries.table(self.hooks))
        return routes

    def _application(self) -> FastAPI:
        @asynccontextmanager
        async def lifespan(_: FastAPI) -> AsyncIterator[None]:
            for tell in self.on_start:
                tell()
            yield
            await self.hooks.stop()

        # No documentation pages: the pages are the stand-in's own.
        application = FastAPI(lifespan=lifespan, docs_url=None, redoc_url=None, openapi_url=None)
        application.include_router(control.router(self))
        application.include_router(estate.router(self))
        application.include_router(relays.router(self))
        application.include_router(books.router(self))
        site.attach(application, self)
        return application
