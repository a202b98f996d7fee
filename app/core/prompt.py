"""The prompt: an issue's text, then one answer-free slot a dimension. Pure; no tokenizer, no torch.

    {title}
    {body, on one line}
    {dimension} ({option}, {option}, …):
    …

A slot ends at ':' and the answer would be ' option'; nothing is ever generated, only the
probability of each option is read there. The same builder serves training and scoring, and its
version travels with every adapter.

The questions come last and are short: every report pays for their tokens. Of five wordings tried
on 300 reports of the training data with SmolLM2-135M and nothing tuned, none was better than this
one by more than it cost: with the questions spelled out (87 tokens instead of 50), with a line a
label and its description (299), with the dimensions' names alone (16), in the chat template. Where
a code stands for a label the description goes with it, since such names tell little ("P0").
"""

from __future__ import annotations

import itertools
import string
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

from app.core.segments import segments
from app.core.taxonomy import Dimension, Label
from app.core.text import IssueText, visible

# Raise it whenever the same issue and taxonomy would give other text: adapters are tied to it.
PROMPT_VERSION = "p1"

# No more of an issue than this many characters a token of the budget is looked at. English has
# about four characters a token; without a cap 64 KB of log would be tokenised for nothing.
CHARS_PER_TOKEN = 8

# Characters that the descriptions of a coded dimension may take in all.
MAX_DESCRIPTIONS = 400

# Counts the tokens of several texts at once.
Count = Callable[[Sequence[str]], Sequence[int]]


@dataclass(frozen=True, slots=True)
class Option:
    """How one label stands in the prompt: `answer` is what would follow the slot."""

    label: str
    answer: str
    listed: str


def named(dimension: Dimension, spellings: Sequence[str]) -> tuple[Option, ...]:
    """Options that answer with the label's own name, in a spelling each (other case, say)."""
    return tuple(
        Option(label.name, spelling, spelling)
        for label, spelling in zip(dimension.labels, spellings, strict=True)
    )


def coded(dimension: Dimension, codes: Sequence[str]) -> tuple[Option, ...]:
    """Options that answer with a short code: for names that are no single token.

    Descriptions are listed as long as all of them together are short.
    """
    described = sum(len(label.description) for label in dimension.labels) <= MAX_DESCRIPTIONS
    return tuple(
        Option(label.name, code, f"{code} = {_meaning(label, described)}")
        for label, code in zip(dimension.labels, codes, strict=True)
    )


def _meaning(label: Label, described: bool) -> str:
    description = visible(label.description) if described else ""
    return f"{visible(label.name)}: {description}" if description else visible(label.name)


def spellings(name: str) -> tuple[str, ...]:
    """The ways a label's name may be written, the best first, without repeats."""
    name = visible(name)
    return tuple(dict.fromkeys((name, name.lower(), name.upper(), name.capitalize())))


def codes() -> Iterator[str]:
    """Short answers, in order: A … Z, a … z, then pairs of capitals."""
    yield from string.ascii_uppercase
    yield from string.ascii_lowercase
    yield from map("".join, itertools.product(string.ascii_uppercase, repeat=2))


def slot(dimension: Dimension, options: Iterable[Option]) -> str:
    """The question of one dimension, up to and with the ':' at which its answer is read."""
    listed = ", ".join(option.listed for option in options)
    return f"\n{visible(dimension.name)} ({listed}):"


def text(issue: IssueText, budget: int, count: Count) -> str:
    """What the model sees of an issue: about `budget` tokens at most, never hidden text.

    A report that fits stands whole, title first. A longer one keeps its title (up to half the
    budget), then error lines, steps, form fields and only then the rest, in their own order.
    `count` gives the tokens of each text; the caller still cuts to the budget, since counts of
    pieces do not quite add up.
    """
    title, body = visible(issue.title), visible(issue.body)
    whole = f"{title}\n{body}" if body else title
    if len(whole) <= budget * CHARS_PER_TOKEN and count([whole])[0] <= budget:
        return whole
    title = _shortened(title, budget // 2, count)
    room = budget - count([f"{title}\n"])[0]
    return f"{title}\n{_best(issue.body, room, count)}"


def _best(body: str, room: int, count: Count) -> str:
    """The most telling segments of `body` that fit into `room` tokens, in the body's order."""
    found = segments(body)
    ranked = sorted(range(len(found)), key=lambda at: (found[at].rank, at))
    near = list(_within(ranked, [len(s.text) for s in found], room * CHARS_PER_TOKEN))
    # One more for the space that joins it to its neighbour.
    costs = dict(zip(near, (n + 1 for n in count([found[at].text for at in near])), strict=True))
    kept: list[int] = []
    for at in near:
        if costs[at] <= room:
            kept.append(at)
            room -= costs[at]
    return " ".join(found[at].text for at in sorted(kept))


def _within(order: Iterable[int], sizes: Sequence[int], limit: int) -> Iterator[int]:
    """Those of `order` before `limit` is used up; never one that is larger than all of it."""
    left = limit
    for at in order:
        if sizes[at] > limit:
            # A word of 64 KB without a space: it would be tokenised only to be dropped.
            continue
        left -= sizes[at]
        yield at
        if left < 0:
            return


def _shortened(line: str, budget: int, count: Count) -> str:
    line = line[: budget * CHARS_PER_TOKEN]
    while line and count([line])[0] > budget:
        line = line[: len(line) * 3 // 4]
    return line
