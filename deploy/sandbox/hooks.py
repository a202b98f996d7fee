"""Webhooks: each occurrence is signed, sent once, and kept with what came of it.

As GitHub does: ten seconds to answer, no retry, no promised order, a redelivery keeps its GUID.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import hmac
import json
import random
import time
import uuid
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import httpx

from deploy.sandbox.world import accounts_shape as shape
from deploy.sandbox.world.model import App, Delivery, Installation, Occurrence, node_id
from deploy.sandbox.world.state import World

HOOK_ID = 4242
ANSWER_WITHIN = 10.0
KEPT = 20_000
# Every App gets these, subscribed or not.
ALWAYS = {"ping", "installation", "installation_repositories", "github_app_authorization"}


@dataclass
class Weather:
    """What the network between GitHub and the receiver does, drawn with a seed.

    lose: share never sent (kept as failed); duplicate: share sent twice with the same GUID;
    delay: up to so many seconds before sending, which also reorders.
    """

    lose: float = 0.0
    duplicate: float = 0.0
    delay: float = 0.0
    seed: int = 0


class Hooks:
    """The App's webhook. Runs on the event loop of the server."""

    def __init__(self, world: World, app: App, url: str = "", secret: str = "") -> None:
        self.world = world
        self.app = app
        self.url = url
        self.secret = secret
        self.active = True
        self.timeout = ANSWER_WITHIN
        self.deliveries: deque[Delivery] = deque(maxlen=KEPT)
        self.observers: list[Callable[[Delivery], None]] = []
        self._weather = Weather()
        self._random = random.Random(0)  # noqa: S311 - chaos wants repeatable, not secret
        self._tasks: set[asyncio.Task[None]] = set()
        self._client: httpx.AsyncClient | None = None
        self._idle = asyncio.Event()
        self._idle.set()

    @property
    def weather(self) -> Weather:
        """What happens to deliveries on their way."""
        return self._weather

    @weather.setter
    def weather(self, weather: Weather) -> None:
        self._weather = weather
        self._random = random.Random(weather.seed)  # noqa: S311

    # From an occurrence to a delivery

    def hear(self, occurrence: Occurrence) -> None:
        """Send an occurrence to the App if it is installed there and wants to know."""
        if not self.url or not self.active:
            return
        for installation in self._concerned(occurrence):
            payload = self._payload(occurrence, installation)
            self._start(self._delivery(occurrence, installation, payload))

    def ping(self) -> None:
        """What GitHub sends when a webhook is set up."""
        payload = {"zen": "Keep it logically awesome.", "hook_id": HOOK_ID, "hook": self._hook()}
        occurrence = Occurrence("ping", None, self.app.owner)
        self._start(self._delivery(occurrence, None, payload))

    def _hook(self) -> dict[str, Any]:
        return {
            "type": "App",
            "id": HOOK_ID,
            "name": "web",
            "active": self.active,
            "app_id": self.app.id,
            "events": self.app.events,
            "config": {"content_type": "json", "insecure_ssl": "0", "url": self.url},
            "created_at": shape.stamp(self.app.created),
            "updated_at": shape.stamp(self.app.created),
            "deliveries_url": shape.api(self.world, "/app/hook/deliveries"),
        }

    def _concerned(self, occurrence: Occurrence) -> list[Installation]:
        if occurrence.installation is not None:
            return [occurrence.installation]
        if occurrence.repository is None:
            return []
        return [
            installation
            for installation in self.world.installations_over(occurrence.repository)
            if installation.app is self.app
            and installation.suspended is None
            and (occurrence.event in ALWAYS or occurrence.event in installation.events)
        ]

    def _payload(self, occurrence: Occurrence, installation: Installation) -> dict[str, Any]:
        payload: dict[str, Any] = {"action": occurrence.action, **occurrence.extra}
        repository = occurrence.repository
        if repository is not None:
            payload["repository"] = shape.repository(self.world, repository, webhook=True)
            if repository.owner.kind == "Organization":
                payload["organization"] = _organization(self.world, repository.owner.login)
        payload["sender"] = shape.account(self.world, occurrence.actor)
        if "installation" not in payload:
            payload["installation"] = {
                "id": installation.id,
                "node_id": node_id("Integration", installation.id),
            }
        return payload

    def _delivery(
        self, occurrence: Occurrence, installation: Installation | None, payload: dict[str, Any]
    ) -> Delivery:
        body = json.dumps(payload, ensure_ascii=False, separators=(",", ":")).encode()
        guid = str(uuid.uuid4())
        headers = {
            "Accept": "*/*",
            "Content-Type": "application/json",
            "User-Agent": "GitHub-Hookshot/5a0d808",
            "X-GitHub-Delivery": guid,
            "X-GitHub-Event": occurrence.event,
            "X-GitHub-Hook-ID": str(HOOK_ID),
            "X-GitHub-Hook-Installation-Target-ID": str(self.app.id),
            "X-GitHub-Hook-Installation-Target-Type": "integration",
        }
        return Delivery(
            id=self.world.new_id(),
            guid=guid,
            event=occurrence.event,
            action=occurrence.action,
            delivered=self.world.now(),
            redelivery=False,
            url=self.url,
            request_headers=headers,
            payload=body,
            installation_id=installation.id if installation else None,
            repository_id=occurrence.repository.id if occurrence.repository else None,
        )

    # From a delivery to the receiver

    def redeliver(self, delivery: Delivery) -> Delivery:
        """Send it again: same GUID and payload, a new id. Returns the new attempt."""
        again = replace(
            delivery,
            id=self.world.new_id(),
            delivered=self.world.now(),
            redelivery=True,
            url=self.url,
            request_headers=dict(delivery.request_headers),
            duration=0.0,
            status="pending",
            status_code=0,
            response_headers={},
            response_body="",
        )
        self._start(again, fair=True)
        return again

    def _start(self, delivery: Delivery, *, fair: bool = False) -> None:
        for observer in self.observers:
            observer(delivery)
        weather, draw = self.weather, self._random
        lost = not fair and draw.random() < weather.lose
        twice = not fair and draw.random() < weather.duplicate
        for _ in range(2 if twice else 1):
            pause = draw.random() * weather.delay
            task = asyncio.get_running_loop().create_task(self._send(delivery, pause, lost))
            self._tasks.add(task)
            self._idle.clear()
            task.add_done_callback(self._finished)
            delivery = replace(delivery, id=self.world.new_id()) if twice else delivery

    def _finished(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not self._tasks:
            self._idle.set()

    async def _send(self, delivery: Delivery, pause: float, lost: bool) -> None:
        # Signed when it leaves: a redelivery after a rotation carries the new secret's signature.
        if self.secret:
            digest = hmac.new(self.secret.encode(), delivery.payload, hashlib.sha256).hexdigest()
            delivery.request_headers["X-Hub-Signature-256"] = f"sha256={digest}"
        if pause:
            await asyncio.sleep(pause)
        started = time.perf_counter()
        if lost:
            delivery.status, delivery.status_code = "failed to connect to host", 502
        else:
            await self._post(delivery)
        delivery.duration = round(time.perf_counter() - started, 3)
        self.deliveries.append(delivery)
        self.world.changed("/deliveries")

    async def _post(self, delivery: Delivery) -> None:
        if self._client is None:
            limits = httpx.Limits(max_connections=64, max_keepalive_connections=16)
            self._client = httpx.AsyncClient(limits=limits, trust_env=False)
        try:
            async with asyncio.timeout(self.timeout):
                response = await self._client.post(
                    delivery.url,
                    content=delivery.payload,
                    headers=delivery.request_headers,
                    timeout=httpx.Timeout(self.timeout, pool=None),
                )
        except (TimeoutError, httpx.TimeoutException):
            delivery.status, delivery.status_code = "timed out", 504
        except httpx.HTTPError:
            delivery.status, delivery.status_code = "failed to connect to host", 502
        else:
            delivery.status_code = response.status_code
            ok = 200 <= response.status_code < 300
            delivery.status = "OK" if ok else f"Invalid HTTP Response: {response.status_code}"
            delivery.response_headers = dict(response.headers)
            delivery.response_body = response.text[:10_000]

    # Looking back

    def find(self, delivery_id: int) -> Delivery | None:
        """The attempt of that id."""
        return next((d for d in self.deliveries if d.id == delivery_id), None)

    def newest_first(self) -> list[Delivery]:
        """All attempts that are over, the latest first."""
        return sorted(self.deliveries, key=lambda d: d.id, reverse=True)

    async def settle(self) -> None:
        """Wait until nothing is on its way."""
        await self._idle.wait()

    async def stop(self) -> None:
        """Give up what is on its way and close connections."""
        for task in list(self._tasks):
            task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await asyncio.gather(*self._tasks, return_exceptions=True)
        if self._client is not None:
            await self._client.aclose()


def _organization(world: World, login: str) -> dict[str, Any]:
    account = world.account(login)
    if account is None:
        raise KeyError(login)
    url = shape.api(world, f"/orgs/{login}")
    return {
        "login": login,
        "id": account.id,
        "node_id": node_id("Organization", account.id),
        "url": url,
        "repos_url": f"{url}/repos",
        "events_url": f"{url}/events",
        "hooks_url": f"{url}/hooks",
        "issues_url": f"{url}/issues",
        "members_url": f"{url}/members{{/member}}",
        "public_members_url": f"{url}/public_members{{/member}}",
        "avatar_url": shape.page(world, f"/_sandbox/avatar/{account.id}.svg"),
        "description": None,
    }
