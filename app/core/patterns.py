"""Patterns from strangers, matched in time linear in the text: pydantic's engine is Rust's.

Python's `re` takes seconds for `(a+)+$` against forty letters. Rust's engine never backtracks; what
it cannot do in linear time (look-around, back references) it refuses, and so are patterns that
would grow large.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Annotated

from pydantic import Field, TypeAdapter, ValidationError
from pydantic_core import SchemaError

MAX_LENGTH = 200


def check(pattern: str) -> str:
    """`pattern` as given, or ValueError in words."""
    _compiled(pattern)
    return pattern


def found(pattern: str, text: str) -> bool:
    """True if `pattern` stands anywhere in `text`, in whatever case. ValueError if it is none."""
    try:
        _compiled(pattern).validate_python(text)
    except ValidationError:
        return False
    return True


@lru_cache(maxsize=1024)
def _compiled(pattern: str) -> TypeAdapter[str]:
    if len(pattern) > MAX_LENGTH:
        raise ValueError(f"a pattern has at most {MAX_LENGTH} characters")
    try:
        return TypeAdapter(Annotated[str, Field(pattern=f"(?i){pattern}")])
    except SchemaError as error:
        raise ValueError(f"not a pattern of Rust's regex engine: {_reason(error)}") from error


def _reason(error: SchemaError) -> str:
    """The engine's own last line; before it stands the pattern with a mark under it."""
    if "size limit" in str(error):
        return "it would grow too large"
    lines = [line.strip() for line in str(error).splitlines()]
    told = [line.partition("error:")[2].strip() for line in lines if line.startswith("error:")]
    return told[-1] if told else "it cannot be compiled"
