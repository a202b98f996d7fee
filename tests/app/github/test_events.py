"""Payload models: tolerant of what is missing, strict about what a database could not keep."""

import contextlib
from datetime import UTC, datetime

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from app.github import events
from tests.webhooks import issue_event

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["id", "login", "issue", "number", "updated_at", "installation", "x"]),
            inner,
            max_size=4,
        )
    ),
    max_leaves=15,
)


def test_reads_what_we_use():
    event = events.read(issue_event("labeled", label="bug"))
    assert (event.action, event.issue.number, event.label.name) == ("labeled", 1, "bug")
    assert event.issue.updated_at == datetime(2026, 11, 1, 12, tzinfo=UTC)


def test_unknown_keys_and_missing_keys_are_fine():
    assert events.read({"surprise": 1}).issue is None


def test_deleted_author_is_nobody():
    payload = issue_event()
    payload["issue"]["user"] = None
    assert events.read(payload).issue.user is None


def test_enterprise_account_has_a_slug_instead_of_a_login():
    event = events.read({"installation": {"id": 1, "account": {"id": 2, "slug": "acme"}}})
    assert event.installation.account.login == "acme"


def test_texts_fit_their_columns_and_carry_no_nul():
    event = events.read(issue_event("labeled", label="a\x00b" + "c" * 80))
    assert event.label.name == ("ab" + "c" * 80)[:50]


@pytest.mark.parametrize(
    ("broken", "where"),
    [
        ({"number": "no"}, "issue.number"),
        ({"number": 2**31}, "issue.number"),
        ({"number": None}, "issue.number"),
        ({"at": "yesterday"}, "issue.updated_at"),
        ({"at": "2026-11-01T12:00:00"}, "issue.updated_at"),
        ({"at": "0001-01-01T00:00:00+14:00"}, "issue.updated_at"),
        ({"title": ["secret words"]}, "issue.title"),
        ({"installation": 2**63}, "installation.id"),
    ],
)
def test_unusable_shape_says_where_and_quotes_nothing(broken, where):
    with pytest.raises(events.Unusable, match=where) as error:
        events.read(issue_event(**broken))
    assert "secret words" not in str(error.value)


# Building Unicode tables takes a second, once; nothing here is about time.
@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.dictionaries(st.sampled_from(["action", "issue", "installation", "sender"]), JSON))
def test_any_object_is_read_or_unusable_and_nothing_else(payload):
    with contextlib.suppress(events.Unusable):
        assert isinstance(events.read(payload), events.Event)


@pytest.mark.parametrize("name", ["push", "ping", "issue_comments", "labels", "nobody_knows", ""])
def test_events_we_do_not_use_have_a_reason(name):
    assert events.unused(name)


@pytest.mark.parametrize("name", list(events.Name))
def test_events_we_use_are_looked_into(name):
    assert events.unused(name) is None
    assert events.INTEREST[name]
