"""The pages in a real browser: what a maintainer sees and does, live and without JavaScript."""

from __future__ import annotations

import base64
import os
from collections.abc import Iterator

import httpx
import pytest
from playwright.sync_api import Browser, BrowserContext, Page, expect, sync_playwright

from deploy.sandbox.demo.screenshot import QUIET
from deploy.sandbox.sandbox import Sandbox
from tests.deploy.app_client import NO_TLS, REPO, call, installation_token
from tests.deploy.receiver import Receiver

CHROMIUM = os.environ.get("CHROMIUM") or "/usr/bin/chromium"
PATIENCE_MS = 60_000


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=QUIET)
        yield browser
        browser.close()


@pytest.fixture
def context(browser: Browser, github: Sandbox) -> Iterator[BrowserContext]:
    """A browser whose requests to anywhere but the sandbox fail the test."""
    expect.set_options(timeout=PATIENCE_MS)
    context = browser.new_context(base_url=github.url)
    context.set_default_timeout(PATIENCE_MS)
    strangers: list[str] = []
    context.on(
        "request",
        lambda r: None if r.url.startswith(github.url) else strangers.append(r.url),
    )
    yield context
    context.close()
    assert strangers == []


@pytest.fixture
def page(context: BrowserContext) -> Iterator[Page]:
    page = context.new_page()
    problems: list[str] = []
    page.on("pageerror", lambda error: problems.append(str(error)))
    yield page
    assert problems == []


def live(page: Page, path: str) -> None:
    """Open a page and wait until it hears news."""
    page.goto(path)
    expect(page.locator("body")).to_have_attribute("data-live", "on")


def write_as_app(github: Sandbox, *names: str) -> None:
    token = installation_token(github)
    call(github, "POST", f"{REPO}/issues/1/labels", token, json={"labels": list(names)})


def test_an_issue_opened_by_form_gets_labels_live_and_a_maintainer_removes_one(
    github: Sandbox, page: Page
) -> None:
    live(page, "/")
    page.get_by_role("link", name="emberfall", exact=False).first.click()
    page.get_by_role("link", name="New issue").click()
    page.get_by_label("Title").fill("The map eats the lantern")
    page.get_by_label("What happened?").fill("Open the **map** while it rains.")
    page.get_by_role("button", name="Open issue").click()
    expect(page.get_by_role("heading", level=1)).to_contain_text("The map eats the lantern #1")
    expect(page.locator("#body strong")).to_have_text("map")
    labels = page.locator("#labels")
    expect(labels).to_contain_text("No labels yet")
    expect(page.locator("body")).to_have_attribute("data-live", "on")

    write_as_app(github, "bug", "severity: high")
    expect(labels.locator(".chip")).to_have_text(["bug", "severity: high"])
    expect(labels.locator(".bot")).to_have_count(2)
    expect(page.locator("#timeline")).to_contain_text("triora bot added bug severity: high")

    page.get_by_role("button", name="Remove severity: high").click()
    expect(labels.locator(".chip")).to_have_text(["bug"])
    expect(page.locator("#timeline")).to_contain_text("mara removed severity: high")
    page.get_by_label("Add a label").select_option("question")
    page.get_by_role("button", name="Add", exact=True).click()
    expect(labels.locator(".chip")).to_have_text(["bug", "question"])
    assert [(e["event"], e["actor"]["login"]) for e in github.events(1)][-2:] == [
        ("unlabeled", "mara"),
        ("labeled", "mara"),
    ]


def test_the_list_of_issues_fills_and_labels_itself(github: Sandbox, page: Page) -> None:
    live(page, "/lantern-works/emberfall/issues")
    page.get_by_role("button", name="Open sample reports").click()
    expect(page.locator(".issues > li .title")).to_have_count(8)
    write_as_app(github, "severity: critical")
    first = page.locator(".issues > li", has_text="#1 by")
    expect(first.locator(".chip")).to_have_text(["severity: critical"])


def test_search_finds_by_words_labels_and_state(github: Sandbox, page: Page) -> None:
    github.open_samples()
    github.label(2, "bug")
    github.edit_issue(3, by="mara", state="closed")
    titles = page.locator(".issues .title")
    for query, found in (("q=music+silent", 1), ("label=bug", 1), ("state=closed", 1), ("", 7)):
        page.goto(f"/lantern-works/emberfall/issues?{query}")
        expect(titles).to_have_count(found)
    page.goto("/lantern-works/emberfall/issues?q=nothing+like+this")
    expect(page.locator("#issues")).to_contain_text("Nothing matches.")


def test_a_reader_may_comment_and_is_told_why_not_label(github: Sandbox, page: Page) -> None:
    github.open_issue(by="tom")
    live(page, "/lantern-works/emberfall/issues/1")
    page.get_by_label("Act as").select_option("rita")
    expect(page.get_by_text("rita has read access; labels need triage access.")).to_be_visible()
    expect(page.get_by_role("button", name="Add", exact=True)).to_have_count(0)
    page.get_by_label("Comment as rita").fill("Same here.")
    page.get_by_role("button", name="Comment").click()
    expect(page.locator("#timeline")).to_contain_text("Same here.")
    answer = post(github, "/lantern-works/emberfall/issues/1/labels", "rita", label="bug")
    assert answer.status_code == 403
    assert "rita has read access" in answer.text


def test_hostile_text_is_shown_and_never_run(github: Sandbox, page: Page) -> None:
    page.on("dialog", lambda dialog: pytest.fail(f"a script ran: {dialog.message}"))
    evil = (
        "<script>alert(1)</script><img src=x onerror=alert(2)> [x](javascript:alert(3))"
        " ![y](http://example.invalid/z.png)"
    )
    github.open_issue(f"<b>{evil}</b>", evil)
    github.comment(1, evil)
    live(page, "/lantern-works/emberfall/issues/1")
    expect(page.get_by_role("heading", level=1)).to_contain_text("<script>alert(1)</script>")
    harm = "main script, main img:not(.face), main a[href^=javascript]"
    expect(page.locator(harm)).to_have_count(0)


def test_everything_works_without_javascript(github: Sandbox, browser: Browser) -> None:
    context = browser.new_context(base_url=github.url, java_script_enabled=False)
    page = context.new_page()
    page.goto("/lantern-works/emberfall/issues/new")
    page.get_by_label("Title").fill("No script")
    page.get_by_role("button", name="Open issue").click()
    page.get_by_label("Add a label").select_option("bug")
    page.get_by_role("button", name="Add", exact=True).click()
    expect(page.locator("#labels .chip")).to_have_text(["bug"])
    page.get_by_role("button", name="Remove bug").click()
    expect(page.locator("#labels")).to_contain_text("No labels yet")
    page.get_by_role("button", name="Close issue").click()
    expect(page.locator("#head .state")).to_have_text("Closed")
    context.close()
    assert [e["event"] for e in github.events(1)] == ["labeled", "unlabeled", "closed"]


def test_a_failed_delivery_is_seen_and_redelivered(
    github: Sandbox, receiver: Receiver, page: Page
) -> None:
    github.hook(url=receiver.url)
    receiver.status = 500
    live(page, "/deliveries")
    github.open_issue()
    rows = page.locator("#deliveries tbody tr")
    expect(rows.first).to_contain_text("500")
    expect(page.locator("#line")).to_contain_text("Invalid HTTP Response: 500")
    receiver.status = 202
    page.get_by_role("button", name="Redeliver").click()
    expect(rows).to_have_count(2)
    expect(rows.first).to_contain_text("202")
    expect(rows.first).to_contain_text("again")
    rows.first.get_by_role("link").click()
    expect(page.locator("main")).to_contain_text("X-Hub-Signature-256: sha256=")


def test_a_fault_is_switched_on_and_off_by_hand(github: Sandbox, page: Page) -> None:
    live(page, "/faults")
    page.get_by_label("Route").fill("GET /repos/*/*/labels")
    page.get_by_label("Status").fill("503")
    page.get_by_role("button", name="Switch on").click()
    expect(page.locator("#active")).to_contain_text("GET /repos/*/*/labels")
    person = github.token_of("mara")
    assert call(github, "GET", f"{REPO}/labels", person).status_code == 503
    page.get_by_role("button", name="Switch everything off").click()
    expect(page.locator("#active")).to_contain_text("All is well")
    assert call(github, "GET", f"{REPO}/labels", person).status_code == 200


def post(github: Sandbox, path: str, by: str, **fields: str) -> httpx.Response:
    """A form sent without a browser."""
    cookies = {"sandbox_person": by}
    with httpx.Client(trust_env=False, verify=NO_TLS, cookies=cookies) as client:
        return client.post(github.url + path, data=fields)


def test_another_sites_form_changes_nothing(github: Sandbox) -> None:
    github.open_issue()
    url = f"{github.url}/lantern-works/emberfall/issues/1/labels"
    with httpx.Client(trust_env=False, verify=NO_TLS) as client:
        foreign = {"origin": "http://evil.invalid"}
        assert client.post(url, data={"label": "bug"}, headers=foreign).status_code == 403
        assert github.labels(1) == []
        own = {"origin": github.url}
        assert client.post(url, data={"label": "bug"}, headers=own).status_code == 303
    assert github.labels(1) == ["bug"]


def test_the_way_back_never_leaves_the_site(github: Sandbox) -> None:
    for back in ("//evil.invalid", "http://evil.invalid", "/\\evil.invalid", "/\t/evil.invalid"):
        answer = post(github, "/act-as", by="mara", login="tom", back=back)
        assert answer.headers["location"] == "/"


@pytest.mark.parametrize("path", ["/no/where/issues", "/lantern-works/emberfall/issues/99"])
def test_what_is_not_there_is_said_in_words(github: Sandbox, path: str) -> None:
    with httpx.Client(trust_env=False, verify=NO_TLS) as client:
        answer = client.get(github.url + path)
    assert answer.status_code == 404
    assert "That did not work" in answer.text


def test_a_maintainer_writes_the_bots_file_and_switches_suggestions_on(
    github: Sandbox, page: Page
) -> None:
    github.open_issue()
    page.goto("/lantern-works/emberfall/settings")
    page.get_by_label("triora.yml").fill("dry_run: true")
    page.get_by_role("button", name="Commit file").click()
    expect(page.get_by_label("triora.yml")).to_have_value("dry_run: true")
    page.get_by_role("button", name="Switch suggestions on").click()
    expect(page.get_by_role("button", name="Switch suggestions off")).to_be_visible()
    stored = github.rest("GET", f"{REPO}/contents/.github/triora.yml")
    assert base64.b64decode(stored["content"]) == b"dry_run: true"
    assert github.rest("GET", f"{REPO}/issues/1/suggestions") == []
