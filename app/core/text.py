"""The text of an issue: what was filed, and the part of it a model gets to see."""

from __future__ import annotations

import hashlib
import re

from pydantic import BaseModel, ConfigDict

# GitHub's own limits, in characters; longer input did not come from GitHub.
MAX_TITLE = 1024
MAX_BODY = 65536

_COMMENT = re.compile(r"<!--.*?(?:-->|\Z)", re.DOTALL)
_NO_TEXT = re.compile(r"[\x00\ud800-\udfff]")
_CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\ufeff\u202a-\u202e\u2066-\u2069]")
_BREAK = re.compile(r"[\r\n]+")
_BLANK = re.compile(r"[ \t]+")


class IssueText(BaseModel):
    """Title and body exactly as GitHub sent them, cut at GitHub's own limits.

    NUL and lone surrogates are dropped: no database column and no tokenizer takes them.
    """

    model_config = ConfigDict(frozen=True)

    title: str
    body: str = ""

    @classmethod
    def of(cls, title: str | None, body: str | None) -> IssueText:
        """From possibly absent, possibly oversized strings."""
        return cls(
            title=_NO_TEXT.sub("", title or "")[:MAX_TITLE],
            body=_NO_TEXT.sub("", body or "")[:MAX_BODY],
        )

    @property
    def content_hash(self) -> str:
        """SHA-256 (hex) of title and body; equal hashes are the same question to a model."""
        return hashlib.sha256(
            f"{self.title}\n\0\n{self.body}".encode("utf-8", "replace")
        ).hexdigest()


def visible_lines(text: str) -> list[str]:
    """What a reader of the rendered issue sees, line by line, without empty lines.

    Hidden HTML comments (issue templates are full of them) and control characters, bidirectional
    overrides among them, go; runs of white space become one space.
    """
    shown = _CONTROL.sub("", _COMMENT.sub(" ", text))
    lines = (_BLANK.sub(" ", line).strip() for line in _BREAK.split(shown))
    return [line for line in lines if line]


def visible(text: str) -> str:
    """`visible_lines` on one line."""
    return " ".join(visible_lines(text))
