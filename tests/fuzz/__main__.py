"""Every target for so many seconds each, guided by coverage: `make fuzz`.

    python -m tests.fuzz --seconds 60 --only config --seed 7

Atheris (libFuzzer) runs each in a process of its own and writes an input that breaks it into
build/fuzz; `python -m tests.fuzz --only config --input FILE` runs that one again.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
from pathlib import Path

from tests.fuzz.targets import TARGETS

FOUND = Path("build/fuzz")
# One input that takes longer is a finding: a parser of strangers' texts stalls nobody.
STALL_SECONDS = 5
# GitHub's longest body in bytes, nearly: four for each of 65,536 characters.
LONGEST = 262_144


def fuzz(name: str, seconds: int, seed: int) -> int:
    """Run one target in a process of its own; its exit code."""
    corpus = FOUND / name
    corpus.mkdir(parents=True, exist_ok=True)
    for number, start in enumerate(TARGETS[name][1]):
        (corpus / f"start-{number}").write_bytes(start)
    options = [
        f"-max_total_time={seconds}",
        f"-seed={seed}",
        f"-timeout={STALL_SECONDS}",
        f"-max_len={LONGEST}",
        f"-artifact_prefix={FOUND}/{name}-",
        "-print_final_stats=1",
        "-verbosity=0",
    ]
    command = [sys.executable, "-m", "tests.fuzz.guided", name, str(corpus), *options]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    units = [x for x in done.stderr.splitlines() if "number_of_executed_units" in x]
    tried = units[0].split()[-1] if units else "?"
    sys.stdout.write(
        f"{name:10s} {tried:>9s} inputs  {'ok' if done.returncode == 0 else 'BROKEN'}\n"
    )
    sys.stdout.flush()
    if done.returncode:
        sys.stderr.write(done.stdout[-4000:] + done.stderr[-4000:])
    return done.returncode


def main() -> None:
    """Exit code 1 if a target broke."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--seconds", type=int, default=30)
    options.add_argument("--only", choices=sorted(TARGETS))
    options.add_argument("--seed", type=int, default=1)
    options.add_argument("--input", type=Path)
    chosen = options.parse_args()
    if chosen.input is not None:
        TARGETS[chosen.only][0](chosen.input.read_bytes())
        return
    names = [chosen.only] if chosen.only else list(TARGETS)
    broken = [name for name in names if fuzz(name, chosen.seconds, chosen.seed)]
    sys.exit(1 if broken else 0)


if __name__ == "__main__":
    main()
