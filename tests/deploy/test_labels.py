"""What GitHub promises of labels: additive, idempotent, whatever the case of a name."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import quote

import pytest

from deploy.sandbox.sandbox import Sandbox
from tests.deploy.app_client import REPO, call, installation_token


@pytest.fixture
def token(github: Sandbox) -> str:
    return installation_token(github)


@pytest.fixture
def labels_of_issue(github: Sandbox) -> str:
    return f"{REPO}/issues/{github.open_issue()['number']}/labels"


def test_adding_keeps_what_stands_and_twice_changes_nothing(
    github: Sandbox, token: str, labels_of_issue: str
) -> None:
    github.label(1, "question")
    for _ in range(2):
        answer = call(github, "POST", labels_of_issue, token, json={"labels": ["bug", "BUG"]})
        assert [label["name"] for label in answer.json()] == ["question", "bug"]
    assert [e["event"] for e in github.events(1)] == ["labeled", "labeled"]


def test_an_unknown_name_becomes_a_label_in_the_default_colour(
    github: Sandbox, token: str, labels_of_issue: str
) -> None:
    call(github, "POST", labels_of_issue, token, json={"labels": ["brand new"]})
    made = call(github, "GET", f"{REPO}/labels/Brand%20New", token).json()
    assert (made["name"], made["color"], made["description"]) == ("brand new", "ededed", None)


def test_replacing_takes_off_what_is_not_named(
    github: Sandbox, token: str, labels_of_issue: str
) -> None:
    github.label(1, "bug", "question")
    answer = call(
        github, "PUT", labels_of_issue, token, json={"labels": ["question", "enhancement"]}
    )
    assert [label["name"] for label in answer.json()] == ["question", "enhancement"]


def test_removing_a_label_that_is_not_there_is_404(
    github: Sandbox, token: str, labels_of_issue: str
) -> None:
    github.label(1, "severity/high", "bug")
    path = f"{labels_of_issue}/{quote('Severity/High', safe='')}"
    answer = call(github, "DELETE", path, token)
    assert [label["name"] for label in answer.json()] == ["bug"]
    again = call(github, "DELETE", path, token)
    assert (again.status_code, again.json()["message"]) == (404, "Label does not exist")


def test_names_and_numbers_have_github_limits(
    github: Sandbox, token: str, labels_of_issue: str
) -> None:
    too_long = call(github, "POST", labels_of_issue, token, json={"labels": ["x" * 51]})
    assert too_long.status_code == 422
    many = [f"label {number}" for number in range(100)]
    assert call(github, "POST", labels_of_issue, token, json={"labels": many}).status_code == 200
    one_more = call(github, "POST", labels_of_issue, token, json={"labels": ["one more"]})
    assert one_more.status_code == 422
    described = {"name": "x", "color": "ffffff", "description": "y" * 101}
    assert call(github, "POST", f"{REPO}/labels", token, json=described).status_code == 422
    coloured = {"name": "x", "color": "#ffffff"}
    assert call(github, "POST", f"{REPO}/labels", token, json=coloured).status_code == 422


def test_a_name_is_taken_in_any_case(github: Sandbox, token: str) -> None:
    answer = call(github, "POST", f"{REPO}/labels", token, json={"name": "BUG", "color": "ffffff"})
    assert answer.status_code == 422
    assert answer.json()["errors"][0]["code"] == "already_exists"


def test_a_renamed_label_is_renamed_on_issues_and_a_deleted_one_leaves_them(
    github: Sandbox, token: str, labels_of_issue: str
) -> None:
    github.label(1, "bug", "question")
    call(github, "PATCH", f"{REPO}/labels/bug", token, json={"new_name": "defect"})
    assert github.labels(1) == ["defect", "question"]
    assert call(github, "GET", f"{REPO}/labels/bug", token).status_code == 404
    call(github, "DELETE", f"{REPO}/labels/question", token)
    assert github.labels(1) == ["defect"]


def test_events_and_timeline_say_who_did_what_and_through_which_app(
    github: Sandbox, token: str, labels_of_issue: str
) -> None:
    call(github, "POST", labels_of_issue, token, json={"labels": ["bug"]})
    github.unlabel(1, "bug", by="mara")
    github.edit_issue(1, title="Another title")
    github.comment(1, "Seen.", by="tom")
    github.edit_issue(1, by="tom", state="closed")
    told = [
        (e["event"], e["actor"]["login"], (e["performed_via_github_app"] or {}).get("slug"))
        for e in github.rest("GET", f"{REPO}/issues/1/timeline")
    ]
    assert told == [
        ("labeled", "triora[bot]", "triora"),
        ("unlabeled", "mara", None),
        ("renamed", "rita", None),
        ("commented", "tom", None),
        ("closed", "tom", None),
    ]
    assert [e["event"] for e in github.events(1)] == ["labeled", "unlabeled", "renamed", "closed"]


@pytest.mark.parametrize(
    ("login", "permission", "role", "triage"),
    [
        ("mara", "admin", "admin", True),
        ("tom", "read", "triage", True),
        ("rita", "read", "read", False),
    ],
)
def test_a_persons_permission_hides_triage_behind_read(
    github: Sandbox, token: str, login: str, permission: str, role: str, triage: bool
) -> None:
    answer = call(github, "GET", f"{REPO}/collaborators/{login}/permission", token).json()
    assert (answer["permission"], answer["role_name"]) == (permission, role)
    assert answer["user"]["permissions"]["triage"] is triage


def test_a_suggested_label_waits_for_a_person(
    github: Sandbox, token: str, labels_of_issue: str
) -> None:
    wanted = {"labels": [{"name": "bug", "suggest": True, "confidence": "low"}]}
    github.change_repository(suggestions_enabled=True)
    call(github, "POST", labels_of_issue, token, json=wanted)
    assert github.labels(1) == []
    pending = github.rest("GET", f"{REPO}/issues/1/suggestions")
    github.rest("POST", f"{REPO}/issues/1/suggestions/{pending[0]['id']}/approve", by="tom")
    assert github.labels(1) == ["bug"]
    assert github.events(1)[0]["actor"]["login"] == "tom"
    assert github.rest("GET", f"{REPO}/issues/1/suggestions") == []


def test_without_the_preview_a_suggestion_is_a_plain_label(
    github: Sandbox, token: str, labels_of_issue: str
) -> None:
    wanted = {"labels": [{"name": "bug", "suggest": True}]}
    call(github, "POST", labels_of_issue, token, json=wanted)
    assert github.labels(1) == ["bug"]


def test_deleting_a_label_tells_of_each_issue_without_naming_it(
    github: Sandbox, repository: str
) -> None:
    sent: list[Any] = []
    github.hook(url="http://127.0.0.1:1/")
    github.standin.hooks.observers.append(sent.append)
    github.rest("POST", f"/repos/{repository}/labels", json={"name": "gone", "color": "0" * 6})
    number = github.open_issue(labels=["gone"], by="mara", repository=repository)["number"]
    before = len(sent)
    github.delete_label("gone", repository=repository)
    assert [(d.event, d.action) for d in sent[before:]] == [
        ("issues", "unlabeled"),
        ("label", "deleted"),
    ]
    assert "label" not in json.loads(sent[before].payload)
    assert [e["event"] for e in github.events(number, repository)] == ["labeled"]


def test_another_app_acts_as_itself_or_in_a_persons_name(github: Sandbox, repository: str) -> None:
    number = github.open_issue(repository=repository)["number"]
    github.relay(number, repository=repository, add=["a"])
    github.relay(number, repository=repository, by="tom", add=["b"], remove=["a"], close=True)
    found = [
        (e["event"], e["actor"]["login"], e["performed_via_github_app"]["slug"])
        for e in github.events(number, repository)
    ]
    assert found == [
        ("labeled", "board-sync[bot]", "board-sync"),
        ("unlabeled", "tom", "board-sync"),
        ("labeled", "tom", "board-sync"),
        ("closed", "tom", "board-sync"),
    ]
