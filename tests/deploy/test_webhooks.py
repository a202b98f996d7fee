"""Deliveries: signed, sent once, kept, redelivered with the same GUID."""

from __future__ import annotations

import hashlib
import hmac
import json
from typing import Any

import pytest

from deploy.sandbox.remote import PROJECT
from deploy.sandbox.sandbox import Sandbox
from tests.deploy.app_client import REPO, call, installation_token, signed
from tests.deploy.receiver import Arrival, Receiver
from tests.waiting import until


@pytest.fixture(autouse=True)
def hooked(github: Sandbox, receiver: Receiver) -> None:
    github.hook(url=receiver.url)


def told(receiver: Receiver) -> list[str]:
    """event.action of what arrived, sorted: order is not promised."""
    return sorted(
        f"{a.headers['x-github-event']}.{json.loads(a.body)['action']}" for a in receiver.arrivals
    )


def signature(secret: str, arrival: Arrival) -> str:
    return "sha256=" + hmac.new(secret.encode(), arrival.body, hashlib.sha256).hexdigest()


def test_a_new_issue_arrives_signed_with_all_of_githubs_headers(
    github: Sandbox, receiver: Receiver
) -> None:
    opened = github.open_issue("It breaks ✂️", "ünïcödé")
    github.settle()
    (arrival,) = receiver.arrivals
    headers = arrival.headers
    assert headers["x-github-event"] == "issues"
    assert headers["content-type"] == "application/json"
    assert headers["user-agent"].startswith("GitHub-Hookshot/")
    assert headers["x-github-hook-installation-target-type"] == "integration"
    assert headers["x-github-hook-installation-target-id"] == str(github.app_id)
    assert headers["x-hub-signature-256"] == signature(github.webhook_secret, arrival)
    payload = json.loads(arrival.body)
    assert payload["issue"]["id"] == opened["id"]
    assert payload["sender"]["login"] == "rita"
    assert payload["installation"]["id"] == github.installation_id
    assert payload["repository"]["full_name"] == PROJECT


def test_a_rotated_secret_signs_what_is_sent_from_then_on(
    github: Sandbox, receiver: Receiver
) -> None:
    github.hook(secret="the next one")
    github.open_issue()
    github.settle()
    (arrival,) = receiver.arrivals
    assert arrival.headers["x-hub-signature-256"] == signature("the next one", arrival)


def test_labels_written_by_the_app_come_back_with_its_bot_as_sender(
    github: Sandbox, receiver: Receiver
) -> None:
    github.open_issue()
    token = installation_token(github)
    call(github, "POST", f"{REPO}/issues/1/labels", token, json={"labels": ["bug", "question"]})
    github.settle()
    labeled = [json.loads(a.body) for a in receiver.arrivals if b'"labeled"' in a.body]
    assert {p["label"]["name"] for p in labeled} == {"bug", "question"}
    assert {(p["sender"]["login"], p["sender"]["type"]) for p in labeled} == {
        ("triora[bot]", "Bot")
    }
    assert all(len(p["issue"]["labels"]) == 2 for p in labeled)


def test_template_labels_come_in_the_authors_name(github: Sandbox, receiver: Receiver) -> None:
    github.open_from_template("From the form", "bug", by="rita")
    github.settle()
    labeled = [p for a in receiver.arrivals if (p := json.loads(a.body))["action"] == "labeled"]
    assert [(p["label"]["name"], p["sender"]["login"]) for p in labeled] == [("bug", "rita")]


def test_an_edit_says_what_it_was_before(github: Sandbox, receiver: Receiver) -> None:
    github.open_issue("Before", "Old text")
    github.edit_issue(1, title="After", body="New text")
    github.settle()
    edited = next(p for a in receiver.arrivals if (p := json.loads(a.body))["action"] == "edited")
    assert edited["changes"] == {"title": {"from": "Before"}, "body": {"from": "Old text"}}
    assert edited["issue"]["title"] == "After"


def test_every_act_on_an_issue_is_told_once(github: Sandbox, receiver: Receiver) -> None:
    github.open_issue(by="tom", labels=["bug"])
    github.unlabel(1, "bug")
    github.comment(1, "Seen.")
    github.edit_issue(1, by="tom", state="closed")
    github.edit_issue(1, by="tom", state="closed")
    github.edit_issue(1, by="tom", state="open")
    github.rest("PATCH", f"{REPO}/labels/bug", json={"new_name": "defect"})
    github.control("DELETE", f"/repositories/{PROJECT}/issues/1")
    github.settle()
    assert told(receiver) == [
        "issue_comment.created",
        "issues.closed",
        "issues.deleted",
        "issues.labeled",
        "issues.opened",
        "issues.reopened",
        "issues.unlabeled",
        "label.edited",
    ]


def test_nothing_is_told_where_the_app_is_not_installed_or_not_subscribed(
    github: Sandbox, receiver: Receiver
) -> None:
    github.control("POST", "/repositories", json={"full_name": "rita/notes"})
    github.open_issue(repository="rita/notes")
    github.control("POST", f"/repositories/{PROJECT}/pulls", json={"title": "Mend it"})
    github.change_installation(github.installation_id, suspended=True)
    github.open_issue()
    github.settle()
    assert told(receiver) == ["installation.suspend"]


def test_a_failed_delivery_is_kept_and_not_tried_again(github: Sandbox, receiver: Receiver) -> None:
    receiver.status = 503
    github.open_issue()
    github.settle()
    receiver.status = 202
    github.settle()
    assert len(receiver.arrivals) == 1
    (kept,) = github.deliveries()
    assert (kept["status_code"], kept["status"]) == (503, "Invalid HTTP Response: 503")


def test_a_redelivery_keeps_guid_and_payload_and_has_an_id_of_its_own(
    github: Sandbox, receiver: Receiver
) -> None:
    receiver.status = 503
    github.open_issue()
    github.settle()
    receiver.status = 202
    app = signed(github)
    (failed,) = call(github, "GET", "/app/hook/deliveries?status=failure", app).json()
    path = f"/app/hook/deliveries/{failed['id']}"
    assert call(github, "POST", f"{path}/attempts", app).status_code == 202
    github.settle()
    first, second = receiver.arrivals
    assert first.body == second.body
    assert first.headers["x-github-delivery"] == second.headers["x-github-delivery"]
    again, original = call(github, "GET", "/app/hook/deliveries", app).json()
    assert again["guid"] == original["guid"] == failed["guid"]
    assert (again["redelivery"], original["redelivery"]) == (True, False)
    assert again["id"] != original["id"]
    whole = call(github, "GET", path, app).json()
    assert whole["request"]["payload"] == json.loads(first.body)
    assert whole["request"]["headers"]["X-GitHub-Delivery"] == failed["guid"]
    assert whole["response"]["payload"] == "ok"


def test_an_answer_that_takes_too_long_is_a_time_out(github: Sandbox, receiver: Receiver) -> None:
    github.hook(timeout=0.2)
    receiver.gate.clear()
    github.open_issue()
    github.settle()
    (kept,) = github.deliveries()
    assert (kept["status_code"], kept["status"]) == (504, "timed out")


def test_a_receiver_that_is_not_there_is_a_failure(github: Sandbox) -> None:
    github.hook(url="http://127.0.0.1:9/webhooks/github")
    github.open_issue()
    github.settle()
    (kept,) = github.deliveries()
    assert (kept["status_code"], kept["status"]) == (502, "failed to connect to host")


def test_the_cursor_leads_through_all_deliveries_while_new_ones_come(
    github: Sandbox, receiver: Receiver
) -> None:
    for number in range(5):
        github.open_issue(f"Report {number}")
    github.settle()
    app, seen = signed(github), []
    path = "/app/hook/deliveries?per_page=2"
    while path:
        answer = call(github, "GET", path, app)
        seen += [item["id"] for item in answer.json()]
        path = answer.links.get("next", {}).get("url", "").removeprefix(github.api_url)
        github.open_issue("Meanwhile")
    assert len(seen) == len(set(seen)) == 5
    assert call(github, "GET", "/app/hook/deliveries?cursor=x", app).status_code == 400


def test_deliveries_do_not_wait_for_each_other(github: Sandbox, receiver: Receiver) -> None:
    receiver.gate.clear()
    for number in range(4):
        github.open_issue(f"Report {number}")
    until(lambda: len(receiver.arrivals) == 4, "four deliveries at once")
    receiver.gate.set()
    github.settle()
    assert [d["status_code"] for d in github.deliveries()] == [202] * 4


def test_bad_weather_loses_and_doubles_and_repeats_with_its_seed(
    github: Sandbox, receiver: Receiver
) -> None:
    def storm() -> list[tuple[bool, bool]]:
        before = len(github.deliveries())
        github.hook(lose=0.3, duplicate=0.3, delay=0.02, seed=7)
        for number in range(20):
            github.open_issue(f"Report {number}")
        github.settle()
        fresh: list[dict[str, Any]] = github.deliveries()[before:]
        guids = list(dict.fromkeys(d["guid"] for d in fresh))
        mine = {guid: [d for d in fresh if d["guid"] == guid] for guid in guids}
        return [(all(d["status_code"] != 202 for d in of), len(of) == 2) for of in mine.values()]

    first = storm()
    assert any(lost for lost, _ in first)
    assert any(twice for _, twice in first)
    assert storm() == first
