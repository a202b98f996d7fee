"""What harnesses count by: the books, marks that order them, and limits for Apps alone."""

from __future__ import annotations

import json
import subprocess
import sys

import httpx
import pytest

from deploy.sandbox.remote import Remote

REPOSITORY = "lantern-works/emberfall"


def test_the_books_have_every_issue_with_its_labels_and_what_happened(github):
    number = github.open_issue("The lantern goes out")["number"]
    github.label(number, "bug", by="mara")
    github.unlabel(number, "bug", by="mara")
    (entry,) = github.books()
    assert (entry["repository"], entry["number"]) == (REPOSITORY, number)
    assert (entry["title"], entry["state"], entry["labels"]) == ("The lantern goes out", "open", [])
    assert [(e["event"], e["label"], e["actor"], e["by_app"]) for e in entry["events"]] == [
        ("labeled", "bug", "mara", False),
        ("unlabeled", "bug", "mara", False),
    ]


def test_marks_put_requests_in_one_order_with_events(github):
    number = github.open_issue()["number"]
    github.label(number, "bug")
    github.unlabel(number, "bug")
    put, taken = github.books()[0]["events"]
    added, removed = (
        next(line for line in github.requests(method) if line["path"].count("/labels"))["mark"]
        for method in ("POST", "DELETE")
    )
    assert put["id"] < added < taken["id"] < removed


def test_the_books_tell_how_the_opening_was_answered(github):
    github.hook(url="http://127.0.0.1:1/", active=True)
    github.open_issue()
    github.settle()
    assert github.books()[0]["opened_deliveries"] == [502]


def test_limits_may_be_for_apps_alone(github):
    github.limit(whom="installation", exhaust_seconds=60, secondary={"retry_after": 1})
    assert github.open_issue()["number"] == 1
    github.limit(whom="")
    with pytest.raises(httpx.HTTPStatusError, match="403"):
        github.open_issue()


def test_behind_a_proxy_links_name_the_proxy():
    public = "http://127.0.0.1:9"
    command = [sys.executable, "-m", "deploy.sandbox", "--port", "0", "--public-url", public]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
        remote = Remote(json.loads(process.stdout.readline())["url"])
        try:
            assert remote.open_issue()["url"].startswith(f"{public}/api/v3/")
        finally:
            remote.close()
            process.kill()
