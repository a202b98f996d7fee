"""Reads and writes training data; a row that cannot be used is reported by its line, never lost."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from pydantic import ValidationError

from app.core.errors import BadRequest, ConfigProblem
from app.core.taxonomy import DEFAULT_TAXONOMY, Taxonomy
from training.example import Example, Provenance

# A row is at most a title, a body and some labels; a longer line is no row of ours.
MAX_LINE = 1_000_000

Source = Literal["labels", "keyword_labels"]

# Labels that other data sets use and a taxonomy may lack: what they become there. None keeps the
# row without an answer in that dimension: a pull request is no bug, feature or question, but it
# still says which component it is about.
FOLDS: Mapping[tuple[str, str], str | None] = {
    ("kind", "change"): None,
    ("component", "gameplay"): "other",
}


@dataclass(frozen=True)
class Problem:
    """A row that could not be used: 1-based line and what is wrong with it."""

    line: int
    what: str

    def __str__(self) -> str:
        return f"line {self.line}: {self.what}"


@dataclass
class Reading:
    """What a file held. `rows` counts all non-empty lines: rows == examples + problems."""

    path: Path
    examples: list[Example] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)
    # (dimension, label) -> rows in which the label was replaced or left out
    folded: Counter[tuple[str, str]] = field(default_factory=Counter)
    # example id -> its line, so that later complaints can name it
    lines: dict[str, int] = field(default_factory=dict)

    @property
    def rows(self) -> int:
        """Non-empty lines of the file."""
        return len(self.examples) + len(self.problems)

    def refuse_problems(self) -> list[Example]:
        """The examples, or BadRequest that names the first malformed lines and their number."""
        if self.problems:
            first = "; ".join(str(problem) for problem in self.problems[:5])
            more = ", …" if len(self.problems) > 5 else ""
            raise BadRequest(
                f"{self.path}: {len(self.problems)} of {self.rows} rows are malformed: "
                f"{first}{more}"
            )
        return self.examples


def read(
    path: Path, *, taxonomy: Taxonomy = DEFAULT_TAXONOMY, source: Source = "labels"
) -> Reading:
    """Every row of a JSON Lines file, in its order.

    Takes the project's own schema and, as an import, rows whose `labels` are plain strings.
    `source` "keyword_labels" takes the weak labels of such rows instead, with provenance keyword.
    Labels the taxonomy lacks are kept as they are (the guard names them), except those in FOLDS.
    ConfigProblem if the file cannot be read; malformed rows are in `problems`, not raised.
    """
    reading = Reading(path)
    try:
        with path.open("rb") as stream:
            for number, line in enumerate(stream, start=1):
                if line.strip():
                    _take(reading, number, line, taxonomy, source)
    except OSError as error:
        raise ConfigProblem(f"cannot read {path}: {error.strerror}") from error
    return reading


def _take(reading: Reading, number: int, line: bytes, taxonomy: Taxonomy, source: Source) -> None:
    try:
        row = _row(line)
        folded = _normalise(row, taxonomy, source)
        example = Example.model_validate(row)
    except ValidationError as error:
        what = "; ".join(
            f"{'.'.join(map(str, e['loc'])) or 'row'}: {e['msg']}" for e in error.errors()[:3]
        )
        reading.problems.append(Problem(number, what))
        return
    except BadRequest as error:
        reading.problems.append(Problem(number, str(error)))
        return
    if example.id in reading.lines:
        reading.problems.append(
            Problem(number, f"id {example.id!r} stands on line {reading.lines[example.id]} already")
        )
        return
    reading.lines[example.id] = number
    reading.examples.append(example)
    reading.folded.update(folded)


def _row(line: bytes) -> dict[str, Any]:
    if len(line) > MAX_LINE:
        raise BadRequest(f"{len(line)} bytes, more than {MAX_LINE}")
    try:
        row = json.loads(line.decode("utf-8-sig"))
    except UnicodeDecodeError as error:
        raise BadRequest(f"not UTF-8 at byte {error.start}") from error
    except json.JSONDecodeError as error:
        raise BadRequest(f"not JSON: {error.msg} at character {error.pos}") from error
    except (RecursionError, ValueError) as error:
        raise BadRequest("not JSON: nested too deep, or a number too long") from error
    if not isinstance(row, dict):
        raise BadRequest(f"a JSON object was expected, not {type(row).__name__}")
    return row


def _normalise(row: dict[str, Any], taxonomy: Taxonomy, source: Source) -> list[tuple[str, str]]:
    """Bring a row into our schema, in place; returns the (dimension, label) pairs folded."""
    weak = row.pop("keyword_labels", None)
    if source == "keyword_labels":
        if not isinstance(weak, dict):
            raise BadRequest("the row has no keyword_labels")
        row["labels"] = weak
    labels = row.get("labels")
    if not isinstance(labels, dict):
        return []
    provenance = Provenance.KEYWORD if source == "keyword_labels" else Provenance.IMPORTED
    answers: dict[str, Any] = {}
    folded: list[tuple[str, str]] = []
    for dimension, answer in labels.items():
        if isinstance(answer, str):
            answer = {"label": answer, "provenance": provenance}
        kept = _fold(dimension, answer, taxonomy)
        if kept is not answer:
            folded.append((dimension, answer["label"]))
        if kept is not None:
            answers[dimension] = kept
    row["labels"] = answers
    return folded


def _fold(dimension: str, answer: Any, taxonomy: Taxonomy) -> Any:
    label = answer.get("label") if isinstance(answer, dict) else None
    if not isinstance(label, str) or (dimension, label) not in FOLDS:
        return answer
    if dimension in taxonomy and label in taxonomy[dimension].names:
        return answer
    target = FOLDS[dimension, label]
    if target is None:
        return None
    return {**answer, "label": target}


def write(path: Path, examples: Iterable[Example]) -> int:
    """Write the rows, replacing the file in one step; returns how many."""
    part = path.with_name(path.name + ".part")
    count = 0
    with part.open("w", encoding="utf-8", newline="\n") as stream:
        for example in examples:
            stream.write(dump(example) + "\n")
            count += 1
    part.replace(path)
    return count


def dump(example: Example) -> str:
    """One example as one line of JSON, without the keys that say nothing."""
    return example.model_dump_json(exclude_defaults=True, exclude_none=True)


def digest(examples: Sequence[Example]) -> str:
    """SHA-256 (hex) over ids, texts and labels, whatever the order of the rows."""
    facts = sorted(
        json.dumps(
            [
                example.id,
                example.text.content_hash,
                sorted((name, a.label, str(a.provenance)) for name, a in example.labels.items()),
            ]
        )
        for example in examples
    )
    return hashlib.sha256("\n".join(facts).encode()).hexdigest()
