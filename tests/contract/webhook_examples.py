"""GitHub's own example payloads of every webhook, from npm: `make test` fetches them once.

`python -m tests.contract.webhook_examples` does nothing when the cache holds them already.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.contract import npm

PACKAGE = "@octokit/webhooks-examples"
VERSION = "7.6.1"
INTEGRITY = (
    "sha512-De6U3XB6O3DtCa7bKgCMzTHdeopqqZ6SNivMYJnK"
    "65ierKL1AnNIA0tkRYCRS7lwGT792d+Ps1WbfHlso6MynQ=="
)

ROOT = Path(__file__).parents[2]
KEPT = ROOT / ".cache" / "webhooks" / f"examples-{VERSION}.json"


@dataclass(frozen=True)
class Example:
    """One payload: of github.com or of an Enterprise Server version."""

    server: str
    event: str
    number: int
    payload: dict[str, Any]


def ensure() -> Path:
    """The file with all examples, fetched now if it is not there."""
    if not KEPT.exists():
        KEPT.parent.mkdir(parents=True, exist_ok=True)
        found = npm.files(PACKAGE, VERSION, INTEGRITY, "index.json")
        servers = {Path(name).parent.name: json.loads(text) for name, text in found.items()}
        fresh = KEPT.with_suffix(".fresh")
        fresh.write_text(json.dumps(servers, separators=(",", ":")), encoding="utf-8")
        fresh.replace(KEPT)
    return KEPT


def load() -> Iterator[Example]:
    """Every example, of every server."""
    servers = json.loads(ensure().read_text(encoding="utf-8"))
    for server, events in sorted(servers.items()):
        for event in events:
            for number, payload in enumerate(event["examples"]):
                yield Example(server, event["name"], number, payload)


def main() -> int:
    """Fetch if needed, and say where they are."""
    try:
        path = ensure()
    except (OSError, ValueError, subprocess.CalledProcessError) as error:
        sys.stderr.write(f"cannot fetch {PACKAGE} from npm: {error}\n")
        return 1
    count = sum(1 for _ in load())
    sys.stdout.write(f"{path.relative_to(ROOT)}: {count} payloads\n")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
