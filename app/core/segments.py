"""A report's body in short pieces, ranked by how much each tells: what to keep of a long one."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from enum import IntEnum

from app.core.text import visible_lines


class Rank(IntEnum):
    """How much a piece tells about what broke; the smaller, the sooner it is kept."""

    ERROR = 0
    STEP = 1
    FIELD = 2
    PROSE = 3
    BULK = 4


@dataclass(frozen=True, slots=True)
class Segment:
    """A piece of a body as a reader sees it, on one line."""

    text: str
    rank: Rank


# A log repeats itself: error lines after this many are bulk.
MAX_ERRORS = 12
# Characters of a piece at most, and of a form field's answer that count for more than prose.
PIECE = 240
STEPS = 4 * PIECE

_FENCE = re.compile(r"```|~~~")
_HEADING = re.compile(r"#{1,6} \S")
# Where line breaks were lost (mail, scrapers) an issue form's headings still show.
_LOST_BREAK = re.compile(r" (?=#{2,4} [A-Z])")
_SENTENCE_END = re.compile(r"(?<=[.!?]) ")
_ERROR = re.compile(
    r"\b(?:error|exception|panic(?:ked)?|fatal|segfault|segmentation fault|sig(?:segv|abrt|ill)"
    r"|assert(?:ion)?|traceback|abort(?:ed)?|crash(?:es|ed)?|core dumped|access violation"
    r"|undefined (?:reference|symbol)|failed|stack overflow|out of memory|deadlock"
    r"|fr(?:ee|o)zen?|freez(?:es|ing)|hangs?)\b"
    r"|\b\w+(?:Error|Exception)\b",
    re.IGNORECASE,
)
_STEPS = re.compile(
    r"\b(?:steps?|repro\w*|how to|expected|actual|observed|happen\w*|behaviou?r)\b", re.IGNORECASE
)
_NUMBERED = re.compile(r"\d{1,2}[.)] \S")
_NUMBER = re.compile(r"[0-9a-fA-F]*[0-9][0-9a-fA-F]*")
_NO_ANSWER = re.compile(r"_?No response_?|n/a", re.IGNORECASE)
# Stack frames, tables, lone links and images, check boxes, HTML, hashes: little for their size.
_BULKY = re.compile(
    r"at 0x|at \S+\(|#\d+ |\d+: +0x|File \"|\||!\[|-{3}|https?://\S+$|[-*] \[[ xX]\]"
    r"|[0-9a-fA-F]{12}|</?(?:img|table|t[drh]|a|b|video|details|summary)\b"
)


def segments(body: str) -> list[Segment]:
    """The pieces of `body` in order. Joined by spaces they are what `visible` shows of it."""
    seen: set[str] = set()
    return [
        Segment(piece, _error_rank(piece, rank, seen))
        for line, rank in _ranked_lines(body)
        for piece in _pieces(line)
    ]


def _error_rank(piece: str, rank: Rank, seen: set[str]) -> Rank:
    """ERROR the first time an error is seen and BULK after; `rank` when `piece` is no error."""
    if not _ERROR.search(piece):
        return rank
    # Repeats differ in numbers and addresses only.
    shape = _NUMBER.sub("", piece)
    if shape in seen or len(seen) >= MAX_ERRORS:
        return Rank.BULK
    seen.add(shape)
    return Rank.ERROR


def _ranked_lines(body: str) -> Iterator[tuple[str, Rank]]:
    fenced, steps, field_left = False, False, 0  # characters left of what an answer begins with
    for whole in visible_lines(body):
        for line in _LOST_BREAK.split(whole):
            if _FENCE.match(line):
                fenced = not fenced
            elif not fenced and _HEADING.match(line):
                steps = bool(_STEPS.search(line[:80]))
                field_left = (STEPS if steps else PIECE) + len(line)
            early = field_left > 0
            yield line, _rank(line, fenced=fenced, steps=steps and early, field=early)
            field_left -= len(line)


def _rank(line: str, *, fenced: bool, steps: bool, field: bool) -> Rank:
    if fenced or _BULKY.match(line) or _NO_ANSWER.fullmatch(line):
        return Rank.BULK
    if steps or _NUMBERED.match(line):
        return Rank.STEP
    return Rank.FIELD if field else Rank.PROSE


def _pieces(line: str) -> Iterator[str]:
    """`line` cut at sentence ends into pieces of at most PIECE characters, at spaces if need be."""
    piece = ""
    for part in _parts(line):
        if piece and len(piece) + len(part) >= PIECE:
            yield piece
            piece = part
        else:
            piece = f"{piece} {part}" if piece else part
    if piece:
        yield piece


def _parts(line: str) -> Iterator[str]:
    for sentence in _SENTENCE_END.split(line) if len(line) > PIECE else [line]:
        if len(sentence) <= PIECE:
            yield sentence
        else:
            yield from sentence.split(" ")
