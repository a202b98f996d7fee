"""YAML written by strangers, read safely: bounded, without aliases, tags or repeated keys.

What comes out are JSON's types, with the line of every key. Words that YAML takes for something
else as a key (`on`, `no`, `1.0`, a date) stay the text they are; so do dates as values.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import yaml

from app.core.errors import ConfigProblem

MAX_BYTES = 64 * 1024
MAX_DEPTH = 12
# Where libyaml is built in, its parser; PyYAML's own is a hundred times slower.
_Loader: type[Any] = getattr(yaml, "CSafeLoader", yaml.SafeLoader)

_LOOK = "look for a tab, a colon without a blank, or a quote or bracket that is not closed"
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f]")

# Keys and list positions from the top.
Path = tuple[str | int, ...]


@dataclass(frozen=True)
class Document:
    """What a text says, and on which line (from 1) each key stands."""

    value: Any
    lines: Mapping[Path, int]


def load(text: str) -> Document:
    """The document of `text`; an empty one says None. ConfigProblem says what is wrong, and where.

    Nothing is built before the whole text was walked through and found harmless.
    """
    try:
        size = len(text.encode())
    except UnicodeEncodeError as error:
        raise ConfigProblem("the file holds half a character: save it as UTF-8") from error
    if size > MAX_BYTES:
        raise ConfigProblem(f"the file is larger than {MAX_BYTES // 1024} KB")
    try:
        _walk(text)
        loader = _Loader(text)
        try:
            node = loader.get_single_node()
            lines: dict[Path, int] = {}
            value = None if node is None else _build(loader, node, (), lines)
        finally:
            loader.dispose()
    except yaml.YAMLError as error:
        raise ConfigProblem(_said(error)) from error
    return Document(value, lines)


def _walk(text: str) -> None:
    """Refuse aliases, anchors, tags and deep nesting while they are mere events."""
    depth = 0
    for event in yaml.parse(text, Loader=_Loader):
        line = event.start_mark.line + 1 if event.start_mark else 0
        if isinstance(event, yaml.AliasEvent) or getattr(event, "anchor", None):
            raise ConfigProblem(f"line {line}: anchors (&) and aliases (*) are not allowed")
        if getattr(event, "tag", None):
            raise ConfigProblem(f"line {line}: tags (!) are not allowed")
        if isinstance(event, yaml.CollectionStartEvent):
            depth += 1
        elif isinstance(event, yaml.CollectionEndEvent):
            depth -= 1
        if depth > MAX_DEPTH:
            raise ConfigProblem(f"line {line}: nested more than {MAX_DEPTH} levels deep")


def _build(loader: Any, node: yaml.Node, path: Path, lines: dict[Path, int]) -> Any:
    if isinstance(node, yaml.MappingNode):
        return _mapping(loader, node, path, lines)
    if isinstance(node, yaml.SequenceNode):
        return [_build(loader, item, (*path, at), lines) for at, item in enumerate(node.value)]
    try:
        value = loader.construct_object(node)
    except ValueError:
        # A date that is none, a number too long: then it is a text.
        return node.value
    value = value if isinstance(value, str | int | float | bool | None) else node.value
    return _clean(value, node) if isinstance(value, str) else value


def _clean(text: str, node: yaml.Node) -> str:
    """`text` as given. PostgreSQL stores no NUL, and GitHub takes no such character in a name."""
    if _CONTROL.search(text):
        raise ConfigProblem(f"line {node.start_mark.line + 1}: control characters are not allowed")
    return text


def _mapping(
    loader: Any, node: yaml.MappingNode, path: Path, lines: dict[Path, int]
) -> dict[str, Any]:
    built: dict[str, Any] = {}
    for key_node, value_node in node.value:
        line = key_node.start_mark.line + 1
        if not isinstance(key_node, yaml.ScalarNode):
            raise ConfigProblem(f"line {line}: a key is plain text")
        key = _clean(key_node.value, key_node)
        if key in built:
            raise ConfigProblem(f"line {line}: key {key!r} stands twice")
        lines[*path, key] = line
        built[key] = _build(loader, value_node, (*path, key), lines)
    return built


def _said(error: yaml.YAMLError) -> str:
    mark = getattr(error, "problem_mark", None)
    problem = getattr(error, "problem", None) or getattr(error, "reason", None) or "not YAML"
    told = f"this cannot be read as YAML ({problem})"
    return f"line {mark.line + 1}: {told}: {_LOOK}" if mark is not None else f"{told}: {_LOOK}"
