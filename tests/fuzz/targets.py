"""The parsers that read what strangers write: bytes in, an answer or one of our errors out."""

from __future__ import annotations

import contextlib
import io
import json
from collections.abc import Callable, Mapping

from app.core import commands, patterns, prompt, repository_config
from app.core.segments import segments
from app.core.taxonomy import DEFAULT_TAXONOMY
from app.core.text import IssueText
from app.github import events, signature
from app.web import body
from worker.classify import Scoring, stream


def _text(raw: bytes) -> str:
    return raw.decode("utf-8", "replace")


def check_signature(raw: bytes) -> None:
    """X-Hub-Signature-256: never an error, and True for the one that fits."""
    header, _, signed = raw.partition(b"\n")
    fits = signature.sign(b"secret", signed).encode()
    assert signature.verify([b"secret"], signed, header) is (header == fits)


def read_body(raw: bytes) -> None:
    """The body of a webhook, as JSON and as a form, and the event in it."""
    for media in (body.JSON, body.FORM):
        with contextlib.suppress(body.BadRequest, events.Unusable):
            events.read(body.payload_of(media, raw))


def read_config(raw: bytes) -> None:
    """`.github/triora.yml`."""
    with contextlib.suppress(repository_config.Mistakes):
        repository_config.parse(_text(raw))


def read_pattern(raw: bytes) -> None:
    """A pattern of `.github/triora.yml` against a title."""
    pattern, _, title = _text(raw).partition("\n")
    with contextlib.suppress(ValueError):
        patterns.found(pattern, title)


def read_commands(raw: bytes) -> None:
    """Commands in a comment."""
    for line in commands.find(_text(raw), DEFAULT_TAXONOMY):
        with contextlib.suppress(commands.Mistake):
            commands.read(line, DEFAULT_TAXONOMY)


def read_issue(raw: bytes) -> None:
    """An issue's text, up to the prompt; the pieces of a body are what a reader sees of it."""
    title, _, text = _text(raw).partition("\n")
    issue = IssueText.of(title, text)
    shown = prompt.text(issue, 64, lambda texts: [len(t) for t in texts])
    assert len(shown) <= 65
    assert " ".join(s.text for s in segments(issue.body)) == prompt.visible(issue.body)


def read_rows(raw: bytes) -> None:
    """JSONL on the standard input of `triora classify`: every line is answered or named."""
    lines = [line + b"\n" for line in raw.split(b"\n")]
    out, err = io.StringIO(), io.StringIO()
    refused = stream(lines, Scoring(_Even()), out=out, err=err)  # type: ignore[arg-type]
    answered = [json.loads(line) for line in out.getvalue().splitlines()]
    assert len(answered) + refused <= len(lines)


class _Even:
    version = "even"

    def score(self, texts: list[IssueText], _: object) -> list[dict[str, dict[str, float]]]:
        even = {
            d.name: dict.fromkeys(d.names, 1 / len(d.names)) for d in DEFAULT_TAXONOMY.dimensions
        }
        return [even for _ in texts]


# Name -> the parser, and something to begin with.
TARGETS: Mapping[str, tuple[Callable[[bytes], None], tuple[bytes, ...]]] = {
    "signature": (check_signature, (b"sha256=" + b"0" * 64 + b"\nbody", b"sha1=0")),
    "body": (
        read_body,
        (
            b'{"action":"opened","issue":{"number":1,"title":"a","updated_at":"2026-11-01T12:00:00Z",'
            b'"user":{"id":1,"login":"a"}},"installation":{"id":1},"changes":{"name":{"from":"b"}}}',
            b"payload=%7B%22action%22%3A%22created%22%7D",
        ),
    ),
    "config": (
        read_config,
        (
            b"dimensions:\n  severity:\n    labels:\n      high: {github: P1, threshold: .5}\n",
            b"deny: {titles: ['(a+)+$'], labels: [a*]}\nretraining: {every_days: 7}\ngate: false\n",
        ),
    ),
    "pattern": (read_pattern, (b"^(a|b)+[c-d]{2,3}$\naabcd", b"(a+)+$\n" + b"a" * 40)),
    "commands": (read_commands, (b"/severity high\n```\n/triage undo\n```", b"> /repro rare <!--")),
    "issue": (read_issue, (b"Crash\n### Steps\n1. a\n```\nError: b\n```\n<!-- c -->", b"a\n" * 9)),
    "rows": (read_rows, (b'{"id":1,"title":"a","body":"b"}\n{"title":1}\n\n[',)),
}
