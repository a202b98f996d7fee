"""Reads a label's name: its prefix, its words, and what projects usually mean by them.

Names are what thousands of projects agree on (`area/ui`, `A-UI`, `topic:gui`, `P1`, `needs info`);
`label_words.toml` holds the agreement. Nothing here looks at issues.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from importlib.resources import files

_TABLES = tomllib.loads(
    files("training.preview").joinpath("label_words.toml").read_text(encoding="utf-8")
)
# What stands before the separator -> which question the labels behind it answer.
FAMILIES = {name: frozenset(words) for name, words in _TABLES["families"].items()}
# dimension -> answer -> words that mean it
ANSWERS = {
    dimension: {answer: frozenset(words) for answer, words in said.items()}
    for dimension, said in _TABLES["answers"].items()
}
FILLERS = frozenset(_TABLES["fillers"])
PLATFORMS = frozenset(_TABLES["platforms"])
PROCESS_PHRASES = tuple(_TABLES["process"])

_PREFIX = re.compile(
    r"^(?:\[(?P<square>[^\]]+)\]|\((?P<round>[^)]+)\)|(?P<sign>[@#~&])|(?P<word>[^:/|]{1,24}?)\s*[:/|]"
    r"|(?P<letter>[A-Za-z])-(?=\S))\s*(?P<rest>\S.*)$"
)
_HYPHEN = re.compile(r"^(?P<word>[A-Za-z]+)[-_](?P<rest>\S+)$")
_EMOJI = re.compile(r":[a-z0-9_+-]+:|[^\w\s@#~&:/|()\[\].,'+-]", re.IGNORECASE)
_CAMEL = re.compile(r"(?<=[a-z])(?=[A-Z][a-z])")
_WORDS = re.compile(r"[^\W_]+(?:'[a-z]+)?")
_BETWEEN = re.compile(r"[\s:/_.-]+")
_NUMBER = re.compile(r"^(?:p|s|sev|prio|pri|priority|severity)?[\s_-]*(\d)$")


@dataclass(frozen=True)
class Anatomy:
    """A label's name taken apart. `prefix` is folded, without its separator; "" if there is none.

    `rest` is what stands behind the prefix as it was written, `words` are its words, folded.
    """

    prefix: str
    rest: str
    words: tuple[str, ...]

    @property
    def family(self) -> str | None:
        """The question the prefix stands for; None for a prefix (or none) nobody agrees about."""
        return next((name for name, found in FAMILIES.items() if self.prefix in found), None)

    @property
    def phrase(self) -> str:
        """The words with one space between them."""
        return " ".join(self.words)


def anatomy(name: str) -> Anatomy:
    """Take a name apart. Emoji and shortcodes are decoration."""
    plain = re.sub(r"\s+", " ", _EMOJI.sub(" ", name)).strip() or name.strip()
    found = _PREFIX.match(plain)
    if found is not None:
        parts = found.groupdict()
        prefix = next(v for k, v in parts.items() if k != "rest" and v is not None)
        return _of(prefix, parts["rest"])
    hyphen = _HYPHEN.match(plain)
    if hyphen is not None and any(hyphen["word"].casefold() in f for f in FAMILIES.values()):
        return _of(hyphen["word"], hyphen["rest"])
    return _of("", plain)


def _of(prefix: str, rest: str) -> Anatomy:
    return Anatomy("-".join(words_of(prefix)) or prefix.casefold(), rest, words_of(rest))


def words_of(text: str) -> tuple[str, ...]:
    """The words of a text, folded; camelCase is two."""
    return tuple(word.casefold() for word in _WORDS.findall(_CAMEL.sub(" ", text)))


def says_process(found: Anatomy) -> str | None:
    """The phrase by which a name records what was done about an issue; None if there is none."""
    if found.family == "process":
        return found.prefix
    whole = f" {found.phrase} "
    return next((p for p in PROCESS_PHRASES if f" {p} " in whole), None)


def answer(dimension: str, words: Iterable[str]) -> tuple[str, str] | None:
    """(answer, the word it was known by) if all telling words of a name mean the same answer."""
    meant: dict[str, str] = {}
    others = False
    for word in words:
        hit = next((a for a, known in ANSWERS[dimension].items() if word in known), None)
        if hit is not None:
            meant.setdefault(hit, word)
        elif word not in FILLERS and word not in _OWN_WORDS[dimension]:
            others = True
    if dimension == "component" and len(meant) > 1:
        # What is told with "other" words is told more closely by the other ones.
        meant.pop("other", None)
    if len(meant) != 1 or (others and dimension != "component"):
        return None
    return next(iter(meant.items()))


# Words of the question itself: "high priority" says high.
_OWN_WORDS: Mapping[str, frozenset[str]] = {
    "kind": frozenset({"type", "kind"}),
    "severity": FAMILIES["severity"] | {"bug", "failure", "compile", "data", "loss"},
    "component": frozenset(),
    "reproducibility": FAMILIES["reproducibility"] | {"happens", "time"},
}


def folded_automation(name: str) -> str:
    """A name as `taxonomy.AUTOMATION_LABELS` spells it."""
    return _BETWEEN.sub(" ", name.casefold()).strip()


def rank(found: Anatomy) -> int | None:
    """The digit of a numbered priority (P1, sev-2, priority: 3); None for other names."""
    hit = _NUMBER.match(found.phrase)
    if hit is None:
        return None
    numbered = found.phrase[0].isalpha() or found.family == "severity"
    return int(hit[1]) if numbered else None
