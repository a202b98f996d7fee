"""Does an advisory name anything that is installed? Says so plainly where nobody could be asked.

    python -m tests.security.advisories [--required]

pip-audit reports "no known vulnerabilities" where the index knows of no advisories at all (a
mirror, say). So it is asked first for a release that has had one for years; if that is not found,
nothing was checked, and that is what is said.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

# CVE-2020-14343: code execution by a YAML file.
CANARY = "pyyaml==5.3.1"
SECONDS = 300
Report = dict[str, Any]


def ask(*arguments: str) -> Report | None:
    """pip-audit's report; None if there was nobody to ask."""
    command = [sys.executable, "-m", "pip_audit", "--format", "json", "--progress-spinner", "off"]
    try:
        done = subprocess.run(
            [*command, "--timeout", "10", *arguments],
            capture_output=True,
            text=True,
            timeout=SECONDS,
            check=False,
        )
        report: Report = json.loads(done.stdout)
    except (subprocess.TimeoutExpired, json.JSONDecodeError):
        return None
    return report


def vulnerable(report: Report) -> list[str]:
    """One line for each package that an advisory names."""
    return [
        f"{package['name']} {package['version']}: {', '.join(v['id'] for v in package['vulns'])}"
        for package in report["dependencies"]
        if package.get("vulns")
    ]


def unknown(report: Report) -> list[str]:
    """Packages that the index does not know: nothing was said of those."""
    return [package["name"] for package in report["dependencies"] if "skip_reason" in package]


def reached() -> bool:
    """True if the advisory that everybody has is found."""
    with tempfile.TemporaryDirectory() as folder:
        canary = Path(folder) / "canary.txt"
        canary.write_text(f"{CANARY}\n")
        report = ask("--no-deps", "--disable-pip", "--requirement", str(canary))
    return report is not None and bool(vulnerable(report))


def main() -> None:
    """Exit code 1 for an advisory; with --required also where nobody could be asked."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--required", action="store_true")
    required = options.parse_args().required
    if not reached():
        sys.stdout.write("advisories: NOT REACHED, nothing was checked (no advisory database)\n")
        sys.exit(1 if required else 0)
    report = ask("--local", "--skip-editable")
    if report is None:
        sys.stdout.write("advisories: NOT REACHED for all packages, nothing was checked\n")
        sys.exit(1 if required else 0)
    found = vulnerable(report)
    for line in found:
        sys.stderr.write(f"advisories: {line}\n")
    asked = len(report["dependencies"]) - len(unknown(report))
    sys.stdout.write(f"advisories: {len(found)} of {asked} packages are named by one\n")
    sys.exit(1 if found else 0)


if __name__ == "__main__":
    main()
