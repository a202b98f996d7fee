"""Our GitHub client against the stand-in, and a repository to work in."""

from __future__ import annotations

import pytest

from app.github.client import AppClient
from deploy.sandbox.sandbox import Sandbox

REPOSITORY = "lantern-works/cinder"


@pytest.fixture
def repository(github: Sandbox) -> str:
    """owner/name of a repository without labels and issues; mara is its admin."""
    roles = {"mara": "admin", "tom": "triage", "rita": "read", "stale-bot[bot]": "write"}
    github.control("POST", "/repositories", json={"full_name": REPOSITORY, "roles": roles})
    for label in github.rest("GET", f"/repos/{REPOSITORY}/labels"):
        github.rest("DELETE", f"/repos/{REPOSITORY}/labels/{label['name']}")
    return REPOSITORY


@pytest.fixture
def app_client(github: Sandbox) -> AppClient:
    """Our client, as the App of the stand-in, without any token yet."""
    return AppClient(github.app_id, github.private_key, github.api_url)
