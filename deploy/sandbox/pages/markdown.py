"""Markdown of strangers as HTML that can do no harm: no raw HTML, no images, only safe links."""

from __future__ import annotations

from functools import cache

from markdown_it import MarkdownIt
from markupsafe import Markup


@cache
def _renderer() -> MarkdownIt:
    # Images would make the reader's browser ask strangers' servers.
    return (
        MarkdownIt("commonmark", {"html": False})
        .enable(["table", "strikethrough"])
        .disable("image")
    )


def render(text: str | None) -> Markup:
    """HTML of a body or comment; markdown-it escapes what is not Markdown."""
    return Markup(_renderer().render(text or ""))  # noqa: S704 - escaped by the renderer
