"""The App's webhook, what it delivered, and the second attempt."""

from __future__ import annotations

import json
from typing import Any

from deploy.sandbox.hooks import Hooks
from deploy.sandbox.rest.exchange import Refusal, Reply, not_found
from deploy.sandbox.rest.routing import APP, LARGEST_PAGE, Call, Routes
from deploy.sandbox.world.accounts_shape import stamp
from deploy.sandbox.world.model import Delivery


def table(hooks: Hooks) -> Routes:
    """The routes over one webhook."""
    routes = Routes()

    @routes.add("GET", "/app/hook/config", APP)
    def get_config(call: Call) -> Reply:
        return Reply(data=_config(hooks))

    @routes.add("PATCH", "/app/hook/config", APP)
    def change_config(call: Call) -> Reply:
        wanted = call.fields()
        hooks.url = wanted.get("url", hooks.url)
        hooks.secret = wanted.get("secret", hooks.secret)
        return Reply(data=_config(hooks))

    @routes.add("GET", "/app/hook/deliveries", APP)
    def list_deliveries(call: Call) -> Reply:
        return _page(call, _chosen(call, hooks.newest_first()))

    @routes.add("GET", "/app/hook/deliveries/{delivery_id}", APP)
    def get_delivery(call: Call) -> Reply:
        return Reply(data=_whole(_find(call, hooks)))

    @routes.add("POST", "/app/hook/deliveries/{delivery_id}/attempts", APP)
    def redeliver(call: Call) -> Reply:
        hooks.redeliver(_find(call, hooks))
        return Reply(202, {})

    return routes


def _config(hooks: Hooks) -> dict[str, Any]:
    shown = {"content_type": "json", "insecure_ssl": "0", "url": hooks.url}
    return shown | ({"secret": "********"} if hooks.secret else {})


def _find(call: Call, hooks: Hooks) -> Delivery:
    found = hooks.find(int(call.params["delivery_id"]))
    if found is None:
        raise not_found()
    return found


def _chosen(call: Call, deliveries: list[Delivery]) -> list[Delivery]:
    status = call.query.get("status")
    if status is None:
        return deliveries
    if status not in ("success", "failure"):
        raise Refusal(422, f"Invalid status: {status}")
    return [d for d in deliveries if d.failed == (status == "failure")]


def _page(call: Call, deliveries: list[Delivery]) -> Reply:
    """Newest first; the cursor names the last delivery seen, so that new ones shift nothing."""
    cursor = call.query.get("cursor", "")
    if cursor:
        mark = cursor.removeprefix("v1_")
        if not mark.isdecimal():
            raise Refusal(400, "Invalid cursor")
        deliveries = [d for d in deliveries if d.id < int(mark)]
    size = call.integer("per_page", 30, LARGEST_PAGE)
    shown, more = deliveries[:size], len(deliveries) > size
    headers = {}
    if more:
        headers["link"] = call.link({"next": {"cursor": f"v1_{shown[-1].id}"}})
    return Reply(data=[_item(d) for d in shown], headers=headers)


def _item(delivery: Delivery) -> dict[str, Any]:
    return {
        "id": delivery.id,
        "guid": delivery.guid,
        "delivered_at": stamp(delivery.delivered),
        "redelivery": delivery.redelivery,
        "duration": delivery.duration,
        "status": delivery.status,
        "status_code": delivery.status_code,
        "event": delivery.event,
        "action": delivery.action,
        "installation_id": delivery.installation_id,
        "repository_id": delivery.repository_id,
        "throttled_at": None,
    }


def _whole(delivery: Delivery) -> dict[str, Any]:
    return _item(delivery) | {
        "url": delivery.url,
        "request": {
            "headers": delivery.request_headers,
            "payload": json.loads(delivery.payload),
        },
        "response": {"headers": delivery.response_headers, "payload": delivery.response_body},
    }
