"""`triora classify`: reports in, one JSON line of label probabilities each out, in order."""

from __future__ import annotations

import codecs
import json
import os
import re
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING, Annotated, Any, TextIO

import typer
from pydantic import BaseModel, ConfigDict, ValidationError

from app.cli import start
from app.core.errors import EXIT_PROBLEM, BadRequest, ConfigProblem
from app.core.taxonomy import DEFAULT_TAXONOMY, Taxonomy
from app.core.text import IssueText
from worker.threads import wait_without_spinning

if TYPE_CHECKING:
    from worker.model.scorer import Scorer

# Rows read before they are scored together: large enough to fill batches of equal length, small
# enough that a person who pipes rows in by hand sees answers soon.
CHUNK = 32


class Report(BaseModel):
    """One row of standard input. `id` comes back as it was given."""

    model_config = ConfigDict(extra="ignore", strict=True)

    id: str | int | None = None
    repository: str | None = None
    title: str
    body: str | None = None


@dataclass(frozen=True)
class Scoring:
    """How reports are answered: by which scorer, and with or without evidence."""

    scorer: Scorer
    taxonomy: Taxonomy = DEFAULT_TAXONOMY
    evidence: bool = False

    def dimensions(self, reports: Sequence[Report]) -> list[dict[str, dict[str, Any]]]:
        """The `dimensions` of each report's line, in order."""
        texts = [IssueText.of(report.title, report.body) for report in reports]
        if not self.evidence:
            return [_plain(scores) for scores in self.scorer.score(texts, self.taxonomy)]
        return [self._explained(text) for text in texts]

    def _explained(self, text: IssueText) -> dict[str, dict[str, Any]]:
        # Imports torch.
        from worker.model.evidence import explain  # noqa: PLC0415

        scores, found = explain(self.scorer, text, self.taxonomy)
        plain = _plain(scores)
        for name, phrases in found.items():
            plain[name]["evidence"] = [
                {"phrase": e.phrase, "drop": round(e.drop, 6)} for e in phrases
            ]
        return plain


def register(cli: typer.Typer) -> None:
    """Add `classify` to the `triora` command."""
    cli.command()(classify)


def classify(
    title: Annotated[str | None, typer.Option(help="Title of one report.")] = None,
    body: Annotated[str | None, typer.Option(help="Its body.")] = None,
    repository: Annotated[str | None, typer.Option(help="Its repository, OWNER/NAME.")] = None,
    evidence: Annotated[
        bool, typer.Option("--evidence", help="Name the phrases that moved each answer.")
    ] = False,
) -> None:
    """Score reports: one from --title and --body, or JSONL on standard input.

    Rows have `id`, `repository`, `title` and `body`; each gives one JSON line, in order. Rows
    that cannot be read are named on standard error, the others are still scored; the exit code
    is 2 then.
    """
    if title is None and (body is not None or repository is not None):
        raise ConfigProblem("--body and --repository need --title")
    if title is None and sys.stdin.isatty():
        raise ConfigProblem(
            "nothing to classify: give --title and --body, or pipe JSONL with id, repository,"
            " title and body into standard input"
        )
    if title is not None and not title.strip() and not (body or "").strip():
        raise ConfigProblem("--title is empty, and there is no --body: give the report's text")
    settings = start()
    wait_without_spinning(os.environ)
    # Torch takes seconds to import: only the command that needs it pays.
    from worker.model.serve import build_scorer  # noqa: PLC0415

    scored = Scoring(build_scorer(settings), DEFAULT_TAXONOMY, evidence)
    if title is not None:
        _answer([Report(title=title, body=body, repository=repository)], scored, sys.stdout)
        return
    refused = stream(sys.stdin.buffer, scored, out=sys.stdout, err=sys.stderr)
    if refused:
        raise typer.Exit(EXIT_PROBLEM)


def stream(lines: Iterable[bytes], scored: Scoring, *, out: TextIO, err: TextIO) -> int:
    """Score JSONL `lines` chunk by chunk; returns how many rows were refused.

    A refused row is named on `err` with its line number, the sum follows at the end. Empty lines
    are skipped.
    """
    refused = total = 0
    rows = _read(lines)
    while chunk := list(islice(rows, CHUNK)):
        for number, row in chunk:
            if isinstance(row, BadRequest):
                err.write(f"triora: line {number}: {row}\n")
                refused += 1
        err.flush()
        _answer([row for _, row in chunk if isinstance(row, Report)], scored, out)
        total += len(chunk)
    if refused:
        err.write(f"triora: {refused} of {total} rows could not be read and were left out\n")
    return refused


def _read(lines: Iterable[bytes]) -> Iterator[tuple[int, Report | BadRequest]]:
    for number, line in enumerate(lines, start=1):
        # Editors on Windows begin a file with it.
        content = line.removeprefix(codecs.BOM_UTF8) if number == 1 else line
        if content.strip():
            yield number, _parse(content)


def _parse(line: bytes) -> Report | BadRequest:
    try:
        return Report.model_validate_json(line)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        if first["loc"][:1] == ("id",):
            return BadRequest("id has to be a string or a whole number")
        if first["type"] == "json_invalid":
            # A row is one line: only the column says something.
            return BadRequest(re.sub(r" at line \d+ column (\d+)$", r" at column \1", first["msg"]))
        where = ".".join(str(part) for part in first["loc"])
        return BadRequest(f"{where}: {first['msg']}" if where else first["msg"])


def _answer(reports: list[Report], scored: Scoring, out: TextIO) -> None:
    for report, dimensions in zip(reports, scored.dimensions(reports), strict=True):
        line = {"id": report.id, "model": scored.scorer.version, "dimensions": dimensions}
        out.write(json.dumps(line, ensure_ascii=False) + "\n")
    out.flush()


def _plain(scores: Mapping[str, Mapping[str, float]]) -> dict[str, dict[str, Any]]:
    return {
        name: {
            "label": max(chances, key=chances.__getitem__),
            "probabilities": {label: round(chance, 6) for label, chance in chances.items()},
        }
        for name, chances in scores.items()
    }
