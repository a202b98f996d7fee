"""Every operation and webhook of the stand-in, held against GitHub's own description."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from deploy.sandbox.remote import PROJECT
from deploy.sandbox.sandbox import Sandbox
from tests.contract import operations
from tests.contract.judge import Judge
from tests.deploy.app_client import REPO, call, installation_token, signed
from tests.deploy.receiver import Receiver

OTHER = "lantern-works/emberfall-server"
Ask = Callable[..., Any]


def asking(github: Sandbox, token: str) -> Ask:
    """Requests with one token that must succeed; their JSON."""

    def ask(method: str, path: str, json: Any = None, **params: Any) -> Any:
        answer = call(github, method, path, token, json=json, params=params or None)
        assert answer.is_success, f"{method} {path}: {answer.status_code} {answer.text}"
        return answer.json() if answer.content else None

    return ask


def as_app(github: Sandbox) -> None:
    ask = asking(github, signed(github))
    installation = f"/app/installations/{github.installation_id}"
    ask("GET", "/app")
    ask("GET", "/app/installations", per_page=1)
    ask("GET", installation)
    ask("POST", f"{installation}/access_tokens", {"repositories": ["emberfall"]})
    ask("GET", "/orgs/lantern-works/installation")
    ask("GET", "/users/lantern-works/installation")
    ask("GET", f"{REPO}/installation")
    ask("GET", "/app/hook/config")
    ask("PATCH", "/app/hook/config", {"content_type": "json"})
    failed = ask("GET", "/app/hook/deliveries", per_page=2, status="success")
    ask("GET", f"/app/hook/deliveries/{failed[0]['id']}")
    ask("POST", f"/app/hook/deliveries/{failed[0]['id']}/attempts")


def as_installation(github: Sandbox) -> None:
    ask = asking(github, installation_token(github))
    ask("GET", "/zen")
    ask("GET", "/installation/repositories")
    ask("GET", "/users/triora%5Bbot%5D")
    ask("GET", REPO)
    ask("GET", f"{REPO}/collaborators/tom/permission")
    ask("GET", f"{REPO}/contents/.github/triora.yml")
    ask("POST", f"{REPO}/labels", {"name": "severity: low", "color": "0e8a16"})
    ask("GET", f"{REPO}/labels", per_page=100)
    ask("PATCH", f"{REPO}/labels/severity%3A%20low", {"new_name": "severity: minor"})
    ask("GET", f"{REPO}/labels/severity%3A%20minor")
    opened = ask("POST", f"{REPO}/issues", {"title": "A problem with the configuration"})
    issue = f"{REPO}/issues/{opened['number']}"
    ask("GET", f"{REPO}/issues", state="all", since="2020-01-01T00:00:00Z", sort="updated")
    ask("GET", issue)
    ask("PATCH", issue, {"title": "Two problems with the configuration", "body": "Line 3."})
    ask("POST", f"{issue}/labels", {"labels": ["bug", "severity: minor"]})
    ask("GET", f"{issue}/labels")
    ask("DELETE", f"{issue}/labels/bug")
    ask("PUT", f"{issue}/labels", {"labels": ["bug"]})
    comment = ask("POST", f"{issue}/comments", {"body": "Seen."})
    discuss(ask, issue, f"{REPO}/issues/comments/{comment['id']}")
    ask("DELETE", f"{issue}/labels")
    ask("DELETE", f"{REPO}/labels/severity%3A%20minor")
    ask("PATCH", issue, {"state": "closed", "state_reason": "completed"})
    ask("PATCH", issue, {"state": "open"})
    ask("DELETE", "/installation/token")


def discuss(ask: Ask, issue: str, comment: str) -> None:
    ask("GET", f"{issue}/comments")
    ask("GET", f"{REPO}/issues/comments", direction="desc")
    ask("GET", comment)
    ask("PATCH", comment, {"body": "Seen and understood."})
    ask("POST", f"{comment}/reactions", {"content": "+1"})
    ask("GET", f"{comment}/reactions")
    ask("GET", f"{issue}/events")
    ask("GET", f"{issue}/timeline")
    ask("GET", f"{REPO}/issues/events")
    ask("DELETE", comment)


def as_person(github: Sandbox) -> None:
    ask = asking(github, github.token_of("mara"))
    ask("GET", "/user")
    ask("GET", "/user/installations")
    ask("GET", f"/user/installations/{github.installation_id}/repositories")
    github.change_repository(suggestions_enabled=True)
    issue = f"{REPO}/issues/{github.open_issue()['number']}"
    proposals = [
        {"name": name, "suggest": True, "rationale": "It says so.", "confidence": "high"}
        for name in ("bug", "question")
    ]
    ask("POST", f"{issue}/labels", {"labels": proposals})
    first, second = ask("GET", f"{issue}/suggestions")
    ask("POST", f"{issue}/suggestions/{first['id']}/approve")
    ask("POST", f"{issue}/suggestions/{second['id']}/dismiss")


def as_owner(github: Sandbox) -> None:
    """What makes the webhooks that no operation makes."""
    github.control("POST", "/hook/ping")
    gone, sent = github.open_issue("Twice"), github.open_issue("Not ours")
    github.control("DELETE", f"/repositories/{PROJECT}/issues/{gone['number']}")
    path = f"/repositories/{PROJECT}/issues/{sent['number']}/transfer"
    github.control("POST", path, json={"repository": OTHER})
    installation = github.installation_id
    github.change_installation(installation, suspended=True)
    github.change_installation(installation, suspended=False)
    github.change_installation(installation, remove=[OTHER])
    github.change_installation(installation, add=[OTHER])
    github.change_installation(installation, permissions={"issues": "write", "metadata": "read"})
    github.change_repository(OTHER, name="emberfall-host")
    github.control("DELETE", "/repositories/lantern-works/emberfall-host")
    github.control("DELETE", f"/installations/{installation}")
    github.control("POST", "/installations", json={"account": "lantern-works"})
    github.change_repository(owner="ember-guild")


def test_every_operation_and_webhook_is_as_github_describes_it(
    github: Sandbox, receiver: Receiver, contract: Judge
) -> None:
    github.hook(url=receiver.url)
    github.put_file(".github/triora.yml", "dry_run: true\n")
    github.label(github.open_issue()["number"], "bug")
    github.settle()
    for tour in (as_app, as_installation, as_person, as_owner):
        tour(github)
    github.settle()
    wanted = set(operations.OPERATIONS) | {
        f"webhook {operations.webhook_name(event, action)}"
        for event, actions in operations.WEBHOOKS.items()
        for action in actions
    }
    # The App loses a repository that leaves its account, so nobody is told of the transfer.
    assert wanted - contract.seen == {"webhook repository-transferred"}
    assert not contract.violations


def test_the_standin_serves_exactly_the_operations_that_are_checked(github: Sandbox) -> None:
    served = {f"{route.method} {route.template}" for route in github.standin.rest.routes}
    assert served == set(operations.OPERATIONS)


@pytest.mark.parametrize(
    ("method", "path", "options", "complaint"),
    [
        ("GET", "/repos/a/b/milestones", {}, "no such operation"),
        ("GET", f"{REPO}/issues", {"params": {"stat": "all"}}, "'stat' is unknown"),
        ("GET", f"{REPO}/issues", {"params": {"state": "opened"}}, "query parameter 'state'"),
        ("POST", f"{REPO}/labels", {"json": {"name": "x", "colour": "red"}}, "colour"),
        ("POST", f"{REPO}/issues", {"json": {"body": "no title"}}, "title"),
    ],
)
def test_a_wrong_request_is_a_violation_that_names_its_route(
    github: Sandbox,
    contract: Judge,
    method: str,
    path: str,
    options: dict[str, Any],
    complaint: str,
) -> None:
    call(github, method, path, github.token_of("mara"), **options)
    found, contract.violations = contract.violations, []
    assert len(found) == 1, found
    assert found[0].startswith(f"{method} {path}")
    assert complaint in found[0]


def test_a_field_github_does_not_know_in_an_answer_is_a_violation(
    github: Sandbox, contract: Judge, monkeypatch: pytest.MonkeyPatch
) -> None:
    from deploy.sandbox.world import shapes

    true_shape = shapes.comment
    monkeypatch.setattr(shapes, "comment", lambda *args: true_shape(*args) | {"colour": "red"})
    number = github.open_issue()["number"]
    github.comment(number, "Seen.")
    found, contract.violations = contract.violations, []
    assert any("colour" in text for text in found)
