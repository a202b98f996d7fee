"""The body of a webhook: read with a cap on size and time, then understood as JSON."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from urllib.parse import unquote_to_bytes

from pydantic_core import from_json
from starlette.requests import ClientDisconnect, Request

from app.core.errors import BadRequest

# GitHub's own cap.
MAX_BYTES = 25 * 1024 * 1024
# GitHub gives up after 10 s.
READ_SECONDS = 10.0

JSON = "application/json"
FORM = "application/x-www-form-urlencoded"


async def read(request: Request, cap: int = MAX_BYTES, seconds: float = READ_SECONDS) -> bytes:
    """The raw body. BadRequest with 413 as soon as it is over `cap` bytes, with 408 if it is slow.

    Never holds more than `cap` bytes, whatever Content-Length says.
    """
    announced = request.headers.get("content-length", "")
    if announced.isascii() and announced.isdigit() and int(announced[:20]) > cap:
        raise _too_large(cap)
    try:
        async with asyncio.timeout(seconds):
            return await _collect(request, cap)
    except TimeoutError:
        raise BadRequest(f"the body did not arrive within {seconds:.0f} s", 408) from None
    except ClientDisconnect:
        raise BadRequest("the connection ended before the body did") from None


async def _collect(request: Request, cap: int) -> bytes:
    body = bytearray()
    async for chunk in request.stream():
        if len(body) + len(chunk) > cap:
            raise _too_large(cap)
        body += chunk
    return bytes(body)


def _too_large(cap: int) -> BadRequest:
    return BadRequest(f"the body is over {cap // 1024 // 1024} MB, GitHub's own limit", 413)


def payload_of(content_type: str, body: bytes) -> Mapping[str, object]:
    """The JSON object in `body`, bare or in the form field `payload` (GitHub sends either).

    Raises BadRequest, 415 for any other content type.
    """
    media = content_type.partition(";")[0].strip().lower()
    if media == FORM:
        body = _form_field(body)
    elif media not in ("", JSON):
        raise BadRequest(
            f"the content type has to be {JSON} (or {FORM}): choose it in the webhook's settings",
            415,
        )
    try:
        payload = from_json(body)
    except ValueError as error:
        raise BadRequest(f"the payload is not JSON: {error}") from None
    if not isinstance(payload, dict):
        raise BadRequest("the payload is JSON but not an object")
    return payload


def _form_field(body: bytes) -> bytes:
    for pair in body.split(b"&", 1):
        name, _, value = pair.partition(b"=")
        if name == b"payload":
            return unquote_to_bytes(value.replace(b"+", b" "))
    raise BadRequest("the form has no field `payload`")
