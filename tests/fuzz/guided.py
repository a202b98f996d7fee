"""One target under Atheris, which watches the branches taken: started by `python -m tests.fuzz`."""

from __future__ import annotations

import sys

import atheris

# Before our modules are imported: their branches are to be seen.
with atheris.instrument_imports(include=["app", "worker.classify", "tests.fuzz", "yaml"]):
    from tests.fuzz.targets import TARGETS


def main() -> None:
    """libFuzzer's own options follow the target's name."""
    program, name, *options = sys.argv
    atheris.Setup([program, *options], TARGETS[name][0])
    atheris.Fuzz()


if __name__ == "__main__":
    main()
