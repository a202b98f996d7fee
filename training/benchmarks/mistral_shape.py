"""Does Mistral-7B load, score and train here? Tried with random weights of its exact shape.

    python -m training.benchmarks.mistral_shape [--layers 32] [--scratch DIR] [--only train]

Nothing is downloaded: weights of Mistral-7B-Instruct-v0.2's shape (bfloat16, 14.5 GB, in shards)
are drawn at random, with a tokenizer of Mistral's kind trained on a few sentences. Then everything
goes through the code of production, in a process each: `finetune` with configs/mistral-7b.toml for
one step, `ship`, and `build_scorer` with the adapter that came of it. What it says of a report
means nothing; that it fits, and what it takes, does. The files are removed afterwards.
"""

from __future__ import annotations

import json
import multiprocessing
import os
import shutil
import signal
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from app import logs
from app.core.settings import load as settings_of
from app.core.taxonomy import DEFAULT_TAXONOMY
from training.benchmarks.latency import processor, report_of
from training.benchmarks.random_weights import GB, write_model
from worker.threads import wait_without_spinning

LAYERS = 32
NO_ADAPTER = "none"


class Only(StrEnum):
    """Which half of it."""

    BOTH = "both"
    TRAIN = "train"
    SERVE = "serve"


@dataclass(frozen=True)
class Phase:
    """What one process did. Bytes: `own` without mapped files; `device` on a GPU, else 0."""

    name: str
    seconds: dict[str, float]
    own: int
    with_files: int
    device: int = 0
    facts: dict[str, float] = field(default_factory=dict)


@contextmanager
def watched() -> Iterator[dict[str, int]]:
    """Peak bytes of this process while inside: `own` (anonymous) and `with_files` (all resident).

    Mapped weight files count as resident and cost nothing: the system drops them when it needs to.
    """
    peak = {"own": 0, "with_files": 0}
    done = threading.Event()

    def look() -> None:
        while not done.wait(0.05):
            own, everything = _resident()
            peak["own"] = max(peak["own"], own)
            peak["with_files"] = max(peak["with_files"], everything)

    watcher = threading.Thread(target=look, daemon=True)
    watcher.start()
    try:
        yield peak
    finally:
        done.set()
        watcher.join()


def _resident() -> tuple[int, int]:
    found = {"RssAnon:": 0, "VmRSS:": 0}
    for line in Path("/proc/self/status").read_text(encoding="ascii").splitlines():
        name, *value = line.split()
        if name in found:
            found[name] = int(value[0]) * 1024
    return found["RssAnon:"], found["VmRSS:"]


def train_phase(model: Path, out: Path, device: str, reports: int, tokens: int) -> Phase:
    """Load through `finetune`, take one step over `reports` reports, leave the adapter in `out`."""
    import torch  # noqa: PLC0415

    from worker.model.quiet import hush  # noqa: PLC0415

    # Before bitsandbytes is imported: it gives advice while it is.
    hush()
    from training import config as configs  # noqa: PLC0415
    from training.example import Answer, Example, Provenance  # noqa: PLC0415
    from training.finetune import finetune  # noqa: PLC0415
    from training.ship import ship  # noqa: PLC0415

    wait_without_spinning(os.environ)
    logs.configure("WARNING")
    count = _counter(model)
    rows = [
        Example(
            id=f"r{n}",
            repository="octo/game",
            title=(text := report_of(tokens, count, n)).title,
            body=text.body,
            labels={
                d.name: Answer(label=d.names[n % len(d.names)], provenance=Provenance.HUMAN)
                for d in DEFAULT_TAXONOMY.dimensions
            },
        )
        for n in range(reports)
    ]
    micro = min(configs.read("mistral-7b").optimiser.micro_batch_size, reports)
    changes = {
        "base": str(model),
        "checkpoints": 0,
        "evaluations": 0,
        "holdout.share": 0,
        "optimiser.epochs": 1,
        "optimiser.batch_size": reports,
        "optimiser.micro_batch_size": micro if reports % micro == 0 else 1,
    }
    with watched() as peak:
        begun = time.perf_counter()
        tuned = finetune(
            rows,
            [],
            configs.read("mistral-7b", changes),
            DEFAULT_TAXONOMY,
            out,
            out,
            device=device,
            report_to=["none"],
        )
        whole = time.perf_counter() - begun
        ship(tuned, rows, [], DEFAULT_TAXONOMY, out / "adapter")
    told = next(row for row in tuned.history if "train_loss" in row)
    step = told["train_runtime"]
    seconds = {"load and quantise": whole - step, "one training step": step}
    moved = [p for n, p in tuned.model.named_parameters() if ".lora_B." in n]
    packed, kept = weights_of(tuned.served)
    return Phase(
        "train",
        seconds,
        peak["own"],
        peak["with_files"],
        torch.cuda.max_memory_allocated() if torch.cuda.is_available() else 0,
        {
            "reports a step": float(reports),
            "loss": told["train_loss"],
            "trainable parameters": sum(
                p.numel() for p in tuned.model.parameters() if p.requires_grad
            ),
            "adapter matrices that moved": sum(bool(p.any()) for p in moved) / len(moved),
            "bytes in NF4": packed,
            "bytes in 16 bits": kept,
        },
    )


def serve_phase(model: Path, adapter: str, device: str, tokens: int) -> Phase:
    """Load through `build_scorer` with the adapter, score one report in one pass."""
    import torch  # noqa: PLC0415

    from worker.model.serve import build_scorer  # noqa: PLC0415

    wait_without_spinning(os.environ)
    logs.configure("WARNING")
    chosen = settings_of(model=str(model), adapter=adapter, device=device)
    report = report_of(tokens, _counter(model), 0)
    seconds: dict[str, float] = {}
    with watched() as peak:
        begun = time.perf_counter()
        scorer = build_scorer(chosen)
        seconds["load, quantise and first pass"] = time.perf_counter() - begun
        begun = time.perf_counter()
        (scores,) = scorer.score([report], DEFAULT_TAXONOMY)
        seconds["one report, one pass"] = time.perf_counter() - begun
    if {name: tuple(found) for name, found in scores.items()} != DEFAULT_TAXONOMY.vocabulary:
        raise AssertionError(scores)
    (prompt,) = scorer.encoder.encode([report], DEFAULT_TAXONOMY)
    return Phase(
        "serve",
        seconds,
        peak["own"],
        peak["with_files"],
        torch.cuda.max_memory_allocated() if torch.cuda.is_available() else 0,
        {"tokens of the prompt": len(prompt), "farthest sum from 1": _off(scores)},
    )


def _off(scores: dict[str, dict[str, float]]) -> float:
    return max(abs(sum(found.values()) - 1) for found in scores.values())


def _counter(model: Path) -> Any:
    from transformers import AutoTokenizer  # noqa: PLC0415

    found = AutoTokenizer.from_pretrained(model, local_files_only=True)  # nosec B615 # a folder
    return lambda text: len(found.encode(text))


def weights_of(model: Any) -> tuple[int, int]:
    """Bytes of the base's 4-bit weights with their constants, and of what stayed in 16 bits."""
    packed = kept = 0
    for name, value in model.named_parameters():
        if ".lora_" in name:
            continue
        state = getattr(value, "quant_state", None)
        if state is None:
            kept += value.numel() * value.element_size()
            continue
        parts = [value, state.absmax]
        if state.state2 is not None:
            parts.append(state.state2.absmax)
        packed += sum(part.numel() * part.element_size() for part in parts)
    return packed, kept


def apart(work: Any, *args: Any) -> Any:
    """`work(*args)` in a process of its own, so that its memory is its own."""
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as pool:
        return pool.submit(work, *args).result()


def main(
    layers: Annotated[int, typer.Option(min=1, max=LAYERS, help="fewer prove less, sooner")] = (
        LAYERS
    ),
    scratch: Annotated[Path | None, typer.Option(help="where the weights go until the end")] = None,
    tokens: Annotated[int, typer.Option(min=10, help="tokens of a report's text")] = 270,
    reports: Annotated[int, typer.Option(min=1, max=16, help="reports of the one step")] = 1,
    only: Annotated[
        Only, typer.Option(help="half of it: 'serve' then goes without an adapter")
    ] = Only.BOTH,
    device: Annotated[str, typer.Option(help="auto, cpu or cuda")] = "auto",
    as_json: Annotated[bool, typer.Option("--json", help="print JSON")] = False,
) -> None:
    """Write, train one step, serve, remove; print what each took."""
    wait_without_spinning(os.environ)
    # Ended from outside, it still removes its 14 GB.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    place = Path(tempfile.mkdtemp(prefix="triora-mistral-", dir=scratch))
    console = Console(width=None if sys.stdout.isatty() else 100, stderr=as_json)
    phases: list[Phase] = []
    try:
        model, out = place / "mistral-shape", place / "run"
        model.mkdir()
        begun = time.perf_counter()
        values = apart(write_model, model, layers)
        written = time.perf_counter() - begun
        console.print(
            f"{layers} layers, {values:,} random values written in {written:.0f} s; {processor()}"
        )
        if only is not Only.SERVE:
            phases.append(apart(train_phase, model, out, device, reports, tokens))
            show(phases[-1], console)
        if only is not Only.TRAIN:
            adapter = str(out / "adapter") if phases else NO_ADAPTER
            phases.append(apart(serve_phase, model, adapter, device, tokens))
            show(phases[-1], console)
    finally:
        shutil.rmtree(place, ignore_errors=True)
    if as_json:
        setup = {"layers": layers, "values": values, "processor": processor(), "device": device}
        told = [asdict(phase) for phase in phases]
        typer.echo(json.dumps({"setup": setup, "phases": told}, indent=2))


def show(phase: Phase, console: Console) -> None:
    """A phase as a table."""
    table = Table(title=phase.name, title_justify="left", show_header=False, min_width=60)
    table.add_column(no_wrap=True)
    table.add_column(justify="right")
    for name, seconds in phase.seconds.items():
        table.add_row(name, f"{seconds:.1f} s")
    table.add_row("peak memory", f"{phase.own / GB:.2f} GB")
    table.add_row("with mapped weight files", f"{phase.with_files / GB:.2f} GB")
    if phase.device:
        table.add_row("peak memory of the GPU", f"{phase.device / GB:.2f} GB")
    for name, fact in phase.facts.items():
        if name.startswith("bytes"):
            table.add_row(name.replace("bytes", "weights"), f"{fact / GB:.2f} GB")
        else:
            table.add_row(name, f"{fact:,.0f}" if fact == int(fact) else f"{fact:.3g}")
    console.print(table)


if __name__ == "__main__":
    typer.run(main)
