from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PACKAGES = ("app", "worker", "training", "deploy")
MAX_LINES = 400
# Catch-all names say nothing about what is inside.
VAGUE = {"utils", "util", "common", "helpers", "helper", "manager", "handler", "misc", "data"}
# Entry points read the environment and hand it on; nobody else does.
READS_ENVIRONMENT = {
    "app/cli.py",
    "worker/celery_app.py",
    "worker/classify.py",
    "deploy/sandbox/__main__.py",
    "deploy/sandbox/demo/__main__.py",
    "deploy/sandbox/demo/screenshot.py",
}
# Whole folders of them: a command or a program a module.
COMMANDS = ("training/commands/", "training/benchmarks/")


def modules(*folders: str) -> list[Path]:
    return sorted(path for folder in folders for path in (ROOT / folder).rglob("*.py"))


def name(path: Path) -> str:
    return str(path.relative_to(ROOT))


def test_import_contracts_hold() -> None:
    done = subprocess.run(
        [Path(sys.executable).with_name("lint-imports"), "--no-cache"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr


IMPORT_ALL = """
import importlib, sys
for name in sys.argv[1:]:
    importlib.import_module(name)
    loaded = {"torch", "transformers", "peft", "bitsandbytes"} & set(sys.modules)
    if loaded:
        sys.exit(f"{name} loads {loaded}")
"""


def test_no_module_of_app_loads_torch() -> None:
    dotted = [
        ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")
        # Migrations are run by Alembic, with a context that only it has.
        for path in modules("app")
        if "migrations" not in path.parts
    ]
    assert len(dotted) > 20
    done = subprocess.run(
        [sys.executable, "-c", IMPORT_ALL, *dotted],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr


def test_the_command_with_all_its_parts_loads_no_torch() -> None:
    code = (
        "import sys; from app import cli; sys.argv = ['triora', '--version']\n"
        "try: cli.main()\n"
        "finally: print('torch' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "False"
    assert done.stderr == ""


def test_no_module_is_longer_than_a_person_reads_at_once() -> None:
    long = {
        name(path): lines
        for path in modules(*PACKAGES, "tests")
        if (lines := len(path.read_text(encoding="utf-8").splitlines())) > MAX_LINES
    }
    assert long == {}


def test_packages_run_nothing_when_imported() -> None:
    full = [
        name(p) for p in modules(*PACKAGES, "tests") if p.name == "__init__.py" and p.stat().st_size
    ]
    assert full == []


def test_names_say_what_is_inside() -> None:
    assert [name(path) for path in modules(*PACKAGES) if path.stem in VAGUE] == []


def test_only_entry_points_read_the_environment() -> None:
    readers = {
        name(path)
        for path in modules(*PACKAGES)
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Attribute) and node.attr in {"environ", "getenv", "environb"}
    }
    assert {r for r in readers if not r.startswith(COMMANDS)} <= READS_ENVIRONMENT


def test_the_top_level_holds_nothing_unexpected() -> None:
    listed = subprocess.run(
        ["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    if listed.returncode:
        pytest.skip("not a git checkout")
    top = {line.split("/")[0] for line in listed.stdout.splitlines()}
    visible = {entry for entry in top if not entry.startswith(".")}
    assert visible <= {*PACKAGES, "tests", "docs", "pyproject.toml", "README.md", "LICENSE"} | {
        "CHANGELOG.md",
        "Makefile",
    }
