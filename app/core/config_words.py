"""Mistakes in `.github/triora.yml` in the words of whoever has to mend them.

pydantic says what its types expect; a maintainer wants to know what to write instead.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from difflib import get_close_matches
from typing import Any

_SWITCH = "write true or false, without quotes"
_NUMBER = "write a number without quotes, as in 0.8"
_WHOLE = "write a whole number without quotes"
_KEYS = "write keys under it, each on a line of its own and indented"

# By pydantic's name of the error; {names} come from its context.
_WORDS: Mapping[str, str] = {
    "bool_type": _SWITCH,
    "float_type": _NUMBER,
    "finite_number": _NUMBER,
    "int_type": _WHOLE,
    "int_from_float": _WHOLE,
    "int_parsing_size": "the number is too large",
    "string_type": "write a text; in quotes if it looks like a number, or like true or false",
    "model_type": _KEYS,
    "dict_type": _KEYS,
    "tuple_type": "write a list: [one, another], or one `- entry` on each line",
    "list_type": "write a list: [one, another], or one `- entry` on each line",
    "greater_than": "the least is more than {gt}: write a larger number",
    "greater_than_equal": "the least is {ge}: write a larger number",
    "less_than": "the most is less than {lt}: write a smaller number",
    "less_than_equal": "the most is {le}: write a smaller number",
    "string_too_short": "is empty: write something, or leave the key out",
    "string_too_long": "has more than {max_length} characters: write a shorter one",
    "too_long": "has more than {max_length} entries: leave some out",
    "literal_error": "only `false` is allowed here as a switch; to change it, write keys under it",
    "string_unicode": "holds half a character: save the file as UTF-8",
}
_COLOR = "write six hexadecimal digits in quotes, as in 'd73a4a'"
_NAME = "a name has no blank at its beginning or end, and stands on one line"


def words(error: Any, keys: Iterable[str] = ()) -> str:
    """What is wrong, and what to write instead. `keys` are those there are beside the wrong one.

    error: one of pydantic's `ValidationError.errors()`.
    """
    kind, context = str(error["type"]), error.get("ctx", {})
    if kind == "extra_forbidden":
        return _no_such_key(str(error["loc"][-1]), list(keys))
    if kind == "string_pattern_mismatch":
        return _COLOR if error["loc"][-1] == "color" else _NAME
    if kind in _WORDS:
        plain = {k: f"{v:g}" if isinstance(v, float) else v for k, v in context.items()}
        return _WORDS[kind].format_map(plain)
    # A check of our own says it in our words.
    return str(error["msg"]).removeprefix("Value error, ")


def _no_such_key(wrong: str, keys: list[str]) -> str:
    near = get_close_matches(wrong.casefold()[:60], keys, n=1)
    if near:
        return f"there is no such key: did you mean `{near[0]}`?"
    listed = ", ".join(f"`{key}`" for key in keys)
    return f"there is no such key here; there are {listed}" if keys else "there is no such key"
