"""`python -m deploy.sandbox.demo`: real issues get labels from real processes on this machine."""

from __future__ import annotations

import argparse
import os
import signal
import sys
from contextlib import ExitStack
from pathlib import Path
from types import FrameType

from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from deploy.sandbox.demo import table, watch
from deploy.sandbox.demo.reports import Report, ReportProblem, read, sample_reports
from deploy.sandbox.demo.stage import DemoFailed, Stage, standing
from deploy.sandbox.remote import PROJECT

ENDINGS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Asked(BaseException):
    """Somebody asked the demo to end, with this signal."""

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.number = number


def main() -> int:
    """0 when all went well, 1 when it did not, 2 for wrong options, 128 + n for signal n."""
    options = _options()
    console = Console(highlight=False)
    if not console.is_terminal:
        console.width = 120
    try:
        reports = read(options.reports, options.limit) if options.reports else None
    except ReportProblem as error:
        console.print(f"demo: {error}", markup=False)
        return 2
    for number in ENDINGS:
        # What `nohup` ignores stays ignored.
        if signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, _ask)
    try:
        return _play(console, options, reports or sample_reports(options.limit))
    except DemoFailed as error:
        console.print(f"\ndemo failed: {error}", markup=False)
        return 1
    except Asked as asked:
        # Ctrl-C is how a demo that stays is meant to end.
        meant = asked.number == signal.SIGINT and not options.once
        console.print("\nended; no process is left")
        return 0 if meant else 128 + asked.number


def _play(console: Console, options: argparse.Namespace, reports: list[Report]) -> int:
    with ExitStack() as stack:
        status = stack.enter_context(console.status("Starting …"))
        stage = stack.enter_context(
            standing(
                options.data_dir,
                os.environ,
                port=options.port,
                receiver_port=options.receiver_port,
                patience=options.timeout,
                progress=lambda text: status.update(f"{text} …"),
            )
        )
        status.stop()
        try:
            return _show(console, options, stage, reports)
        finally:
            status.update("Ending the processes …")
            status.start()


def _show(
    console: Console, options: argparse.Namespace, stage: Stage, reports: list[Report]
) -> int:
    page = f"{stage.github.url}/{PROJECT}/issues"
    console.print(
        f"The model is loaded ({stage.loading_seconds:.0f} s). Watch the issues at {page}"
    )
    opened, results = _label(console, options, stage, reports)
    if options.once:
        console.print()
        console.print(table.issues(results))
        console.print()
    console.print(table.summary(results, stage.loading_seconds))
    compared = table.agreement(results)
    if compared is not None:
        console.print()
        console.print(compared)
    for remark in table.remarks(results):
        console.print(f"\n{remark}", style="dim", markup=False)
    failed = [result for result in results if result.failure]
    for result in failed:
        console.print(f"#{result.opened.number} failed: {result.failure}", markup=False)
    if options.screenshot:
        # Playwright is a development dependency.
        from deploy.sandbox.demo.screenshot import take  # noqa: PLC0415

        take(page, options.screenshot)
        console.print(f"wrote {options.screenshot}")
    if options.once or failed:
        return 1 if failed else 0
    return _stay(console, stage, page, {o.number for o in opened})


def _label(
    console: Console, options: argparse.Namespace, stage: Stage, reports: list[Report]
) -> tuple[list[watch.Opened], list[table.Result]]:
    with Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        console=console,
    ) as progress:
        labelled = progress.add_task("labelled", total=len(reports))
        opened = list(watch.open_all(stage.github, reports))
        titles = {o.number: o.report.title for o in opened}

        def arrived(number: int, names: list[str]) -> None:
            progress.advance(labelled)
            if not options.once:
                progress.console.print(_line(number, titles[number], names))

        stored = watch.until_settled(stage, list(titles), options.timeout, arrived)
        names = watch.labels_of(stage.github)
        progress.update(labelled, completed=sum(bool(names[number]) for number in titles))
    return opened, [table.Result(o, stored[o.number], names[o.number]) for o in opened]


def _stay(console: Console, stage: Stage, page: str, known: set[int]) -> int:
    console.print(f"\nOpen issues of your own at {page}. Ctrl-C ends everything.")
    while True:
        watch.rest(stage)
        for number, names in watch.labels_of(stage.github).items():
            if names and number not in known:
                known.add(number)
                console.print(_line(number, "", names))


def _line(number: int, title: str, names: list[str]) -> str:
    return f"#{number:<4} {escape(title[:50]):50} [cyan]{escape(', '.join(names))}[/]"


def _ask(number: int, _frame: FrameType | None) -> None:
    # Ending what runs must not be cut short: a closing terminal sends SIGHUP more than once.
    for other in ENDINGS:
        signal.signal(other, signal.SIG_IGN)
    if number == signal.SIGHUP:
        # The terminal is gone, and writing to it would fail.
        nowhere = os.open(os.devnull, os.O_RDWR)
        for stream in (sys.stdin, sys.stdout, sys.stderr):
            os.dup2(nowhere, stream.fileno())
    raise Asked(number)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="make demo", description=__doc__)
    parser.add_argument("--once", action="store_true", help="print a table and end")
    parser.add_argument("--reports", type=Path, help="JSONL with title, body and perhaps labels")
    parser.add_argument("--limit", type=_positive, help="open only so many")
    parser.add_argument("--port", type=int, default=0, help="of the pages; a free one by default")
    parser.add_argument("--receiver-port", type=int, default=0, help="a free one by default")
    parser.add_argument("--data-dir", type=Path, default=Path(".triora/demo"))
    parser.add_argument(
        "--timeout", type=float, default=300.0, help="seconds without progress until it gives up"
    )
    parser.add_argument("--screenshot", type=Path, help="write a picture of the page")
    return parser.parse_args()


def _positive(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError("must be at least 1")
    return number


if __name__ == "__main__":
    sys.exit(main())
