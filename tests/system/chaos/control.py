"""The control arm: the same task in plain Celery, with the work in the broker's messages only.

As a careful person would write it without a queue of its own: late acknowledgement, retries with
growing waits, a short visibility time-out, a broker with an append-only file. No table of work, no
leases, no sweeps, no look at what people did. `python -m tests.system.chaos.control` receives;
`celery -A tests.system.chaos.control worker` works.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import os
from typing import Any

import uvicorn
from celery import Celery
from kombu.exceptions import OperationalError
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from app.core.settings import load
from app.github.client import AppClient
from tests.system.chaos import cheap

settings = load()
celery = Celery("control", broker=settings.celery_broker_url)
celery.conf.update(
    task_ignore_result=True,
    task_acks_late=True,
    task_reject_on_worker_lost=True,
    worker_prefetch_multiplier=1,
    broker_connection_retry_on_startup=True,
    broker_connection_max_retries=None,
    broker_transport_options={
        "socket_timeout": 3,
        "socket_connect_timeout": 2,
        "visibility_timeout": 20,
        "unacked_restore_throttle": 1,
    },
    task_routes={"control.triage": {"queue": "triage"}, "control.label": {"queue": "label"}},
)
_STUBBORN: dict[str, Any] = {
    "autoretry_for": (Exception,),
    "retry_backoff": 1,
    "retry_backoff_max": 30,
    "max_retries": 8,
}
_github: list[AppClient] = []


@celery.task(name="control.triage", **_STUBBORN)  # type: ignore[untyped-decorator]
def triage(installation: int, repository: str, number: int, title: str) -> None:
    """Score an issue and pass its labels on."""
    names = list(cheap.labels(title).values())
    celery.send_task("control.label", (installation, repository, number, names))


@celery.task(name="control.label", **_STUBBORN)  # type: ignore[untyped-decorator]
def label(installation: int, repository: str, number: int, names: list[str]) -> None:
    """Put labels on an issue."""
    if not _github:
        _github.append(AppClient.from_settings(settings))
    with _github[0].installation(installation) as client:
        client.add_labels(repository, number, names)


async def receive(request: Request) -> Response:
    """Take a webhook in: 202 once the broker has the message, 503 if it does not take it."""
    body = await request.body()
    secret = settings.webhook_secrets[0]
    wanted = "sha256=" + hmac.new(secret, body, hashlib.sha256).hexdigest()
    if not hmac.compare_digest(wanted, request.headers.get("x-hub-signature-256", "")):
        return Response(status_code=401)
    payload = json.loads(body)
    if request.headers.get("x-github-event") == "issues" and payload.get("action") in (
        "opened",
        "edited",
    ):
        issue = payload["issue"]
        work = (
            payload["installation"]["id"],
            payload["repository"]["full_name"],
            issue["number"],
            issue["title"],
        )
        try:
            await run_in_threadpool(celery.send_task, "control.triage", work, retry=False)
        except (OperationalError, OSError):
            return Response(status_code=503)
    return Response(status_code=202)


application = Starlette(routes=[Route("/webhooks/github", receive, methods=["POST"])])

if __name__ == "__main__":
    os.umask(0o077)
    uvicorn.run(application, port=settings.port, log_level="warning")
