"""Issues over REST: lists, pages, caching, redirects and what is gone."""

from __future__ import annotations

import base64

import pytest

from deploy.sandbox.remote import PROJECT
from deploy.sandbox.sandbox import Sandbox
from tests.deploy.app_client import REPO, call, installation_token, signed

OTHER = "lantern-works/emberfall-server"


@pytest.fixture
def token(github: Sandbox) -> str:
    return installation_token(github)


def test_the_list_is_filtered_by_state_label_author_and_time(github: Sandbox, token: str) -> None:
    old = github.open_issue("Old", by="rita")["number"]
    closed = github.open_issue("Closed", by="tom")["number"]
    github.edit_issue(closed, by="tom", state="closed")
    github.label(old, "bug")
    github.skew(600)
    new = github.open_issue("New", by="tom")

    def numbers(query: str) -> list[int]:
        found = call(github, "GET", f"{REPO}/issues?{query}", token).json()
        return [issue["number"] for issue in found]

    found = {
        query: numbers(query)
        for query in (
            "",
            "state=closed",
            "state=all&direction=asc",
            "labels=bug",
            "labels=BUG,question",
            "creator=tom&state=all",
            f"since={new['created_at']}",
        )
    }
    assert found == {
        "": [3, 1],
        "state=closed": [2],
        "state=all&direction=asc": [1, 2, 3],
        "labels=bug": [1],
        "labels=BUG,question": [],
        "creator=tom&state=all": [3, 2],
        f"since={new['created_at']}": [3],
    }


def test_pull_requests_stand_in_the_list_and_can_be_told_apart(github: Sandbox, token: str) -> None:
    github.open_issue()
    github.control("POST", f"/repositories/{PROJECT}/pulls", json={"title": "Mend the lantern"})
    found = call(github, "GET", f"{REPO}/issues", token).json()
    assert [("pull_request" in issue) for issue in found] == [True, False]


def test_every_issue_is_on_exactly_one_page_and_links_lead_through_all(
    github: Sandbox, token: str
) -> None:
    for number in range(7):
        github.open_issue(f"Report {number}")
    path, seen, links = "/repos/lantern-works/emberfall/issues?per_page=3", [], []
    while path:
        answer = call(github, "GET", path, token)
        seen += [issue["number"] for issue in answer.json()]
        links.append(sorted(answer.links))
        path = answer.links.get("next", {}).get("url", "").removeprefix(github.api_url)
    assert seen == [7, 6, 5, 4, 3, 2, 1]
    assert links == [["last", "next"], ["first", "last", "next", "prev"], ["first", "prev"]]
    assert "link" not in call(github, "GET", f"{REPO}/issues", token).headers


def test_a_page_holds_a_hundred_at_most(github: Sandbox, token: str) -> None:
    for number in range(101):
        github.control("POST", f"/repositories/{PROJECT}/pulls", json={"title": f"{number}"})
    assert len(call(github, "GET", f"{REPO}/issues?per_page=100", token).json()) == 100


def test_an_unchanged_answer_is_a_304_that_costs_nothing(github: Sandbox, token: str) -> None:
    number = github.open_issue()["number"]
    path = f"{REPO}/issues/{number}"
    first = call(github, "GET", path, token)
    known = {"if-none-match": first.headers["etag"]}
    second = call(github, "GET", path, token, headers=known)
    assert (second.status_code, second.content) == (304, b"")
    used = [int(answer.headers["x-ratelimit-used"]) for answer in (first, second)]
    assert used[1] == used[0]
    github.label(number, "bug")
    assert call(github, "GET", path, token, headers=known).status_code == 200


def test_a_file_comes_in_base64_and_caches(github: Sandbox, token: str) -> None:
    text = "labels:\n  severity: [high, low]\n" * 10
    github.put_file(".github/triora.yml", text)
    path = f"{REPO}/contents/.github/triora.yml"
    answer = call(github, "GET", path, token)
    assert base64.b64decode(answer.json()["content"]).decode() == text
    known = {"if-none-match": answer.headers["etag"]}
    assert call(github, "GET", path, token, headers=known).status_code == 304
    github.put_file(".github/triora.yml", text + "# changed\n")
    assert call(github, "GET", path, token, headers=known).status_code == 200
    assert call(github, "GET", f"{path}?ref=elsewhere", token).status_code == 404
    github.control("DELETE", f"/repositories/{PROJECT}/files/.github/triora.yml")
    assert call(github, "GET", path, token).status_code == 404


@pytest.mark.parametrize("change", [{"name": "emberrise"}, {"owner": "ember-guild"}])
def test_a_moved_repository_redirects_by_its_number(
    github: Sandbox, change: dict[str, str]
) -> None:
    person = github.token_of("mara")
    number = github.open_issue()["number"]
    moved = github.change_repository(**change)
    answer = call(
        github, "POST", f"{REPO}/issues/{number}/labels", person, json={"labels": ["bug"]}
    )
    assert answer.status_code == 301
    where = answer.headers["location"].removeprefix(github.api_url)
    assert where == f"/repositories/{moved['id']}/issues/{number}/labels"
    assert call(github, "GET", where, person).json() == []
    app = call(github, "GET", f"{REPO}/installation", signed(github))
    assert app.status_code == 301
    by_number = call(github, "GET", f"/repositories/{moved['id']}", person).json()
    assert by_number["full_name"] == moved["full_name"]


def test_a_deleted_issue_is_410_and_a_transferred_one_redirects(
    github: Sandbox, token: str
) -> None:
    gone, sent = github.open_issue()["number"], github.open_issue("Not ours")["number"]
    github.control("DELETE", f"/repositories/{PROJECT}/issues/{gone}")
    path = f"/repositories/{PROJECT}/issues/{sent}/transfer"
    github.control("POST", path, json={"repository": OTHER})
    assert call(github, "GET", f"{REPO}/issues/{gone}", token).status_code == 410
    answer = call(github, "GET", f"{REPO}/issues/{sent}", token)
    assert answer.status_code == 301
    where = answer.headers["location"].removeprefix(github.api_url)
    assert call(github, "GET", where, token).json()["title"] == "Not ours"
    assert call(github, "GET", f"{REPO}/issues/99", token).status_code == 404


def test_issues_that_are_switched_off_are_410(github: Sandbox, token: str) -> None:
    number = github.open_issue()["number"]
    github.change_repository(has_issues=False)
    for method, path in (("GET", f"{REPO}/issues"), ("GET", f"{REPO}/issues/{number}")):
        assert call(github, method, path, token).status_code == 410
    opened = call(github, "POST", f"{REPO}/issues", token, json={"title": "More"})
    assert opened.status_code == 410


@pytest.mark.parametrize(
    "wanted",
    [{"title": ""}, {"title": "x" * 1025}, {"title": "x", "body": "y" * 65537}],
)
def test_an_issue_github_would_refuse_is_refused(
    github: Sandbox, token: str, wanted: dict[str, str]
) -> None:
    answer = call(github, "POST", f"{REPO}/issues", token, json=wanted)
    assert answer.status_code == 422
    assert answer.json()["message"] == "Validation Failed"


def test_a_body_that_is_not_json_is_refused(github: Sandbox, token: str) -> None:
    answer = call(github, "POST", f"{REPO}/issues", token, content=b"{", wrong=True)
    assert (answer.status_code, answer.json()["message"]) == (400, "Problems parsing JSON")


def test_authors_change_their_own_issue_and_strangers_do_not(github: Sandbox) -> None:
    number = github.open_issue(by="tom")["number"]
    path = f"{REPO}/issues/{number}"
    title = {"title": "A better title"}
    assert call(github, "PATCH", path, github.token_of("rita"), json=title).status_code == 403
    assert call(github, "PATCH", path, github.token_of("tom"), json=title).status_code == 200
