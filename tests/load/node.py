"""Probot and the Node it runs on, both from npm by their locked digests, in .cache/load."""

from __future__ import annotations

import platform
import shutil
import subprocess
from pathlib import Path

HERE = Path(__file__).parent / "probot"
FOLDER = Path(__file__).parents[2] / ".cache" / "load" / "probot"
FILES = ("package.json", "package-lock.json", "app.js")


class NoNode(Exception):
    """Probot cannot be had here; the text says what to do."""


def ensure() -> Path:
    """The folder with the app and everything it needs, fetched now if it is not there."""
    if shutil.which("npm") is None:
        raise NoNode(
            "npm is missing: install it (Debian: sudo apt install npm), or compare with "
            "nothing: make load ARGS=--alone"
        )
    FOLDER.mkdir(parents=True, exist_ok=True)
    lock = FOLDER / "package-lock.json"
    fresh = lock.exists() and lock.read_bytes() == (HERE / lock.name).read_bytes()
    for name in FILES:
        shutil.copy(HERE / name, FOLDER / name)
    if fresh and node().exists():
        return FOLDER
    done = subprocess.run(
        ["npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error"],
        cwd=FOLDER,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode or not node().exists():
        lock.unlink()
        raise NoNode(f"npm ci failed in {FOLDER}:\n{done.stdout}{done.stderr}")
    return FOLDER


def node() -> Path:
    """The Node of the lock file: the same everywhere, and newer than what a distribution has."""
    machine = {"x86_64": "x64", "aarch64": "arm64"}.get(platform.machine(), platform.machine())
    return FOLDER / "node_modules" / f"node-linux-{machine}" / "bin" / "node"
