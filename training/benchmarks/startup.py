"""How soon the receiver answers: from `triora serve` to the first answer of /healthz.

    python -m training.benchmarks.startup [--runs 5]

With the embedded broker, which it starts first, and with one that TRIORA_BROKER_URL names.
"""

from __future__ import annotations

import os
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Annotated

import httpx
import typer
from rich.console import Console
from rich.table import Table

from app.core.errors import ConfigProblem
from app.core.settings import PREFIX
from app.db.migrate import upgrade

TRIORA = str(Path(sys.executable).with_name("triora"))
PATIENCE = 60.0


def first_answer(data_dir: Path, broker_url: str | None = None) -> float:
    """Seconds from starting `triora serve` until /healthz answers with 200."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith(PREFIX)}
    ours = {f"{PREFIX}DATA_DIR": str(data_dir), f"{PREFIX}WEBHOOK_SECRET": "s" * 32}
    named = {f"{PREFIX}BROKER_URL": broker_url} if broker_url else {}
    begun = time.perf_counter()
    with subprocess.Popen(
        [TRIORA, "serve", "--port", "0"],
        env=clean | ours | named,
        cwd=data_dir,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            assert process.stderr is not None  # noqa: S101 (for the type checker)
            told = next((x for x in process.stderr if x.startswith("listening on")), None)
            if told is None:
                raise ConfigProblem(f"`triora serve` ended with exit code {process.wait()}")
            # The socket listens before the server is ready: the request waits in its queue.
            address = told.split()[-1]
            httpx.get(
                f"{address}/healthz",
                trust_env=False,
                timeout=PATIENCE,
            ).raise_for_status()
            return time.perf_counter() - begun
        finally:
            process.send_signal(signal.SIGTERM)
            process.communicate()


def main(runs: Annotated[int, typer.Option(min=1, help="Starts of each kind.")] = 5) -> None:
    """Print median, least and greatest of the seconds."""
    table = Table("broker", "median", "least", "greatest", "starts")
    for name, url in (("embedded", None), ("named by TRIORA_BROKER_URL", "redis://127.0.0.1:1/0")):
        with tempfile.TemporaryDirectory(prefix="triora-start-") as directory:
            upgrade(f"sqlite:///{Path(directory) / 'triora.db'}")
            taken = [first_answer(Path(directory), url) for _ in range(runs)]
        figures = (statistics.median(taken), min(taken), max(taken))
        table.add_row(name, *(f"{figure:.2f} s" for figure in figures), str(runs))
    Console().print(table)


if __name__ == "__main__":
    typer.run(main)
