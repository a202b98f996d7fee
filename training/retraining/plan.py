"""What one retraining is made of, fixed on disk before it begins: so a killed one ends alike.

A folder for each, readable by us alone, since its rows hold issue text; it goes when all is done.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, ValidationError

from app.core.errors import ConfigProblem
from app.core.taxonomy import Taxonomy
from training import dataset
from training.config import TrainConfig
from training.example import Example

PLAN = "plan.json"
Part = Literal["fit", "replay", "calibration", "holdout"]
PARTS: tuple[Part, ...] = ("fit", "replay", "calibration", "holdout")


class Origin(BaseModel):
    """The version that was active when the retraining began, in the model store."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    version: str
    uri: str
    digest: str


class Plan(BaseModel):
    """Everything that decides what comes out. `origin` None: the adapter of the settings.

    `learned` are the issues the new version will know; `left_out` counts lessons by why they teach
    nothing.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    repository: str
    until: datetime
    origin: Origin | None
    start: Literal["active", "base"]
    config: TrainConfig
    taxonomy: Taxonomy
    learned: tuple[int, ...]
    left_out: dict[str, int]


def save(folder: Path, plan: Plan, rows: dict[Part, Sequence[Example]]) -> None:
    """Write the plan; `plan.json` comes last, so a folder that has it is whole."""
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    for part, examples in rows.items():
        dataset.write(_place(folder, part), examples)
    written = folder / f"{PLAN}.part"
    written.write_text(plan.model_dump_json(indent=2) + "\n", encoding="utf-8")
    written.replace(folder / PLAN)


def load(folder: Path) -> Plan | None:
    """The plan that was made there, None if none was. ConfigProblem if nobody can read it."""
    path = folder / PLAN
    if not path.is_file():
        return None
    try:
        return Plan.model_validate_json(path.read_bytes())
    except (OSError, ValidationError) as error:
        raise ConfigProblem(
            f"{path} is not the plan of a retraining: delete {folder} and ask for it again"
        ) from error


def rows(folder: Path, plan: Plan, part: Part) -> list[Example]:
    """The rows of one part."""
    return dataset.read(_place(folder, part), taxonomy=plan.taxonomy).refuse_problems()


def _place(folder: Path, part: Part) -> Path:
    return folder / f"{part}.jsonl"
