"""Many model versions on one base: rows of one batch are answered by different adapters."""

from __future__ import annotations

from collections.abc import Sequence

from app.core.settings import Settings
from app.core.taxonomy import DEFAULT_TAXONOMY, Taxonomy
from worker.model.query import Answer, Query
from worker.model.scorer import Scorer
from worker.model.serve import build_scorer


class Versions:
    """Answers queries. Not thread-safe: one a process."""

    def __init__(self, scorer: Scorer) -> None:
        self._scorer = scorer

    @property
    def version(self) -> str:
        """The version that answers where no other is active."""
        return self._scorer.version

    def answer(self, queries: Sequence[Query]) -> list[Answer]:
        """An answer to each query, in order."""
        found: dict[int, Answer] = {}
        groups: dict[str, list[int]] = {}
        for row, query in enumerate(queries):
            groups.setdefault(query.taxonomy.digest, []).append(row)
        for rows in groups.values():
            seen = self._scorer.impressions(
                [queries[row].text for row in rows], queries[rows[0]].taxonomy
            )
            for row, one in zip(rows, seen, strict=True):
                found[row] = Answer(
                    self._scorer.version, one.scores, self._scorer.thresholds, one.vector
                )
        return [found[row] for row in range(len(queries))]


def build_models(settings: Settings, taxonomy: Taxonomy = DEFAULT_TAXONOMY) -> Versions:
    """Load base model and adapter as `settings` say."""
    return Versions(build_scorer(settings, taxonomy))
