"""A mistake is told in one issue: opened once, edited in place, closed when it is mended."""

import json

import pytest

from app.db.tables import IssueSnapshot
from app.intake.delivery import accept
from worker.problem_issue import MARKER, TITLE, Notice

ISSUES = "/repos/{owner}/{repo}/issues"
ONE = ISSUES + "/{issue_number}"


def writes(house):
    return [
        (line["method"], line["route"])
        for line in house.github.requests()
        if line["method"] in ("POST", "PATCH") and line["route"] in (ISSUES, ONE)
    ]


def test_a_mistake_is_reported_once(house):
    house.write("dry_run: maybe")
    for _ in range(3):
        house.read()
    (notice,) = house.notices()
    assert notice["title"] == TITLE
    assert "    dry_run (line 1): write true or false, without quotes" in notice["body"]
    assert "maybe" not in notice["body"]
    assert house.row.problem_issue == notice["number"]
    assert writes(house) == [("POST", ISSUES)]


def test_the_issue_is_edited_when_the_mistake_changes_and_closed_when_it_is_mended(house):
    house.write("dry_run: maybe")
    house.read()
    house.write("bogus: 1")
    house.read()
    (notice,) = house.notices()
    assert "bogus (line 1): there is no such key" in notice["body"]
    assert "dry_run (" not in notice["body"]
    house.write("dry_run: false")
    house.read()
    house.read()
    (notice,) = house.notices()
    assert notice["state"] == "closed"
    assert "in order again" in notice["body"]
    assert writes(house) == [("POST", ISSUES), ("PATCH", ONE), ("PATCH", ONE)]


def test_the_next_mistake_opens_the_same_issue_again(house):
    for text in ("bogus: 1", "comment: true", "bogus: 2\nagain: 3"):
        house.write(text)
        house.read()
    (notice,) = house.notices()
    assert notice["state"] == "open"
    assert "again" in notice["body"]


def test_a_crash_after_the_issue_was_opened_makes_no_second_one(house):
    house.write("bogus: 1")
    house.github.fault(f"POST {ISSUES}".replace("{owner}/{repo}", "*/*"), "drop-after")
    house.read()
    assert house.row.problem_issue is None
    house.read()
    (notice,) = house.notices()
    assert house.row.problem_issue == notice["number"]


def test_a_crash_before_the_number_was_noted_does_not_leave_the_issue_open(house):
    house.write("bogus: 1")
    house.github.fault(f"POST {ISSUES}".replace("{owner}/{repo}", "*/*"), "drop-after")
    house.read()
    house.write("comment: true")
    house.read()
    (notice,) = house.notices()
    assert notice["state"] == "closed"


def test_a_person_who_closes_the_issue_is_not_contradicted(house):
    house.write("bogus: 1")
    house.read()
    (notice,) = house.notices()
    house.github.edit_issue(
        notice["number"], by="mara", repository=house.repository, state="closed"
    )
    house.read()
    assert house.notices()[0]["state"] == "closed"


def test_an_issue_that_somebody_deleted_is_opened_anew(house):
    house.write("bogus: 1")
    house.read()
    number = house.notices()[0]["number"]
    house.github.control("DELETE", f"/repositories/{house.repository}/issues/{number}")
    house.write("other: 1")
    house.read()
    (notice,) = house.notices()
    assert notice["number"] != number


def test_where_issues_are_switched_off_the_reading_goes_on(house):
    house.github.change_repository(house.repository, has_issues=False)
    house.write("bogus: 1")
    house.read()
    assert "bogus" in house.row.problem
    assert house.row.state == "pending"
    house.write("comment: true")
    house.read()
    assert house.holds().config.comment


def test_an_owners_mistake_is_reported_in_one_repository_only(house, owners):
    number = house.github.rest("GET", f"/repos/{owners}")["id"]
    house.store.repository(number, house.github.installation_id, owners)
    house.write("bogus: 1", owners)
    house.read()
    assert house.notices() == []
    assert "the owner's default: bogus" in house.row.problem
    path = f"/repos/{owners}/issues"
    (told,) = house.github.rest("GET", path, params={"creator": "triora[bot]"})
    assert "bogus (line 1)" in told["body"]


def test_an_owners_mistake_where_the_app_is_not_installed_is_reported_in_the_first(house, owners):
    house.write("bogus: 1", owners)
    house.read()
    (notice,) = house.notices()
    assert "the owner's default: bogus" in notice["body"]


@pytest.mark.parametrize("line", ["`@mara` ```\n# heading", "x" * 30_000])
def test_nothing_of_a_mistake_is_rendered(line):
    body = Notice((line,)).body
    assert body.startswith(MARKER)
    assert len(body) < 25_000
    assert all(row.startswith("    ") for row in body.splitlines() if "@mara" in row)


def test_the_issue_itself_is_never_triaged(house):
    # Nobody listens there; what GitHub would send is all that is wanted.
    house.github.hook(url="http://127.0.0.1:1/", secret="s", active=True)
    house.write("bogus: 1")
    house.read()
    (notice,) = house.notices()
    edited = notice["body"] + " seen"
    house.github.edit_issue(notice["number"], by="mara", repository=house.repository, body=edited)
    house.github.settle()
    heard = [d for d in house.github.standin.hooks.newest_first() if d.event == "issues"]
    assert {d.action for d in heard} == {"opened", "edited"}
    for delivery in reversed(heard):
        accept(house.store.database, delivery.event, delivery.guid, json.loads(delivery.payload))
    assert house.store.rows(IssueSnapshot) == []
