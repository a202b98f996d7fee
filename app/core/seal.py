"""A record of a folder's files, written last: tells a whole folder from a damaged one."""

from __future__ import annotations

import os
from pathlib import Path

from pydantic import BaseModel, ConfigDict, ValidationError

from app.core.manifest import file_digest

SEAL = "sealed.json"
# Up to here a file is read whole at every look: tokenizer and config, not the weights.
SMALL = 8 * 2**20


class _File(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    size: int
    sha256: str


class _Seal(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    files: dict[str, _File]


def close(folder: Path) -> None:
    """Record size and SHA-256 of every file in `folder`. All of it is on the disk afterwards."""
    files = {}
    for path in sorted(folder.iterdir()):
        _to_disk(path)
        files[path.name] = _File(size=path.stat().st_size, sha256=file_digest(path))
    record = folder / SEAL
    record.write_text(_Seal(files=files).model_dump_json(indent=2) + "\n", encoding="utf-8")
    _to_disk(record)
    _to_disk(folder)


def flaw(folder: Path, *, every_byte: bool = False) -> str | None:
    """Why `folder` is not what was recorded, None if it is.

    Compares sizes, and digests of small files; with `every_byte` those of large ones too.
    """
    try:
        files = _Seal.model_validate_json((folder / SEAL).read_bytes()).files
    except OSError:
        return f"it has no {SEAL}"
    except ValidationError:
        return f"{SEAL} cannot be read"
    for name, recorded in files.items():
        path = folder / name
        if not path.is_file():
            return f"{name} is missing"
        size = path.stat().st_size
        if size != recorded.size:
            return f"{name} has {size} bytes instead of {recorded.size}"
        if (every_byte or size <= SMALL) and file_digest(path) != recorded.sha256:
            return f"{name} has changed"
    return None


def _to_disk(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
