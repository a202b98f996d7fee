"""`python -m tests.system.chaos.cheap …`: `triora …` with a model that costs nothing.

The process is the real one; only `worker.model.versions`, which would load torch, is another. What
it says of an issue follows from the title alone, so a harness can tell which labels belong there.
"""

from __future__ import annotations

import hashlib
import sys
import time
from collections.abc import Sequence
from types import ModuleType

from app.core.decision import Thresholds
from app.core.taxonomy import DEFAULT_TAXONOMY, Dimension, Taxonomy
from worker.model.query import Answer, Query

# Long enough that a process is now and then ended in the middle of a batch.
SECONDS_AN_ISSUE = 0.004
VERSION = "cheap/1"


def likeliest(dimension: Dimension, title: str) -> str:
    """The label name that the cheap model gives; always a bug, so that no dimension is left out."""
    if dimension.name == "kind":
        return "bug"
    number = int.from_bytes(hashlib.sha256(f"{dimension.name} {title}".encode()).digest()[:4])
    return dimension.names[number % len(dimension.names)]


def labels(title: str, taxonomy: Taxonomy = DEFAULT_TAXONOMY) -> dict[str, str]:
    """Dimension -> the GitHub label that belongs on an issue of this title."""
    return {
        dimension.name: next(
            label.github for label in dimension.labels if label.name == likeliest(dimension, title)
        )
        for dimension in taxonomy.written
    }


class Cheap:
    """Stands where `worker.model.versions.Versions` stands."""

    version = VERSION

    def answer(self, queries: Sequence[Query]) -> list[Answer]:
        """Certain of one label in each dimension."""
        time.sleep(SECONDS_AN_ISSUE * len(queries))
        return [
            Answer(
                VERSION,
                {
                    d.name: {n: float(n == likeliest(d, query.text.title)) for n in d.names}
                    for d in query.taxonomy.dimensions
                },
                Thresholds(default=0.5),
            )
            for query in queries
        ]


def main() -> None:
    """Be `triora`, with the cheap model in the place of the real one."""
    module = ModuleType("worker.model.versions")
    module.build_models = lambda *_, **__: Cheap()  # type: ignore[attr-defined]
    sys.modules[module.__name__] = module
    from app.cli import main as triora

    triora()


if __name__ == "__main__":
    main()
