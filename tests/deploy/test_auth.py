"""Who gets in: App JWTs, installation tokens and their scope, personal tokens."""

from __future__ import annotations

import re
import time
from typing import Any

import pytest

from deploy.sandbox.remote import PROJECT
from deploy.sandbox.sandbox import Sandbox
from deploy.sandbox.standin import key_pair
from tests.deploy.app_client import REPO, call, installation_token, signed

NOT_DECODED = "A JSON web token could not be decoded"
NOT_ACCESSIBLE = "Resource not accessible by integration"
LABEL = {"labels": ["bug"]}


def test_the_app_gets_in_by_its_id_as_number_or_text_and_by_its_client_id(github: Sandbox) -> None:
    client_id = github.control("GET", "/status")["client_id"]
    for issuer in (str(github.app_id), github.app_id, client_id):
        # pyjwt wants a string; GitHub takes the old numeric issuer as well.
        token = signed(github, iss=issuer) if isinstance(issuer, str) else _numeric(github)
        answer = call(github, "GET", "/app", token)
        assert answer.status_code == 200
        assert answer.json()["slug"] == "triora"


def _numeric(github: Sandbox) -> str:
    import jwt

    now = int(time.time())
    claims = {"iss": github.app_id, "iat": now - 60, "exp": now + 500}
    try:
        return jwt.encode(claims, github.private_key, algorithm="RS256")
    except TypeError:  # this pyjwt refuses numbers
        return signed(github)


@pytest.mark.parametrize(
    ("claims", "status", "message"),
    [
        ({"exp": int(time.time()) + 3600}, 401, "is too far in the future"),
        ({"exp": int(time.time()) - 5}, 401, "('exp') must be a numeric value"),
        ({"exp": None}, 401, "('exp') must be a numeric value"),
        ({"iat": int(time.time()) + 600}, 401, "'Issued at' claim ('iat')"),
        ({"iss": None}, 401, "Missing 'issuer' claim"),
        ({"iss": "999999"}, 404, "Integration not found"),
    ],
)
def test_a_jwt_with_a_wrong_claim_is_refused_as_github_does(
    github: Sandbox, claims: dict[str, Any], status: int, message: str
) -> None:
    answer = call(github, "GET", "/app", signed(github, **claims))
    assert answer.status_code == status
    assert message in answer.json()["message"]
    assert answer.json()["documentation_url"]


@pytest.mark.parametrize("credential", ["", "not a token", "ghp_" + "0" * 36])
def test_what_is_no_jwt_is_refused_where_one_is_asked(github: Sandbox, credential: str) -> None:
    answer = call(github, "GET", "/app", credential)
    assert (answer.status_code, answer.json()["message"]) == (401, NOT_DECODED)


def test_a_jwt_signed_with_another_key_or_algorithm_is_refused(github: Sandbox) -> None:
    foreign = signed(github, key=key_pair()[0])
    symmetric = signed(github, key="x" * 32, algorithm="HS256")
    for token in (foreign, symmetric):
        answer = call(github, "GET", "/app", token)
        assert (answer.status_code, answer.json()["message"]) == (401, NOT_DECODED)


def test_a_key_rotation_shuts_the_old_key_out(github: Sandbox) -> None:
    private, public = key_pair()
    github.control("PUT", "/app", json={"public_key": public})
    assert call(github, "GET", "/app", signed(github)).status_code == 401
    assert call(github, "GET", "/app", signed(github, key=private)).status_code == 200


def test_installation_tokens_have_the_long_format_and_live_an_hour(github: Sandbox) -> None:
    path = f"/app/installations/{github.installation_id}/access_tokens"
    made = call(github, "POST", path, signed(github)).json()
    assert re.fullmatch(r"ghs_[A-Za-z0-9._-]{480,560}", made["token"])
    assert made["token"].count(".") == 2
    left = time.mktime(time.strptime(made["expires_at"], "%Y-%m-%dT%H:%M:%SZ")) - time.mktime(
        time.gmtime()
    )
    assert 3500 < left <= 3600


def test_a_token_is_refused_once_it_expired(github: Sandbox) -> None:
    github.token_lifetime(120)
    token = installation_token(github)
    assert call(github, "GET", "/installation/repositories", token).status_code == 200
    github.skew(121)
    answer = call(github, "GET", "/installation/repositories", token)
    assert (answer.status_code, answer.json()["message"]) == (401, "Bad credentials")


def test_a_token_is_refused_once_it_was_revoked(github: Sandbox) -> None:
    first, second = installation_token(github), installation_token(github)
    assert call(github, "DELETE", "/installation/token", first).status_code == 204
    assert call(github, "GET", "/zen", first).status_code == 401
    assert call(github, "GET", "/zen", second).status_code == 200
    github.revoke_tokens()
    assert call(github, "GET", "/zen", second).status_code == 401


def test_a_suspended_or_deleted_installation_lets_nobody_in(github: Sandbox) -> None:
    token = installation_token(github)
    github.change_installation(github.installation_id, suspended=True)
    answer = call(github, "GET", f"{REPO}/labels", token)
    assert answer.status_code == 403
    assert "suspended" in answer.json()["message"]
    github.change_installation(github.installation_id, suspended=False)
    assert call(github, "GET", f"{REPO}/labels", token).status_code == 200
    github.control("DELETE", f"/installations/{github.installation_id}")
    assert call(github, "GET", f"{REPO}/labels", token).status_code == 401


def test_a_token_narrowed_to_a_repository_writes_in_no_other(github: Sandbox) -> None:
    other = "lantern-works/emberfall-server"
    number = github.open_issue(repository=other)["number"]
    token = installation_token(github, repositories=["emberfall"])
    reached = call(github, "GET", "/installation/repositories", token).json()
    assert [r["full_name"] for r in reached["repositories"]] == [PROJECT]
    answer = call(github, "POST", f"/repos/{other}/issues/{number}/labels", token, json=LABEL)
    assert (answer.status_code, answer.json()["message"]) == (403, NOT_ACCESSIBLE)
    assert github.labels(number, other) == []


def test_a_token_narrowed_to_reading_does_not_write(github: Sandbox) -> None:
    number = github.open_issue()["number"]
    token = installation_token(github, permissions={"issues": "read"})
    path = f"{REPO}/issues/{number}/labels"
    assert call(github, "GET", path, token).status_code == 200
    answer = call(github, "POST", path, token, json=LABEL)
    assert (answer.status_code, answer.json()["message"]) == (403, NOT_ACCESSIBLE)


@pytest.mark.parametrize(
    "wanted", [{"repositories": ["elsewhere"]}, {"permissions": {"contents": "write"}}]
)
def test_a_token_is_never_wider_than_its_installation(
    github: Sandbox, wanted: dict[str, Any]
) -> None:
    path = f"/app/installations/{github.installation_id}/access_tokens"
    assert call(github, "POST", path, signed(github), json=wanted).status_code == 422


def test_a_private_repository_does_not_exist_for_strangers(github: Sandbox) -> None:
    github.control("POST", "/people", json={"login": "stranger"})
    github.change_repository(private=True)
    remove = {"remove": [PROJECT]}
    token = installation_token(github)
    assert call(github, "GET", REPO, token).status_code == 200
    assert call(github, "GET", REPO, github.token_of("rita")).status_code == 200
    assert call(github, "GET", REPO, github.token_of("stranger")).status_code == 404
    assert call(github, "GET", REPO).status_code == 404
    github.change_installation(github.installation_id, **remove)
    assert call(github, "GET", REPO, token).status_code == 404


def test_the_single_file_permission_opens_that_file_only(github: Sandbox) -> None:
    github.put_file(".github/triora.yml", "dry_run: true\n")
    github.put_file("README.md", "# Emberfall\n")
    token = installation_token(github)
    path = f"{REPO}/contents/"
    assert call(github, "GET", path + ".github/triora.yml", token).status_code == 200
    answer = call(github, "GET", path + "README.md", token)
    assert (answer.status_code, answer.json()["message"]) == (403, NOT_ACCESSIBLE)


def test_people_act_with_their_own_role(github: Sandbox) -> None:
    number = github.open_issue(by="rita", labels=["bug"])["number"]
    assert github.labels(number) == [], "labels of a reader are dropped in silence"
    path = f"{REPO}/issues/{number}/labels"
    assert call(github, "POST", path, github.token_of("rita"), json=LABEL).status_code == 403
    assert call(github, "POST", path, github.token_of("tom"), json=LABEL).status_code == 200
    assert call(github, "POST", path, json=LABEL).status_code == 401


def test_a_request_without_a_user_agent_is_refused(github: Sandbox) -> None:
    answer = call(github, "GET", "/zen", headers={"user-agent": ""})
    assert answer.status_code == 403
    assert "User-Agent" in answer.json()["message"]
