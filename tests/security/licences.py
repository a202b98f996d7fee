"""Are the licences of everything installed ones we may use? `make security` asks.

    pip-licenses --format=json --from=mixed | python -m tests.security.licences

A licence we do not know fails, and names its packages. Add it below once somebody has read it.
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterable, Mapping
from fnmatch import fnmatchcase

ALLOWED = frozenset(
    {
        "0BSD",
        "3-Clause BSD License",
        "Apache 2.0 License",
        "Apache License 2.0",
        "Apache Software License",
        "Apache-2.0",
        "Apache-2.0 WITH LLVM-exception",
        "BSD License",
        "BSD-2-Clause",
        "BSD-3-Clause",
        "BSL-1.0",
        "CC0-1.0",
        "CNRI-Python",
        "ISC",
        "ISC License (ISCL)",
        "MIT",
        "MIT License",
        "MIT-0",
        "MIT-CMU",
        "PSF-2.0",
        "Python Software Foundation License",
        "Python-2.0",
        "The Unlicense (Unlicense)",
        "Unlicense",
        "Zlib",
        # Weak copyleft, on files or libraries that we use unchanged.
        "LGPL-3.0-only",
        "MPL-2.0",
        "Mozilla Public License 2.0 (MPL 2.0)",
    }
)
# Packages whose metadata say too little, or whose licence holds for them only. Each was read.
READ: Mapping[str, str] = {
    "atheris": "Apache-2.0; the wheel's metadata name none",
    "pytest-timeout": "MIT; 'DFSG approved' beside it is no licence",
    "supervisor": "BSD-derived (Repoze): BSD with a clause against misuse of the name",
    # With a CUDA build of torch; NVIDIA gives them to whoever installs, we pass none of them on.
    "nvidia-*": "NVIDIA's own, for use with its devices",
}
_AND = re.compile(r"\s+AND\s+|;\s*")
_OR = re.compile(r"\s+OR\s+")


def refused(packages: Iterable[Mapping[str, str]]) -> dict[str, list[str]]:
    """Licence -> the packages that come under it, of those nobody has allowed.

    packages: rows with Name and License, as pip-licenses prints them.
    """
    found: dict[str, list[str]] = {}
    for package in packages:
        name, licence = package["Name"], package["License"]
        if not (_allowed(licence) or any(fnmatchcase(name.lower(), known) for known in READ)):
            found.setdefault(licence, []).append(name)
    return found


def _allowed(licence: str) -> bool:
    """Of licences joined by OR one has to be allowed, of those joined by AND each."""
    return licence in ALLOWED or any(
        all(part.strip(" ()") in ALLOWED for part in _AND.split(choice))
        for choice in _OR.split(licence)
    )


def main() -> None:
    """Exit code 1 for a licence that is not allowed."""
    packages = json.load(sys.stdin)
    bad = refused(packages)
    for licence, names in sorted(bad.items()):
        sys.stderr.write(f"licences: {licence!r} is not allowed: {', '.join(names)}\n")
    if bad:
        sys.exit(1)
    sys.stdout.write(f"licences: {len(packages)} packages, each under one that is allowed\n")


if __name__ == "__main__":
    main()
