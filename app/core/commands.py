"""Commands that people write in comments: which lines are some, and what they ask for. Pure.

A command is a line of its own that begins with a slash: `/triage VERB`, or `/DIMENSION LABEL` for a
dimension whose labels are written. What other bots are told (`/assign`, `/lgtm`) is none of ours.
Lines in code, in quotes and in hidden HTML comments are talk about commands, not commands.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum

from app.core.configured_taxonomy import COMMAND, word_of
from app.core.errors import BadRequest
from app.core.taxonomy import Dimension, Label, Taxonomy

# Of one comment; further ones are not read.
MOST = 10
# Of a comment whose repository's words are not known yet, whatever bot they may be for.
MOST_UNREAD = 50
# Longer than any label's name with its dimension's; the rest of a line is cut.
LONGEST = 150
TRIAGE = COMMAND
ALIASES: Mapping[str, str] = {"repro": "reproducibility"}

_BREAK = re.compile(r"\r\n|\n|\r")
_FENCE = re.compile(r"\s*(?:(?:[-*+]|\d{1,9}[.)])[ \t]+){0,4}(?P<mark>`{3,}(?=[^`]*$)|~{3,})")
_PRE = re.compile(r"\s*<pre[\s>]", re.IGNORECASE)
_PRE_END = re.compile(r"</pre>", re.IGNORECASE)
# Neither `@team`, `#12`, a link nor markup.
_HARMLESS = re.compile(r"[^\W\d_]+(?:[ -][^\W\d_]+)*")
# The same of a sentence: no digits (`GH-1` is a link), and no stop before a letter (`www.…`).
_SENTENCE = re.compile(r"[^\W\d_](?:[^\W\d_]|[ '()]|[-](?=[^\W\d_])|[.,;:](?= |$))*")
# Four columns of indentation make a block of code.
_INDENTED = re.compile(r" {0,3}\t| {4}")


class Verb(StrEnum):
    """What `/triage` can be told."""

    RERUN = "rerun"
    EXPLAIN = "explain"
    PAUSE = "pause"
    RESUME = "resume"
    UNDO = "undo"


@dataclass(frozen=True)
class Order:
    """`/triage VERB`."""

    verb: Verb


@dataclass(frozen=True)
class Setting:
    """`/DIMENSION LABEL`: these labels and no other belong there. Several if not exclusive."""

    dimension: Dimension
    labels: tuple[Label, ...]


class Mistake(BadRequest):
    """A command that cannot be carried out. The text is Markdown and names what is allowed."""


def find(body: str, taxonomy: Taxonomy | None) -> list[str]:
    """The lines of a comment that are commands, blanks and what cannot be printed tidied away.

    Whether their arguments make sense is for `read` to say. At most MOST, none twice. Without a
    taxonomy every line that may be one, at most MOST_UNREAD: `still` says later which are.
    """
    known = None if taxonomy is None else {TRIAGE, *_dimensions(taxonomy)}
    found: dict[str, None] = {}
    for line in _spoken(body):
        if not line.lstrip(" ").startswith("/"):
            continue
        tidy = " ".join("".join(c if c.isprintable() else " " for c in line).split())[:LONGEST]
        word = tidy[1:].partition(" ")[0].casefold()
        if (word in known) if known is not None else word:
            found[tidy.rstrip()] = None
    return list(found)[: MOST if known is not None else MOST_UNREAD]


def still(lines: Iterable[str], taxonomy: Taxonomy) -> list[str]:
    """Those of the lines that `find` gave without a taxonomy that are commands under this one."""
    return find("\n".join(lines), taxonomy)


def read(line: str, taxonomy: Taxonomy) -> Order | Setting:
    """What a line that `find` gave asks for, under the taxonomy in force now. Raises Mistake."""
    word, _, rest = line.removeprefix("/").partition(" ")
    if word.casefold() == TRIAGE:
        return _order(rest)
    dimension = _dimensions(taxonomy).get(word.casefold())
    if dimension is None:
        raise Mistake(f"{quoted('/' + word)}: this repository has no such dimension any more.")
    return Setting(dimension, _labels(dimension, word, rest))


def quoted(text: str) -> str:
    """`text` as Markdown code, where it mentions nobody and formats nothing; cut."""
    return _code(text, 60)


def sentence(text: str) -> str:
    """A sentence as Markdown: itself where it is mere words, else code, so nothing renders."""
    return text if _SENTENCE.fullmatch(text) else _code(text, 100)


def named(text: str) -> str:
    """A name as Markdown: itself where it is letters alone, else code that mentions nobody."""
    return text if _HARMLESS.fullmatch(text) else quoted(text)


def _code(text: str, most: int) -> str:
    # On one line: an empty one would end the code.
    shown = " ".join(text.replace("`", "'").split())
    return f"`{shown if len(shown) <= most else shown[: most - 1] + '…'}`"


def _order(rest: str) -> Order:
    try:
        return Order(Verb(rest.casefold()))
    except ValueError:
        allowed = ", ".join(quoted(f"/{TRIAGE} {verb}") for verb in Verb)
        said = quoted(f"/{TRIAGE} {rest}")
        raise Mistake(f"{said} is no command. Allowed: {allowed}.") from None


def _dimensions(taxonomy: Taxonomy) -> dict[str, Dimension]:
    """The words that name a dimension whose labels are written, case-folded."""
    named = {word_of(d.called): d for d in taxonomy.written} | {
        word_of(d.name): d for d in taxonomy.written
    }
    aliases = {alias: named[name] for alias, name in ALIASES.items() if name in named}
    return aliases | named


def _labels(dimension: Dimension, word: str, rest: str) -> tuple[Label, ...]:
    named = {form: label for label in dimension.labels for form in _forms(label)}
    whole = named.get(_bare(rest))
    if whole is not None:
        return (whole,)
    parts = [part for part in (rest.split(",") if "," in rest else rest.split()) if part.strip()]
    chosen: dict[str, Label] = {}
    if not parts:
        raise Mistake(f"{quoted('/' + word)} needs a label. {_allowed(dimension)}")
    for part in parts:
        label = named.get(_bare(part))
        if label is None:
            shown = quoted(rest if dimension.exclusive else part)
            raise Mistake(f"{quoted('/' + word)}: no label {shown}. {_allowed(dimension)}")
        chosen[label.name] = label
    if dimension.exclusive and len(chosen) > 1:
        raise Mistake(f"{quoted('/' + word)} takes one label, not several. {_allowed(dimension)}")
    return tuple(chosen.values())


def _forms(label: Label) -> Iterator[str]:
    yield label.github.casefold()
    yield word_of(label.name)
    yield label.name.casefold()


def _bare(text: str) -> str:
    return text.strip(" \t\"'`").casefold()


def _allowed(dimension: Dimension) -> str:
    return f"Allowed: {', '.join(quoted(name) for name in dimension.names)}."


def _spoken(body: str) -> Iterator[str]:
    """The lines of a comment that are its author's own words."""
    lines = iter(_BREAK.split(body))
    for line in lines:
        fence = _FENCE.match(line)
        if fence is not None:
            _skip_fenced(lines, fence["mark"])
        elif _PRE.match(line):
            _skip_pre(lines, line)
        else:
            visible = _without_comments(lines, line)
            if not _INDENTED.match(visible) and not visible.lstrip(" ").startswith(">"):
                yield visible


def _skip_fenced(lines: Iterator[str], mark: str) -> None:
    for line in lines:
        bare = line.strip()
        if len(bare) >= len(mark) and not bare.strip(mark[0]):
            return


def _skip_pre(lines: Iterator[str], line: str) -> None:
    while not _PRE_END.search(line):
        following = next(lines, None)
        if following is None:
            return
        line = following


def _without_comments(lines: Iterator[str], line: str) -> str:
    """`line` without hidden HTML comments; the lines one goes on over are taken from `lines`."""
    shown, opened, rest = line.partition("<!--")
    while opened:
        _, closed, after = rest.partition("-->")
        while not closed:
            following = next(lines, None)
            if following is None:
                return shown
            _, closed, after = following.partition("-->")
        more, opened, rest = after.partition("<!--")
        shown += more
    return shown
