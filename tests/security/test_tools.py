"""What `make security` says is true, of licences and of what it could not ask."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from tests.security import advisories
from tests.security.licences import refused


@pytest.mark.parametrize(
    ("licence", "fine"),
    [
        ("MIT", True),
        ("Apache Software License; BSD License", True),
        ("MIT AND PSF-2.0", True),
        ("GPL-3.0-only OR MIT", True),
        ("GPL-3.0-only OR (AGPL-3.0-only AND MIT)", False),
        ("MIT AND GPL-3.0-only", False),
        ("MIT License; GNU General Public License v3 (GPLv3)", False),
        ("UNKNOWN", False),
        ("", False),
    ],
)
def test_a_licence_nobody_allowed_is_named_with_its_packages(licence: str, fine: bool) -> None:
    rows = [{"Name": "a-package", "License": licence}]
    assert refused(rows) == ({} if fine else {licence: ["a-package"]})


def test_a_package_somebody_read_the_licence_of_passes_and_its_namesakes_do_not() -> None:
    rows = [{"Name": name, "License": "UNKNOWN"} for name in ("atheris", "nvidia-x", "atheris2")]
    assert refused(rows) == {"UNKNOWN": ["atheris2"]}


# What pip-audit prints where the index has no advisories, and where it has.
SKIPPED = {"dependencies": [{"name": "pyyaml", "skip_reason": "not found on PyPI"}], "fixes": []}
CLEAN = {"dependencies": [{"name": "pyyaml", "version": "5.3.1", "vulns": []}], "fixes": []}
NAMED = {
    "dependencies": [{"name": "pyyaml", "version": "5.3.1", "vulns": [{"id": "PYSEC-2021-142"}]}],
    "fixes": [],
}


@pytest.fixture
def pip_audit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """`pip_audit(report)`: a program in pip-audit's place that prints this, or nothing."""

    def stand_in(report: object) -> None:
        program = tmp_path / "program"
        text = "" if report is None else json.dumps(report)
        program.write_text(f"#!/bin/sh\ncat <<'END'\n{text}\nEND\n")
        program.chmod(0o700)
        monkeypatch.setattr(advisories.sys, "executable", str(program))

    return stand_in


@pytest.mark.parametrize(
    ("report", "there"), [(None, False), (SKIPPED, False), (CLEAN, False), (NAMED, True)]
)
def test_a_database_counts_as_reached_only_if_it_knows_what_everybody_knows(
    pip_audit, report: object, there: bool
) -> None:
    pip_audit(report)
    assert advisories.reached() is there


@pytest.mark.parametrize(
    ("report", "options", "said", "code"),
    [
        (SKIPPED, [], "NOT REACHED, nothing was checked", 0),
        (SKIPPED, ["--required"], "NOT REACHED, nothing was checked", 1),
        (NAMED, [], "1 of 1 packages", 1),
    ],
)
def test_what_could_not_be_checked_is_said_so(
    pip_audit, monkeypatch, capsys, report: object, options: list[str], said: str, code: int
) -> None:
    pip_audit(report)
    monkeypatch.setattr(sys, "argv", ["advisories", *options])
    with pytest.raises(SystemExit) as ended:
        advisories.main()
    assert ended.value.code == code
    assert said in capsys.readouterr().out
