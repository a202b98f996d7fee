"""Whatever bytes come as a body: a JSON object, or a refusal in words."""

from __future__ import annotations

import json
from urllib.parse import quote_plus

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from app.core.errors import BadRequest
from app.web.body import FORM, JSON, payload_of

OBJECTS = st.dictionaries(
    st.text(max_size=10),
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text(max_size=50),
    max_size=4,
)
MEDIA = st.sampled_from([JSON, FORM, f"{FORM}; charset=utf-8", "", ";", "text/plain", JSON.upper()])
RAW = st.one_of(
    st.binary(max_size=60),
    st.lists(st.sampled_from([b"payload=", b"%7B", b"%", b"%zz", b"&", b"+", b"{", b"}"])).map(
        b"".join
    ),
    st.text(alphabet='{}[]",:0123456789eE.-\\u \ud83d', max_size=40).map(
        lambda text: text.encode("utf-8", "surrogatepass")
    ),
)


def outcome(media: str, raw: bytes) -> object:
    try:
        return payload_of(media, raw)
    except BadRequest as error:
        return error


@given(MEDIA, RAW)
@example(JSON, b'{"a": "\\ud800"}')
@example(JSON, b"[" * 10_000)
@example(JSON, b'{"a":' * 10_000)
@example(JSON, b"\xff\xfe{}")
@example(JSON, b"9" * 10_000)
@example(FORM, b"payload=" + b"%5B" * 10_000)
@example(FORM, b"&" * 10_000)
def test_any_body_is_an_object_or_refused(media: str, raw: bytes) -> None:
    found = outcome(media, raw)
    if isinstance(found, BadRequest):
        assert found.status in (400, 415)
        assert len(str(found)) < 300
    else:
        assert isinstance(found, dict)


@given(OBJECTS)
def test_an_object_arrives_as_it_was_sent_either_way(sent: dict[str, object]) -> None:
    text = json.dumps(sent)
    assert payload_of(JSON, text.encode()) == sent
    assert payload_of(FORM, b"payload=" + quote_plus(text).encode()) == sent


@pytest.mark.parametrize("name", ["payloads", "Payload", "a", ""])
def test_another_field_of_a_form_is_no_payload(name: str) -> None:
    with pytest.raises(BadRequest, match="no field"):
        payload_of(FORM, f"{name}=%7B%7D".encode())
