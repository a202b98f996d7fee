"""Is this webhook from GitHub? Strict: SHA-256 only, exact form, constant time."""

from __future__ import annotations

import hmac
import re
from collections.abc import Sequence

_FORM = re.compile(rb"sha256=([0-9a-f]{64})")


def verify(secrets: Sequence[bytes], body: bytes, header: bytes) -> bool:
    """True if `header` (the raw value of X-Hub-Signature-256) signs `body` with one of `secrets`.

    Several secrets make a rotation possible without a lost webhook. Anything in the header but
    `sha256=` and 64 lower-case hexadecimal digits is False, never an error.
    """
    claimed = _FORM.fullmatch(header)
    if claimed is None:
        return False
    return any(hmac.compare_digest(_hex(secret, body), claimed[1]) for secret in secrets)


def sign(secret: bytes, body: bytes) -> str:
    """The value of X-Hub-Signature-256 for `body`."""
    return "sha256=" + _hex(secret, body).decode()


def _hex(secret: bytes, body: bytes) -> bytes:
    return hmac.digest(secret, body, "sha256").hex().encode()
