"""Payloads that nearly are GitHub's: stored, or ignored with a reason; never an error."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Any
from uuid import uuid4

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from app.db.session import Database
from app.db.tables import Outcome
from app.github.events import INTEREST
from app.intake.delivery import Accepted, accept
from tests.webhooks import actor, installation_event, issue_event, repository

ODD = st.one_of(
    st.none(),
    st.booleans(),
    st.sampled_from([0, -1, 2**31, 2**63, 2**64, 1e308, float("nan"), float("inf")]),
    st.sampled_from(["", "\x00", "\ud800", "🐛" * 300, "x" * 70_000, "9999-12-31T23:59:59-23:59"]),
    st.sampled_from(["0001-01-01T00:00:00+14:00", "2026-11-23", "now", "../..", "a/b/c", "'; --"]),
    st.just([]),
    st.just({}),
    st.just([{}]),
    st.just({"id": []}),
)


def _comment() -> dict[str, Any]:
    said = {
        "id": 1,
        "body": "/severity high",
        "user": actor(),
        "created_at": "2026-11-01T12:00:00Z",
    }
    return issue_event("created") | {"comment": said}


def _renamed() -> dict[str, Any]:
    label = {"id": 7, "name": "new"}
    changes = {"name": {"from": "old"}}
    return issue_event("edited", changes=changes) | {"label": label}


BASES: Mapping[str, list[dict[str, Any]]] = {
    "issues": [
        issue_event(),
        issue_event("edited"),
        issue_event("labeled", label="severity: high"),
    ],
    "issue_comment": [_comment()],
    "label": [_renamed()],
    "installation": [installation_event("created", repositories=[repository()])],
    "installation_repositories": [
        installation_event("added", repositories_added=[repository(12, "octo/other")])
    ],
    "repository": [issue_event("renamed"), issue_event("transferred"), issue_event("privatized")],
}


def _places(node: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Where something stands in a payload, all levels."""
    keys = node if isinstance(node, dict) else range(len(node)) if isinstance(node, list) else ()
    return [place for key in keys for place in [(*path, key), *_places(node[key], (*path, key))]]


@st.composite
def nearly(draw: st.DrawFn) -> tuple[str, dict[str, Any]]:
    """An event whose payload is one of ours, with up to four places spoilt."""
    name = draw(st.sampled_from(sorted(BASES)))
    payload = copy.deepcopy(draw(st.sampled_from(BASES[name])))
    for _ in range(draw(st.integers(0, 4))):
        places = _places(payload)
        *above, key = draw(st.sampled_from(places)) if places else ("action",)
        node: Any = payload
        for step in above:
            node = node[step]
        if draw(st.booleans()):
            node[key] = draw(ODD)
        elif isinstance(node, dict):
            del node[key]
    return draw(st.sampled_from([name, name, name, *sorted(BASES)])), payload


def test_every_event_we_use_is_attacked() -> None:
    assert set(BASES) == set(INTEREST)


@settings(
    max_examples=150,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(nearly())
def test_any_spoilt_payload_is_stored_or_ignored(
    sqlite_database: Database, event: tuple[str, dict[str, Any]]
) -> None:
    name, payload = event
    guid = str(uuid4())
    accepted = accept(sqlite_database, name, guid, payload)
    assert isinstance(accepted, Accepted)
    assert accepted.outcome in Outcome
    assert accept(sqlite_database, name, guid, payload).duplicate
