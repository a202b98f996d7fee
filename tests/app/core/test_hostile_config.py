"""Any file somebody may commit as `.github/triora.yml`: a configuration, or mistakes in words."""

from __future__ import annotations

import contextlib
from typing import Any

import yaml
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from app.core import patterns
from app.core.repository_config import Config, Mistakes, parse, schema

# Keys that mean something, so that more than the first check is reached.
KEYS = sorted(
    set(schema()["properties"])
    | {key for part in schema()["$defs"].values() for key in part.get("properties", {})}
    | {"severity", "component", "kind", "bug", "high", "ui", "mine"}
)
LEAVES = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-2, 200),
    st.floats(allow_nan=True),
    st.text(max_size=8),
    st.sampled_from([".5", "(a+)+$", "ffffff", "#000000", "*", "automerge", "[", "x" * 60]),
)
NODES = st.recursive(
    LEAVES,
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(KEYS) | st.text(max_size=4), inner, max_size=4)
    ),
    max_leaves=12,
)
calm = settings(max_examples=80, deadline=None, suppress_health_check=list(HealthCheck))


def outcome(text: str) -> Config | Mistakes:
    try:
        return parse(text)
    except Mistakes as error:
        return error


def judged(text: str) -> None:
    found = outcome(text)
    if isinstance(found, Config):
        assert found.taxonomy.dimensions
    else:
        assert found.lines
        assert all(line.isprintable() for line in found.lines)
        # In pydantic's words nobody knows what to write.
        assert not any("nput should" in line or " should have" in line for line in found.lines)


@calm
@given(st.text(max_size=200) | st.text("abc:-[]{}&*!|>'\"#%@ \n\t0.~", max_size=120))
@example("\ud800: 1")
@example("a: \ufeff")
@example('deny: {titles: ["\\ud800"]}')
@example('deny: {titles: ["\\ud83d\\ude00", "\\x00", "\\U0010FFFF"]}')
@example("? ")
@example("%YAML 9.9\n---\n")
@example("=: 1")
@example("<<: {a: 1}")
@example("grace_seconds: " + "9" * 5000)
@example("threshold: 1e999999999")
@example("threshold: 0b" + "1" * 5000)
@example("threshold: 1:2:3:4:5")
def test_any_text_is_a_configuration_or_mistakes(text: str) -> None:
    judged(text)


@calm
@given(st.dictionaries(st.sampled_from(KEYS), NODES, max_size=5))
def test_any_tree_of_known_keys_is_a_configuration_or_mistakes(tree: dict[str, Any]) -> None:
    judged(yaml.safe_dump(tree, allow_unicode=True))


@calm
@given(st.text("ab()+*?{}0123456789,|[]\\^$.:!<>=-", max_size=40), st.text("ab!", max_size=60))
def test_any_pattern_is_found_not_found_or_no_pattern(pattern: str, text: str) -> None:
    with contextlib.suppress(ValueError):
        assert patterns.found(pattern, text) in (True, False)
