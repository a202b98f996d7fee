"""Fetch GitHub's OpenAPI description from npm and keep what we speak of it: `make test` calls it.

`python -m tests.contract.fetch` does nothing when the cache holds the answer already. The package
is checked against the pinned digest; 28 MB come, about 1 % of that stays.
"""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
from functools import cache
from pathlib import Path
from typing import Any

from tests.contract import npm, operations
from tests.contract.reduce import reduce

ROOT = Path(__file__).parents[2]
CACHE = ROOT / ".cache" / "openapi"
_MEMBER = "package/generated/api.github.com.json"


def kept_at() -> Path:
    """The reduced description's place; another one when operations or reduction change."""
    sources = [Path(operations.__file__), Path(__file__).with_name("reduce.py")]
    digest = hashlib.sha256(b"".join(source.read_bytes() for source in sources)).hexdigest()
    return CACHE / f"github-{operations.VERSION}-{digest[:12]}.json"


def ensure() -> Path:
    """The reduced description's file, fetched now if it is not there."""
    path = kept_at()
    if not path.exists():
        CACHE.mkdir(parents=True, exist_ok=True)
        text = json.dumps(reduce(_description()), separators=(",", ":"))
        fresh = path.with_suffix(".fresh")
        fresh.write_text(text, encoding="utf-8")
        fresh.replace(path)
    return path


@cache
def load() -> dict[str, Any]:
    """The reduced description."""
    loaded: dict[str, Any] = json.loads(ensure().read_text(encoding="utf-8"))
    return loaded


def _description() -> dict[str, Any]:
    kept = CACHE / f"github-{operations.VERSION}.json"
    if not kept.exists():
        whole = npm.files(operations.PACKAGE, operations.VERSION, operations.INTEGRITY, _MEMBER)
        kept.write_bytes(whole[_MEMBER])
    loaded: dict[str, Any] = json.loads(kept.read_bytes())
    return loaded


def main() -> int:
    """Fetch if needed, and say where it is."""
    try:
        path = ensure()
    except (OSError, ValueError, subprocess.CalledProcessError) as error:
        sys.stderr.write(f"cannot fetch {operations.PACKAGE} from npm: {error}\n")
        return 1
    sys.stdout.write(f"{path.relative_to(ROOT)}: {path.stat().st_size // 1024} KB\n")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
