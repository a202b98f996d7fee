"""The threat model names tests that exist, and what it says of files and lists is so."""

from __future__ import annotations

import ast
import json
import re
from pathlib import Path

import pytest
from pydantic import BaseModel

from app.github import events, models
from app.github.events import INTEREST
from deploy.sandbox import seed

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "security.md"
MANIFEST = ROOT / "docs" / "app-manifest.json"
NAMED = re.compile(r"`(tests/[\w/]+\.py)::(\w+)`")
# GitHub sends these to every App, subscribed or not.
ALWAYS = {"installation", "installation_repositories"}


def rows() -> list[list[str]]:
    """The cells of the table of threats."""
    table = PAGE.read_text(encoding="utf-8").partition("\n## ")[0]
    lines = [line for line in table.splitlines() if line[:1] == "|"]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines[2:]]


def test_every_threat_has_a_control_and_a_test() -> None:
    found = rows()
    assert len(found) > 20
    assert [row for row in found if len(row) != 3 or not all(row)] == []
    assert [row[0] for row in found if not NAMED.search(row[2])] == []


def test_every_test_on_the_page_exists() -> None:
    named = set(NAMED.findall(PAGE.read_text(encoding="utf-8")))
    missing = []
    for path, name in sorted(named):
        file = ROOT / path
        tree = ast.parse(file.read_text(encoding="utf-8")) if file.exists() else ast.Module([], [])
        functions = {node.name for node in tree.body if isinstance(node, ast.FunctionDef)}
        if name not in functions:
            missing.append(f"{path}::{name}")
    assert missing == []


@pytest.mark.parametrize("lock", sorted((ROOT / "deploy").glob("*.lock")), ids=lambda p: p.name)
def test_nothing_is_locked_without_its_hash(lock: Path) -> None:
    text = lock.read_text(encoding="utf-8").replace("\\\n", " ")
    entries = [line for line in text.splitlines() if line[:1].isalnum()]
    assert entries
    assert [line for line in entries if "--hash=sha256:" not in line] == []


def test_what_is_locked_is_installed_with_its_hashes_only() -> None:
    installs = re.findall(r"\$\(PIP\) install (.*)", (ROOT / "Makefile").read_text())
    assert len(installs) >= 5
    locked = [line for line in installs if ".lock" in line]
    assert [line for line in locked if "--require-hashes" not in line] == []
    # torch comes from the index of the reader's choice, the project from this folder.
    others = [line for line in installs if ".lock" not in line]
    assert [line for line in others if "$(TORCH)" not in line and "--no-deps" not in line] == []


def test_the_manifest_asks_for_what_the_stand_in_grants_and_for_no_more() -> None:
    manifest = json.loads(MANIFEST.read_text(encoding="utf-8"))
    assert manifest["default_permissions"] == seed.PERMISSIONS
    assert set(manifest["default_events"]) == set(INTEREST) - ALWAYS == set(seed.EVENTS)


def test_no_address_of_a_payload_or_an_answer_is_ever_called() -> None:
    """None is even read, but for the page of a repository, which a preview links to."""
    read = {
        f"{name}.{field}"
        for module in (events, models)
        for name, thing in vars(module).items()
        if isinstance(thing, type) and issubclass(thing, BaseModel)
        for field in thing.model_fields
    }
    assert len(read) > 30
    assert {place for place in read if "url" in place.lower()} <= {"RepositoryFacts.html_url"}
