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
from app.core.errors import ConfigProblem
from app.core.settings import load as settings_of
from app.core.taxonomy import DEFAULT_TAXONOMY
from training.benchmarks.latency import PROSE, processor, report_of
from worker.threads import wait_without_spinning

# config.json of mistralai/Mistral-7B-Instruct-v0.2, apart from the number of layers.
SHAPE: dict[str, Any] = {
    "vocab_size": 32000,
    "hidden_size": 4096,
    "intermediate_size": 14336,
    "num_attention_heads": 32,
    "num_key_value_heads": 8,
    "max_position_embeddings": 32768,
    "rms_norm_eps": 1e-5,
    "rope_parameters": {"rope_type": "default", "rope_theta": 1e6},
    "sliding_window": None,
    "tie_word_embeddings": False,
}
LAYERS = 32
# Values of a shard at most: 1 GB of bfloat16, which is all that writing holds in memory.
SHARD = 500_000_000
# One long row of normal values; each tensor begins elsewhere in it. Drawing seven thousand million
# would take minutes, and nobody quantises better for it.
POOL = 150_000_000
NO_ADAPTER = "none"
SPARE = 2 * 1024**3
GB = 1e9


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


def write_model(folder: Path, layers: int, shape: dict[str, Any] = SHAPE) -> int:
    """Config, tokenizer and random safetensors shards in `folder`; returns their values.

    ConfigProblem when the disk has no room.
    """
    import torch  # noqa: PLC0415 - not before threads are told how to wait
    from safetensors.torch import save_file  # noqa: PLC0415
    from transformers import MistralConfig, MistralForCausalLM  # noqa: PLC0415

    config = MistralConfig(**shape, num_hidden_layers=layers, architectures=["MistralForCausalLM"])
    # The names and shapes are the library's own: an empty model is asked for them.
    with torch.device("meta"):
        shapes = {
            name: tuple(value.shape)
            for name, value in MistralForCausalLM(config).state_dict().items()
        }
    sizes = {name: torch.Size(one).numel() for name, one in shapes.items()}
    needed = 2 * sum(sizes.values())
    free = shutil.disk_usage(folder).free
    if free < needed + SPARE:
        raise ConfigProblem(
            f"{folder} has {free / GB:.1f} GB free, {(needed + SPARE) / GB:.1f} are needed: give"
            " another --scratch, or fewer --layers"
        )
    config.dtype = torch.bfloat16
    config.save_pretrained(folder)
    tokenizer().save_pretrained(folder)
    torch.manual_seed(0)
    pool = torch.empty(min(POOL, 2 * max(sizes.values()))).normal_(0, 0.02).bfloat16()
    where: dict[str, str] = {}
    for number, names in enumerate(_shards(sizes)):
        file = f"model-{number:05d}.safetensors"
        values = {name: _values(name, shapes[name], pool) for name in names}
        save_file(values, folder / file, metadata={"format": "pt"})
        where |= dict.fromkeys(names, file)
    index = {"metadata": {"total_size": needed}, "weight_map": where}
    (folder / "model.safetensors.index.json").write_text(json.dumps(index), encoding="utf-8")
    return sum(sizes.values())


def _shards(sizes: dict[str, int]) -> Iterator[list[str]]:
    names: list[str] = []
    for name, size in sizes.items():
        if names and sum(sizes[n] for n in names) + size > SHARD:
            yield names
            names = []
        names.append(name)
    yield names


def _values(name: str, shape: tuple[int, ...], pool: Any) -> Any:
    import torch  # noqa: PLC0415

    if name.endswith("norm.weight"):
        return torch.ones(shape, dtype=torch.bfloat16)
    size = torch.Size(shape).numel()
    begin = int(torch.randint(len(pool) - size + 1, ()))
    return pool[begin : begin + size].view(shape).clone()


def tokenizer() -> Any:
    """Byte-pair encoding as Mistral's: a mark for each space, `<s>` before a text."""
    from tokenizers import (  # noqa: PLC0415
        Tokenizer,
        decoders,
        models,
        pre_tokenizers,
        processors,
        trainers,
    )
    from transformers import PreTrainedTokenizerFast  # noqa: PLC0415

    unknown, begin, end = "<unk>", "<s>", "</s>"
    found = Tokenizer(models.BPE(unk_token=unknown))
    found.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.Metaspace(), pre_tokenizers.Punctuation()]
    )
    found.decoder = decoders.Metaspace()
    trainer = trainers.BpeTrainer(
        vocab_size=2000, special_tokens=[unknown, begin, end], show_progress=False
    )
    words = [f"{d.question} {d.name}: {' '.join(d.names)}" for d in DEFAULT_TAXONOMY.dimensions]
    found.train_from_iterator(
        [*words, PROSE, "UI A B C D E F G H 0 1 2 3 4 5 6 7 8 9"] * 20, trainer
    )
    found.post_processor = processors.TemplateProcessing(
        single=f"{begin} $A", special_tokens=[(begin, 1)]
    )
    return PreTrainedTokenizerFast(
        tokenizer_object=found, unk_token=unknown, bos_token=begin, eos_token=end
    )


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
