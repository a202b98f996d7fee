"""`python -m app.launch PIDFILE PROGRAM ARGUMENT…`: become PROGRAM, holding PIDFILE.

Standard library only, so that it costs a few milliseconds.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

from app import pidfile


def main() -> None:
    """Replace this process by the program; exit code 1 and why if that fails."""
    path, program, *arguments = sys.argv[1:]
    try:
        pidfile.take(Path(path))
    except pidfile.Held as error:
        sys.exit(f"{Path(program).name}: {error}")
    try:
        os.execv(program, [program, *arguments])  # noqa: S606 (no shell is wanted)
    except OSError as error:
        sys.exit(f"{program} cannot be started: {error.strerror}")


if __name__ == "__main__":
    main()
