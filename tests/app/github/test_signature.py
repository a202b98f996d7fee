"""The signature check: GitHub's own test vector, rotation, and nothing but the exact form."""

import hashlib
import hmac

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.github import signature
from tests import webhooks

SECRET = b"It's a Secret to Everybody"
BODY = b"Hello, World!"
# From GitHub's page on validating webhook deliveries.
GOOD = b"sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17"


def test_githubs_test_vector_fits():
    assert signature.verify([SECRET], BODY, GOOD)
    assert signature.sign(SECRET, BODY) == GOOD.decode() == webhooks.sign(SECRET, BODY)


def test_old_and_new_secret_both_fit_during_a_rotation():
    assert signature.verify([b"new", SECRET], BODY, GOOD)
    assert signature.verify([SECRET, b"old"], BODY, GOOD)


@pytest.mark.parametrize("secrets", [[b"another"], []])
def test_other_secrets_do_not_fit(secrets):
    assert not signature.verify(secrets, BODY, GOOD)


def test_changed_body_does_not_fit():
    assert not signature.verify([SECRET], BODY + b" ", GOOD)


@pytest.mark.parametrize(
    "header",
    [
        b"",
        b"sha256=",
        GOOD[7:],
        GOOD.upper(),
        GOOD + b"\n",
        b" " + GOOD,
        GOOD[:-1],
        GOOD + b"0",
        GOOD.replace(b"sha256", b"sha512"),
        b"sha1=" + hmac.new(SECRET, BODY, hashlib.sha1).hexdigest().encode(),
        GOOD.replace(b"7", "７".encode()),
        b"\xff" * 71,
    ],
)
def test_any_other_form_is_refused_without_an_error(header):
    assert signature.verify([SECRET], BODY, header) is False


@settings(deadline=None)
@given(st.binary(max_size=100))
def test_no_header_raises(header):
    assert signature.verify([SECRET], BODY, header) is (header == GOOD)


def test_the_digest_of_every_secret_is_compared_in_constant_time_and_in_no_other_way(monkeypatch):
    compared = []

    def never(ours, claimed):
        compared.append((len(ours), len(claimed)))
        return False

    monkeypatch.setattr(signature.hmac, "compare_digest", never)
    # Any other comparison would find that this one fits.
    assert not signature.verify([SECRET, b"another"], BODY, GOOD)
    assert len(compared) == 2
    assert all(ours == claimed for ours, claimed in compared)
