"""How long one report takes: our one pass, beside generating an answer with the same weights.

    python -m training.benchmarks.latency [--tokens 270] [--repeats 7] [--slow] [--json]

One process, one machine, the same base weights and the same reports; the arms take turns, so that
a slow moment of the machine hits them all; the first rounds are thrown away.
"""

from __future__ import annotations

import json
import os
import platform
import statistics
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from importlib import metadata
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from app import logs
from app.core.settings import Settings, load
from app.core.taxonomy import DEFAULT_TAXONOMY
from app.core.text import IssueText
from worker.threads import wait_without_spinning

# What the predecessor asked for and parsed: a line a dimension.
NEW_TOKENS = 40
WARM_UP = 2
LIBRARIES = ("torch", "transformers", "bitsandbytes", "peft", "triora")

PROSE = (
    "The editor window turns black after the second scene is opened and stays so until restart. "
    "It happens on two machines with different graphics cards, with the newest driver. "
    "Sound goes on playing, and the menu bar still reacts to the mouse. "
    "Opening the first scene again does not help, nor does changing the renderer. "
)

Arm = Callable[[IssueText], object]


@dataclass(frozen=True)
class Timing:
    """One arm. Seconds a report; the interval holds 95 % of bootstrapped medians."""

    arm: str
    p50: float
    p95: float
    low: float
    high: float
    reports: int


def report_of(tokens: int, count: Callable[[str], int], number: int) -> IssueText:
    """A report whose text is `tokens` tokens long, or up to a word less; each number differs."""
    words = (f"Report {number}. " + PROSE * (tokens // 20 + 1)).split()
    low, high = 1, len(words)
    while low < high:
        middle = (low + high + 1) // 2
        shorter = f"Black window\n{' '.join(words[:middle])}"
        low, high = (middle, high) if count(shorter) <= tokens else (low, middle - 1)
    return IssueText(title="Black window", body=" ".join(words[:low]))


def measure(arms: dict[str, Arm], reports: Sequence[IssueText], repeats: int) -> list[Timing]:
    """Time every arm on every report, `repeats` times, taking turns; warm-up thrown away."""
    seconds: dict[str, list[float]] = {name: [] for name in arms}
    for turn in range(WARM_UP + repeats):
        for report in reports:
            for name, arm in arms.items():
                begun = time.perf_counter()
                arm(report)
                if turn >= WARM_UP:
                    seconds[name].append(time.perf_counter() - begun)
    return [_timing(name, taken) for name, taken in seconds.items()]


def _timing(name: str, seconds: list[float]) -> Timing:
    import numpy as np  # noqa: PLC0415 - not before threads are told how to wait

    drawn = np.random.default_rng(0).choice(seconds, (2000, len(seconds)))
    low, high = np.percentile(np.median(drawn, axis=1), [2.5, 97.5])
    return Timing(
        name,
        statistics.median(seconds),
        float(np.percentile(seconds, 95)),
        float(low),
        float(high),
        len(seconds),
    )


def build_arms(settings: Settings, *, slow: bool) -> tuple[dict[str, Arm], Any, Any]:
    """The arms by name, the tokenizer and the hardware. All arms hold the same NF4 base weights.

    slow: those as well that unpack the weights in every pass, and one in float32.
    """
    import torch  # noqa: PLC0415

    from app.core.decision import Thresholds  # noqa: PLC0415
    from worker.model import loading  # noqa: PLC0415
    from worker.model.encoding import Encoder  # noqa: PLC0415
    from worker.model.hardware import Hardware  # noqa: PLC0415
    from worker.model.scorer import Scorer  # noqa: PLC0415
    from worker.model.serve import start  # noqa: PLC0415

    served = start(settings)
    machine, tokenizer = served.machine, served.base.tokenizer
    preset = served.base.preset

    def synchronised(work: Callable[[], object]) -> object:
        done = work()
        if machine.device.type == "cuda":
            torch.cuda.synchronize()
        return done

    def scoring(scorer: Scorer) -> Arm:
        return lambda report: synchronised(lambda: scorer.score([report], DEFAULT_TAXONOMY))

    def generating(model: Any) -> Arm:
        def generate(report: IssueText) -> object:
            question = f"{report.title}\n{report.body}\n\nseverity, component, reproducibility:"
            ids = tokenizer(question, return_tensors="pt").to(machine.device)
            with torch.inference_mode():
                return synchronised(
                    lambda: model.generate(
                        **ids,
                        max_new_tokens=NEW_TOKENS,
                        min_new_tokens=NEW_TOKENS,
                        do_sample=False,
                        use_cache=True,
                        pad_token_id=0,
                    )
                )

        return generate

    fast = str(machine.dtype).removeprefix("torch.")
    # Generating gets the same weights, unpacked and merged, so that the method is what differs.
    arms: dict[str, Arm] = {
        f"one pass, as served: {served.scorer.version}, {fast}": scoring(served.scorer),
        f"generate {NEW_TOKENS} tokens, the same weights": generating(served.scorer.model),
    }
    if slow:
        packed = loading.load(preset, settings.data_dir, machine)
        encoder = Encoder(tokenizer, preset.text_tokens)
        scorer = Scorer(packed.model, encoder, version="", thresholds=Thresholds())
        arms[f"one pass, NF4 packed, {fast}"] = scoring(scorer)
        arms[f"generate {NEW_TOKENS} tokens, NF4 packed, {fast}"] = generating(packed.model)
        if machine.dtype != torch.float32:
            exact = start(settings, machine=Hardware(machine.device, torch.float32))
            arms["one pass, as served, but float32"] = scoring(exact.scorer)
    return arms, tokenizer, machine


def main(
    tokens: Annotated[int, typer.Option(min=10, help="Tokens of a report's text.")] = 270,
    reports: Annotated[int, typer.Option(min=1, help="Different reports.")] = 3,
    repeats: Annotated[int, typer.Option(min=5, help="Rounds that count.")] = 7,
    slow: Annotated[
        bool, typer.Option("--slow", help="Also with weights unpacked in every pass: many minutes.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Print the table of p50 and p95 seconds a report."""
    wait_without_spinning(os.environ)
    logs.configure("WARNING")
    settings = load()
    arms, tokenizer, machine = build_arms(settings, slow=slow)
    texts = [report_of(tokens, lambda text: len(tokenizer.encode(text)), n) for n in range(reports)]
    timings = measure(arms, texts, repeats)
    setup = _setup(settings.model, str(machine.device), tokens)
    if as_json:
        typer.echo(json.dumps({"setup": setup, "arms": [asdict(t) for t in timings]}, indent=2))
        return
    _print(timings, setup)


def _setup(model: str, device: str, tokens: int) -> dict[str, str]:
    import torch  # noqa: PLC0415

    return {
        "model": model,
        "device": torch.cuda.get_device_name() if device == "cuda" else processor(),
        "threads": str(torch.get_num_threads()),
        "load": f"{os.getloadavg()[0]:.1f}",
        "report": f"{tokens} tokens",
        "python": platform.python_version(),
    } | {name: metadata.version(name) for name in LIBRARIES}


def processor() -> str:
    """The name of this machine's processor, as far as it says."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor() or "cpu"
    return next((x.split(":")[1].strip() for x in lines if x.startswith("model name")), "cpu")


def _print(timings: Sequence[Timing], setup: dict[str, str]) -> None:
    ours = min((t for t in timings if t.arm.startswith("one pass")), key=lambda t: t.p50)
    table = Table(title=", ".join(f"{k} {v}" for k, v in setup.items()))
    table.add_column("arm", no_wrap=True)
    for name in ("p50 s", "95 % interval", "p95 s", "times our fastest"):
        table.add_column(name, justify="right")
    for t in timings:
        interval = f"{t.low:.3f} to {t.high:.3f}"
        table.add_row(t.arm, f"{t.p50:.3f}", interval, f"{t.p95:.3f}", f"{t.p50 / ours.p50:.1f} x")
    # A pipe has no width; 80 columns would cut the figures.
    Console(width=None if sys.stdout.isatty() else 116).print(table)


if __name__ == "__main__":
    typer.run(main)
