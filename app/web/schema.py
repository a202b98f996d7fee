"""The JSON Schema of `.github/triora.yml`, for editors and for checks in a repository's own CI."""

from __future__ import annotations

import json

from fastapi import APIRouter, Response

from app.core import repository_config
from app.core.repository_config import SCHEMA_PATH

_MEDIA = "application/schema+json"


def routes() -> APIRouter:
    """The route; anybody may read it."""
    router = APIRouter()
    text = json.dumps(repository_config.schema(), indent=2)
    headers = {"cache-control": "public, max-age=3600", "access-control-allow-origin": "*"}

    @router.get(
        SCHEMA_PATH,
        summary="JSON Schema of .github/triora.yml",
        response_class=Response,
        responses={200: {"content": {_MEDIA: {"schema": {"type": "object"}}}}},
    )
    async def schema() -> Response:
        return Response(text, media_type=_MEDIA, headers=headers)

    return router
