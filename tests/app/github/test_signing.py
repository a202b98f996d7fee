"""A private key that is replaced while we run is taken up by the first call GitHub refuses."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from app.core.errors import ConfigProblem, NotPermitted
from app.core.settings import Settings
from app.github.client import AppClient, InstallationClient
from app.github.signing import PrivateKey
from deploy.sandbox.sandbox import Sandbox
from deploy.sandbox.standin import key_pair

TOKENS = "/app/installations/{installation_id}/access_tokens"


@pytest.fixture
def key_file(github: Sandbox, tmp_path: Path) -> Path:
    path = tmp_path / "app.pem"
    path.write_text(github.private_key)
    return path


@pytest.fixture
def app_client(github: Sandbox, key_file: Path) -> AppClient:
    return AppClient.from_settings(
        Settings(
            _env_file=None,
            app_id=github.app_id,
            private_key=str(key_file),
            github_api_url=github.api_url,
        )
    )


@pytest.fixture
def client(github: Sandbox, app_client: AppClient) -> Iterator[InstallationClient]:
    with app_client.installation(github.installation_id) as connected:
        yield connected


def replace(path: Path, pem: str) -> None:
    # As an operator should: never half of a key where somebody reads.
    beside = path.with_suffix(".new")
    beside.write_text(pem)
    beside.replace(path)


def test_a_removed_key_is_replaced_without_a_restart_and_no_call_fails(
    github: Sandbox, app_client: AppClient, client: InstallationClient, key_file: Path
) -> None:
    number = github.open_issue("Crash", "Always.")["number"]
    assert client.issue("lantern-works/emberfall", number).number == number
    assert app_client.app().id == github.app_id

    private, public = key_pair()
    replace(key_file, private)
    github.control("PUT", "/app", json={"public_key": public})
    github.revoke_tokens()

    # Both on connections that are open and have signed with the key before.
    assert client.issue("lantern-works/emberfall", number).number == number
    assert app_client.app().id == github.app_id
    assert [line["status"] for line in github.requests("GET", "/app")] == [200, 401, 200]


def test_a_key_removed_before_the_new_one_is_there_works_from_then_on(
    github: Sandbox, client: InstallationClient, key_file: Path
) -> None:
    number = github.open_issue("Crash", "Always.")["number"]
    private, public = key_pair()
    github.control("PUT", "/app", json={"public_key": public})
    for half in (github.private_key, private[:200], ""):
        key_file.write_text(half)
        with pytest.raises(NotPermitted, match="TRIORA_PRIVATE_KEY"):
            client.issue("lantern-works/emberfall", number)
    replace(key_file, private)
    assert client.issue("lantern-works/emberfall", number).number == number
    assert [line["status"] for line in github.requests("POST", TOKENS)][-1] == 201


def test_a_key_that_is_none_is_told_at_the_start_and_left_alone_later(tmp_path: Path) -> None:
    texts = ["-----BEGIN RSA PRIVATE KEY-----\nnope\n-----END RSA PRIVATE KEY-----"]
    with pytest.raises(ConfigProblem, match="PEM"):
        PrivateKey(lambda: texts[-1])
    good = key_pair()[0]
    texts.append(good)
    key = PrivateKey(lambda: texts[-1])
    texts.append("half a key")
    key.renew()
    assert key.pem == good
