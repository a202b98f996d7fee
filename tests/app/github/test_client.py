"""What we say to GitHub arrives, and what goes wrong on the way becomes one clear error."""

from datetime import UTC, datetime

import pytest

from app.core.errors import ConfigProblem, GitHubUnavailable, Gone, NotPermitted
from app.core.settings import Settings
from app.core.taxonomy import DEFAULT_TAXONOMY
from app.github.client import AppClient
from app.github.failures import Refused, RepositoryMoved, SecondaryLimit

HIGH = DEFAULT_TAXONOMY["severity"].label("high")


@pytest.fixture
def client(github, app_client):
    """As the installation that covers every repository of the stand-in."""
    with app_client.installation(github.installation_id) as connected:
        yield connected


@pytest.fixture
def issue(github, repository):
    return github.open_issue("It crashes", "Always.", repository=repository)["number"]


def asked(github, method, route):
    return github.requests(method, route)


def seconds_until(moment):
    return (moment - datetime.now(UTC)).total_seconds()


# What we read


def test_an_issue_is_read_with_its_labels(client, github, repository, issue):
    github.rest(
        "POST", f"/repos/{repository}/labels", json={"name": "needs art", "color": "ff0000"}
    )
    github.label(issue, "needs art", repository=repository)
    found = client.issue(repository, issue)
    assert (found.number, found.title, found.body) == (issue, "It crashes", "Always.")
    assert [label.name for label in found.labels] == ["needs art"]
    assert not found.closed
    assert found.user.login == "rita"


def test_events_tell_who_put_a_label_there(client, app_client, github, repository, issue):
    client.create_label(repository, HIGH)
    client.add_labels(repository, issue, [HIGH.github])
    github.unlabel(issue, HIGH.github, by="tom", repository=repository)
    us = app_client.identity(client)
    ours, theirs = client.issue_events(repository, issue)
    assert (ours.event, ours.app.id, ours.actor.id) == ("labeled", us.id, us.bot_id)
    assert (theirs.event, theirs.app, theirs.actor.login) == ("unlabeled", None, "tom")
    assert theirs.label.name == HIGH.github


def test_lists_are_read_to_their_last_page(client, github, repository, issue):
    for round_ in range(60):
        github.edit_issue(issue, title=f"It crashes {round_}", repository=repository)
        github.edit_issue(issue, title="It crashes", repository=repository)
    assert len(client.issue_events(repository, issue)) == 120
    assert len(asked(github, "GET", "/repos/{owner}/{repo}/issues/{issue_number}/events")) == 2


def test_missing_labels_are_found_in_a_repository_with_hundreds(client, github, repository):
    for number in range(130):
        name = {"name": f"area {number:03}", "color": "ffffff"}
        github.rest("POST", f"/repos/{repository}/labels", json=name)
    github.rest("POST", f"/repos/{repository}/labels", json={"name": "zz/top", "color": "ffffff"})
    missing = client.lacks(repository, ["AREA 001", "Zz/Top", "severity: high"])
    assert missing == {"severity: high"}


# What we write


def test_a_label_is_created_with_colour_and_description_once(client, github, repository):
    client.create_label(repository, HIGH)
    client.create_label(repository, HIGH)
    made = github.rest("GET", f"/repos/{repository}/labels/severity:%20high")
    assert (made["color"], made["description"]) == (HIGH.color, HIGH.description)


def test_adding_labels_keeps_the_others(client, github, repository, issue):
    github.rest("POST", f"/repos/{repository}/labels", json={"name": "ours", "color": "ffffff"})
    github.label(issue, "ours", repository=repository)
    client.create_label(repository, HIGH)
    assert set(client.add_labels(repository, issue, [HIGH.github])) == {"ours", HIGH.github}


def test_removing_a_label_that_is_not_there_is_done_already(client, github, repository, issue):
    client.create_label(repository, HIGH)
    client.add_labels(repository, issue, [HIGH.github])
    client.remove_label(repository, issue, HIGH.github)
    client.remove_label(repository, issue, HIGH.github)
    assert github.labels(issue, repository) == []


# Signing in


def test_one_token_serves_many_calls(client, github, repository, issue):
    for _ in range(3):
        client.issue(repository, issue)
    assert len(asked(github, "POST", "/app/installations/{installation_id}/access_tokens")) == 1


def test_a_revoked_token_is_dropped_and_the_call_made_again(client, github, repository, issue):
    client.create_label(repository, HIGH)
    github.revoke_tokens()
    assert client.add_labels(repository, issue, [HIGH.github]) == [HIGH.github]
    answers = asked(github, "POST", "/repos/{owner}/{repo}/issues/{issue_number}/labels")
    assert [line["status"] for line in answers] == [401, 200]


def test_a_token_that_is_refused_twice_is_not_tried_without_end(client, github, repository, issue):
    github.fault("GET /repos/*/*/issues/*", "status", status=401, times=None)
    with pytest.raises(NotPermitted):
        client.issue(repository, issue)
    assert len(asked(github, "GET", "/repos/{owner}/{repo}/issues/{issue_number}")) == 2


def test_a_wrong_app_id_says_what_to_check(github):
    stranger = AppClient(github.app_id + 1, github.private_key, github.api_url)
    with (
        stranger.installation(github.installation_id) as client,
        pytest.raises((NotPermitted, Gone)),
    ):
        client.issue("lantern-works/emberfall", 1)


def test_a_key_of_another_app_says_what_to_check(github):
    with pytest.raises(NotPermitted, match="TRIORA_PRIVATE_KEY"):
        list(AppClient(github.app_id, _another_key(), github.api_url).deliveries())


def test_text_that_is_no_key_is_refused_at_once():
    with pytest.raises(ConfigProblem, match="PEM"):
        AppClient(1, "-----BEGIN RSA PRIVATE KEY-----\nnope\n-----END RSA PRIVATE KEY-----", "x")


def test_an_installation_that_gives_no_token_is_refused_since_a_wrong_app_id_looks_the_same(
    app_client,
):
    with app_client.installation(999_999) as client, pytest.raises(Refused, match="TRIORA_APP_ID"):
        client.issue("lantern-works/emberfall", 1)


def test_a_suspended_installation_is_refused(client, github, repository, issue):
    github.change_installation(github.installation_id, suspended=True)
    with pytest.raises(NotPermitted, match="suspended"):
        client.issue(repository, issue)


def test_a_failure_while_signing_in_is_told_like_any_other(client, github, repository, issue):
    route = "POST /app/installations/*/access_tokens"
    github.fault(route, "status", status=503)
    with pytest.raises(GitHubUnavailable, match="503"):
        client.issue(repository, issue)
    github.fault(route, "drop")
    with pytest.raises(GitHubUnavailable, match="connection"):
        client.issue(repository, issue)
    assert client.issue(repository, issue).number == issue


# Limits and bad days


def test_a_used_up_budget_waits_for_its_reset_and_does_not_sleep(client, github, repository, issue):
    github.limit(exhaust_seconds=900)
    with pytest.raises(GitHubUnavailable) as caught:
        client.issue(repository, issue)
    assert caught.value.limited
    assert 850 < seconds_until(caught.value.retry_at) < 910


def test_a_limit_while_signing_in_is_a_limit(app_client, github):
    github.limit(exhaust_seconds=900)
    with (
        app_client.installation(github.installation_id) as fresh,
        pytest.raises(GitHubUnavailable) as caught,
    ):
        fresh.issue("lantern-works/emberfall", 1)
    assert caught.value.limited


@pytest.mark.parametrize(("told", "least"), [(120, 110), (None, 50)])
def test_secondary_limits_wait_longer_when_met_in_a_row(
    client, github, issue, repository, told, least
):
    client.create_label(repository, HIGH)
    github.limit(secondary={"retry_after": told})
    waits = []
    for _ in range(3):
        with pytest.raises(SecondaryLimit) as caught:
            client.add_labels(repository, issue, [HIGH.github])
        waits.append(seconds_until(caught.value.retry_at))
    assert waits[0] > least
    assert waits[1] > 1.9 * waits[0] - 5
    assert waits[2] > 1.9 * waits[1] - 5


def test_only_a_write_that_succeeds_ends_a_row_of_limited_writes(client, github, issue, repository):
    client.create_label(repository, HIGH)

    def limited():
        github.limit(secondary={"retry_after": 100, "times": 1})
        with pytest.raises(SecondaryLimit) as caught:
            client.add_labels(repository, issue, [HIGH.github])
        return seconds_until(caught.value.retry_at)

    assert limited() < 105
    client.issue(repository, issue)
    assert limited() > 190
    client.add_labels(repository, issue, [HIGH.github])
    assert limited() < 105


@pytest.mark.parametrize("kind", ["drop", "reset", "truncate"])
def test_a_broken_connection_is_worth_another_try(client, github, repository, issue, kind):
    github.fault("GET /repos/*/*/issues/*", kind)
    with pytest.raises(GitHubUnavailable, match="connection"):
        client.issue(repository, issue)
    assert client.issue(repository, issue).number == issue


def test_a_renamed_repository_is_told_apart_from_an_outage(client, github, repository, issue):
    github.change_repository(repository, name=repository.split("/")[1] + "-renamed")
    client_calls = [
        lambda: client.issue(repository, issue),
        lambda: client.add_labels(repository, issue, ["x"]),
    ]
    for call in client_calls:
        with pytest.raises(RepositoryMoved):
            call()


def test_what_is_not_there_is_gone(client, repository):
    with pytest.raises(Gone):
        client.issue(repository, 9999)


def test_a_missing_permission_is_refused_for_good(client, github, repository, issue):
    permissions = {"issues": "read", "metadata": "read"}
    github.change_installation(github.installation_id, permissions=permissions)
    with pytest.raises(NotPermitted, match="not accessible"):
        client.create_label(repository, HIGH)


# The App's own calls


def test_the_settings_are_enough(github, repository, issue, tmp_path):
    key = tmp_path / "app.pem"
    key.write_text(github.private_key)
    settings = Settings(
        _env_file=None,
        app_id=github.app_id,
        private_key=str(key),
        github_api_url=github.api_url + "/",
    )
    with AppClient.from_settings(settings).installation(github.installation_id) as client:
        assert client.issue(repository, issue).number == issue


def test_requests_name_triora_and_its_version(client, github, repository, issue):
    seen = []
    github.standin.rest.observers.append(lambda exchange: seen.append(exchange.request_headers))
    try:
        client.issue(repository, issue)
    finally:
        github.standin.rest.observers.pop()
    assert seen
    assert {headers["user-agent"].split("/")[0] for headers in seen} == {"triora"}


def _another_key():
    from deploy.sandbox.standin import key_pair

    return key_pair()[0]
