"""The reports a demo opens: the sample project's own, or the rows of a JSONL file."""

from __future__ import annotations

import itertools
import json
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from deploy.sandbox.seed import samples

SHOWN = 5


class ReportProblem(Exception):
    """A file of reports cannot be used; the text says which line and why."""


class Report(BaseModel):
    """One issue to open. `labels` maps a dimension to the label a person gave, where known."""

    model_config = ConfigDict(frozen=True, strict=True)

    # GitHub's own limits.
    title: str = Field(min_length=1, max_length=256)
    body: str = Field(default="", max_length=65536)
    author: str = "rita"
    labels: dict[str, str] = {}


def sample_reports(limit: int | None = None) -> list[Report]:
    """The sample project's issues."""
    return [Report.model_validate(sample) for sample in samples()["issues"][:limit]]


def read(path: Path, limit: int | None = None) -> list[Report]:
    """The first `limit` rows of a JSONL file with `title`, `body` and perhaps `labels`.

    ReportProblem names every line that cannot be used; none is left out silently.
    """
    found, problems = [], []
    try:
        with path.open(encoding="utf-8") as lines:
            rows = ((n, line) for n, line in enumerate(lines, start=1) if line.strip())
            for number, line in itertools.islice(rows, limit):
                try:
                    found.append(Report.model_validate(_shortened(json.loads(line))))
                except json.JSONDecodeError as error:
                    problems.append(f"line {number}: not JSON ({error.msg})")
                except ValidationError as error:
                    problems.append(f"line {number}: {_why(error)}")
    except (OSError, UnicodeDecodeError) as error:
        raise ReportProblem(f"{path} cannot be read: {error}") from error
    if problems:
        more = f"\n… and {len(problems) - SHOWN} more" if len(problems) > SHOWN else ""
        listed = "\n".join(problems[:SHOWN])
        raise ReportProblem(f"{path} has rows that are no reports:\n{listed}{more}")
    if not found:
        raise ReportProblem(f"{path} has no reports")
    return found


def _shortened(row: Any) -> Any:
    # Titles longer than GitHub takes are cut as its own form would.
    if isinstance(row, dict) and isinstance(row.get("title"), str):
        return row | {"title": row["title"].strip()[:256]}
    return row


def _why(error: ValidationError) -> str:
    return "; ".join(
        f"{'.'.join(str(part) for part in e['loc']) or 'the row'}: {e['msg']}"
        for e in error.errors()
    )
