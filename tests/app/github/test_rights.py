"""Who may triage is read from GitHub's single rights, since `permission` says "read" for triage."""

import pytest

from app.github.models import Permission


@pytest.mark.parametrize(
    ("login", "may"),
    [("mara", True), ("tom", True), ("rita", False), ("nobody-of-that-name", False)],
    ids=["admin", "triage", "read", "unknown"],
)
def test_rights_in_a_repository(github, repository, app_client, login, may):
    with app_client.installation(github.installation_id) as client:
        assert client.may_triage(repository, login) is may


@pytest.mark.parametrize(
    ("answer", "may"),
    [
        ({"permission": "read", "role_name": "triage", "user": {"id": 1}}, True),
        ({"permission": "read", "role_name": "security", "user": None}, False),
        ({"permission": "write"}, True),
        ({"permission": "read"}, False),
        ({"permission": "admin", "user": {"permissions": {"triage": False}}}, False),
    ],
)
def test_servers_that_tell_no_single_rights(answer, may):
    assert Permission.model_validate(answer).may_triage is may
