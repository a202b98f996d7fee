"""A maintainer over hundreds of reports: what the bot gets right, how often it is overridden.

    python -m training.benchmarks.feedback_loop --stream TRAIN.jsonl --held-out VAL.jsonl

Reports arrive one by one, are triaged, looked at with a given rate, corrected with a given error
rate and closed. At marks, held-out bug reports are answered with what the repository's model and
memory know by then. Offline, the arms (with and without memory and retraining) go through the use
cases on a database each; with --live one arm goes through a stand-in GitHub, the receiver and the
workers.
"""

from __future__ import annotations

import json
import os
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated, Any, Protocol

import numpy as np
import typer
from rich.console import Console
from rich.table import Table

from app import logs
from app.core.repository_config import Config
from app.core.settings import Settings, load
from app.core.taxonomy import Taxonomy
from app.core.text import IssueText
from app.db.session import Database
from training import dataset
from training.benchmarks.desk import Desk, Once
from training.benchmarks.maintainer import Maintainer
from training.example import Example
from worker.memory import Memory, Place
from worker.model.query import Artifact, Query
from worker.threads import wait_without_spinning
from worker.triage import Models

MARKS = (0, 10, 20, 50, 100, 200, 400, 600)


class Project(Protocol):
    """A repository that can be played: offline or live."""

    database: Database
    repository_id: int
    config: Config
    asked: Models

    def file(self, text: IssueText) -> tuple[int, dict[str, str]]:
        """Open a report; its number, and dimension -> label that the bot put."""
        ...

    def deal(
        self, number: int, said: Mapping[str, str], right: Mapping[str, str], *, close: bool
    ) -> None:
        """Replace labels, and close, in a maintainer's name; returns when that is known."""
        ...

    def choices(self) -> tuple[Artifact, ...]:
        """The versions that answer now, best first."""
        ...

    def retrain(self) -> str:
        """Learn anew; what came of it, in words."""
        ...


@dataclass(frozen=True)
class Mark:
    """Where things stand after so many corrections. Rates are None without anything to count.

    overridden: share of the labels on looked-at reports since the last mark that were corrected.
    """

    corrections: int
    wrong: int
    reports: int
    accuracy: float
    overridden: float | None
    version: str
    said: str = ""


@dataclass
class Loop:
    """One arm. held_out: bug reports whose accuracy, averaged over dimensions, is followed."""

    project: Project
    maintainer: Maintainer
    held_out: Sequence[Example]
    marks: Sequence[int] = MARKS
    retrain_after: int | None = None

    def run(self, stream: Sequence[Example]) -> list[Mark]:
        """Play the stream; a mark at the beginning, at each of `marks`, and at the end."""
        self._labels = self._overridden = 0
        found = [self._mark(0)]
        ahead = [mark for mark in self.marks if mark > 0]
        trained_at = 0
        for seen, example in enumerate(stream, start=1):
            self._one(example)
            corrections = self.maintainer.corrections
            said = ""
            if self.retrain_after and corrections - trained_at >= self.retrain_after:
                trained_at, said = corrections, self.project.retrain()
            passed = [mark for mark in ahead if corrections >= mark]
            if passed or said:
                ahead = ahead[len(passed) :]
                found.append(self._mark(seen, said))
        if found[-1].reports < len(stream):
            found.append(self._mark(len(stream)))
        return found

    def _one(self, example: Example) -> None:
        number, said = self.project.file(example.text)
        if not self.maintainer.looks():
            return
        taxonomy = self.project.config.taxonomy
        truth = {d.name: label for d in taxonomy.written if (label := example.label(d.name))}
        asked = {name: said.get(name) for name in truth}
        right = self.maintainer.corrects(asked, truth, taxonomy)
        self._labels += len(set(said) & set(truth))
        self._overridden += len(set(right) & set(said))
        closes = self.maintainer.closes()
        if right or closes:
            self.project.deal(number, said, right, close=closes)

    def _mark(self, reports: int, said: str = "") -> Mark:
        accuracy, version = accuracy_now(self.project, self.held_out)
        overridden = self._overridden / self._labels if self._labels else None
        self._labels = self._overridden = 0
        return Mark(
            self.maintainer.corrections,
            self.maintainer.wrong,
            reports,
            accuracy,
            overridden,
            version,
            said,
        )


def accuracy_now(project: Project, held_out: Sequence[Example]) -> tuple[float, str]:
    """Average accuracy on those reports with the model and memory of now, and the version."""
    taxonomy, choices = project.config.taxonomy, project.choices()
    answers = project.asked.answer([Query(e.text, taxonomy, choices) for e in held_out])
    places = [
        Place(project.repository_id, answer.version, taxonomy) if project.config.memory else None
        for answer in answers
    ]
    with project.database.reading() as session:
        shifted = Memory().recall(session, list(zip(places, answers, strict=True)))
    right: dict[str, list[bool]] = {d.name: [] for d in taxonomy.written}
    for example, answer, memory in zip(held_out, answers, shifted, strict=True):
        for name, judged in right.items():
            scores = memory.get(name, answer.scores[name])
            if (label := example.label(name)) is not None:
                judged.append(max(scores, key=scores.__getitem__) == label)
    shares = [float(np.mean(judged)) for judged in right.values() if judged]
    return float(np.mean(shares)), answers[0].version


def bugs(path: Path, taxonomy: Taxonomy, limit: int | None = None) -> list[Example]:
    """The bug reports of a file, in its order."""
    found = [e for e in dataset.read(path).refuse_problems() if e.holds(taxonomy.gate)]
    return found[:limit]


def offline(
    arms: Sequence[tuple[bool, int | None]],
    stream: Sequence[Example],
    held_out: Sequence[Example],
    asked: Models,
    settings: Settings,
    maintainer: Mapping[str, Any],
    seed: int = 0,
    marks: Sequence[int] = MARKS,
) -> dict[str, list[Mark]]:
    """Every arm (memory, retrain after so many corrections) on its own database; name -> marks."""
    order = np.random.default_rng(seed).permutation(len(stream))
    shuffled = [stream[at] for at in order]
    once = Once(asked)
    found = {}
    for memory, retrain_after in arms:
        with tempfile.TemporaryDirectory(prefix="triora-loop-") as folder:
            own = _apart(settings, Path(folder))
            desk = Desk(Path(folder), once, own, Config(memory=memory))
            person = Maintainer(**maintainer, seed=seed)
            try:
                loop = Loop(desk, person, held_out, marks, retrain_after)
                found[name_of(memory, retrain_after)] = loop.run(shuffled)
            finally:
                desk.close()
    return found


def _apart(settings: Settings, folder: Path) -> Settings:
    """Settings with a DATA_DIR of an arm's own, but the same weights and model store."""
    home = settings.data_dir.resolve() / "models"
    home.mkdir(parents=True, exist_ok=True)
    (folder / "models").symlink_to(home)
    return settings.model_copy(update={"data_dir": folder, "model_store": settings.model_store_url})


def name_of(memory: bool, retrain_after: int | None) -> str:
    """An arm in words."""
    parts = ["memory"] * memory + [f"retraining after {retrain_after}"] * bool(retrain_after)
    return " and ".join(parts) or "neither"


def main(
    stream: Annotated[Path, typer.Option(help="reports that arrive, JSON Lines")],
    held_out: Annotated[Path, typer.Option(help="reports that measure, JSON Lines")],
    live: Annotated[bool, typer.Option(help="through stand-in GitHub, receiver, workers")] = False,
    memory: Annotated[bool, typer.Option(help="--live: with the memory")] = True,
    retrain_after: Annotated[
        int | None, typer.Option(min=1, help="corrections between two retrainings")
    ] = None,
    reviewed: Annotated[float, typer.Option(min=0, max=1, help="share looked at")] = 1.0,
    errors: Annotated[float, typer.Option(min=0, max=1, help="share of wrong corrections")] = 0.0,
    closed: Annotated[float, typer.Option(min=0, max=1, help="share closed of those")] = 1.0,
    limit: Annotated[int | None, typer.Option(min=1, help="reports that arrive")] = None,
    measured: Annotated[int | None, typer.Option(min=1, help="reports that measure")] = None,
    seed: Annotated[int, typer.Option(help="order of reports, and who errs where")] = 0,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Print accuracy, override rate and corrections over time."""
    wait_without_spinning(os.environ)
    logs.configure("WARNING")
    taxonomy = Config().taxonomy
    arriving, judged = bugs(stream, taxonomy, limit), bugs(held_out, taxonomy, measured)
    # Every dimension gets its best guess, so that every mistake can be corrected.
    settings = load().model_copy(update={"threshold": 0.0})
    from worker.model.versions import build_models  # noqa: PLC0415 - torch

    person: dict[str, Any] = {"reviewed": reviewed, "errors": errors, "closed": closed}
    if live:
        from training.benchmarks.live import played  # noqa: PLC0415 - HTTP and processes

        with played(Once(build_models(settings)), settings, Config(memory=memory)) as project:
            loop = Loop(project, Maintainer(**person, seed=seed), judged, MARKS, retrain_after)
            order = np.random.default_rng(seed).permutation(len(arriving))
            name = name_of(memory, retrain_after)
            found = {name: loop.run([arriving[at] for at in order])}
    else:
        arms: list[tuple[bool, int | None]] = [(True, None), (False, None)]
        if retrain_after:
            arms += [(True, retrain_after), (False, retrain_after)]
        models = build_models(settings)
        found = offline(arms, arriving, judged, models, settings, person, seed)
    if as_json:
        told = {name: [asdict(mark) for mark in marks] for name, marks in found.items()}
        typer.echo(json.dumps(told, indent=2))
        return
    _print(found, f"{len(judged)} held-out bugs, {reviewed:.0%} looked at, {errors:.0%} wrong")


def _print(found: Mapping[str, Sequence[Mark]], title: str) -> None:
    table = Table(title=title)
    table.add_column("arm", no_wrap=True)
    for name in ("corrections", "of them wrong", "reports", "accuracy", "overridden", "version"):
        table.add_column(name, justify="right")
    for arm, marks in found.items():
        for mark in marks:
            table.add_row(
                arm,
                str(mark.corrections),
                str(mark.wrong),
                str(mark.reports),
                f"{mark.accuracy:.1%}",
                "" if mark.overridden is None else f"{mark.overridden:.1%}",
                mark.version,
            )
    console = Console(width=None if sys.stdout.isatty() else 124)
    console.print(table)
    for marks in found.values():
        for mark in marks:
            if mark.said:
                console.print(f"after {mark.corrections} corrections: {mark.said}")


if __name__ == "__main__":
    typer.run(main)
