from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from app.core.settings import PREFIX, Settings
from tests.architecture.documents import BLOCK, README, ROOT, settings_table

PAGES = sorted([README, ROOT / "CHANGELOG.md", *(ROOT / "docs").glob("*.md")])
FENCE = re.compile(r"^```.*?^```", re.DOTALL | re.MULTILINE)


def title(path: Path) -> str:
    return str(path.relative_to(ROOT))


def code(text: str) -> str:
    return "\n".join([*FENCE.findall(text), *re.findall(r"`([^`\n]+)`", FENCE.sub("", text))])


def test_the_readme_lists_every_setting_as_it_is() -> None:
    found = BLOCK.search(README.read_text(encoding="utf-8"))
    assert found is not None
    assert found.group(1) == settings_table(), "run `make docs`"


def test_every_setting_says_what_it_is() -> None:
    assert [name for name, field in Settings.model_fields.items() if not field.description] == []


@pytest.mark.parametrize("page", PAGES, ids=title)
def test_links_lead_somewhere(page: Path) -> None:
    text = FENCE.sub("", page.read_text(encoding="utf-8"))
    targets = re.findall(r"\]\(([^)#\s]+)[^)]*\)", text)
    local = [target for target in targets if "://" not in target]
    assert [target for target in local if not (page.parent / target).exists()] == []


@pytest.mark.parametrize("page", PAGES, ids=title)
def test_settings_that_are_named_exist(page: Path) -> None:
    known = {PREFIX + name.upper() for name in Settings.model_fields}
    named = set(re.findall(rf"\b{PREFIX}[A-Z_]+\b", page.read_text(encoding="utf-8")))
    assert named <= known


@pytest.mark.parametrize("page", PAGES, ids=title)
def test_make_targets_that_are_named_exist(page: Path) -> None:
    targets = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    named = set(re.findall(r"\bmake ([a-z]+)\b", code(page.read_text(encoding="utf-8"))))
    assert named <= targets


def test_commands_that_are_named_exist() -> None:
    done = subprocess.run(
        [Path(sys.executable).with_name("triora"), "--help"],
        capture_output=True,
        text=True,
        check=True,
    )
    known = set(re.findall(r"^\W*([a-z]+)  ", done.stdout, re.MULTILINE))
    for page in PAGES:
        named = re.findall(r"\btriora ([a-z]+)\b", code(page.read_text(encoding="utf-8")))
        assert set(named) <= known, title(page)
