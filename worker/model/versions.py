"""Many model versions on one base in memory: rows of one batch may be answered by different ones.

As long as nobody asks for another version than the one the process was started with, that one is
merged into the weights and costs nothing. The first query for another loads the base anew, with
the adapters beside it; from then on versions come and go between two batches.
"""

from __future__ import annotations

import gc
import time
from collections import OrderedDict
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import islice

import structlog
import torch
from transformers import PreTrainedModel

from app.core.errors import TriageError
from app.core.manifest import Manifest
from app.core.settings import Settings
from app.core.taxonomy import DEFAULT_TAXONOMY, Taxonomy
from worker.model import adapter
from worker.model.hardware import Hardware
from worker.model.passes import BARE, run
from worker.model.query import Answer, Artifact, Query
from worker.model.scorer import Scorer
from worker.model.serve import Started, scorer_of, start
from worker.model.store import ModelStore

log = structlog.get_logger()

# A version that could not be loaded is tried again then: its store may be back.
RETRY_SECONDS = 60.0


@dataclass(frozen=True, slots=True)
class Failure:
    """Why a version could not be loaded, and when that was (seconds of the clock)."""

    reason: str
    at: float


@dataclass(frozen=True, slots=True)
class Choice:
    """Who answers: a digest, or None for the own version. unusable: version -> why passed over."""

    digest: str | None
    unusable: dict[str, str]


class Versions:
    """Answers queries with the versions they choose. Not thread-safe: one a process.

    merged: begin with the own adapter in the weights; say False when other versions are known to
    be active, which saves loading the base twice. mix: rows of different versions share a pass; by
    default on a GPU only.
    """

    def __init__(
        self,
        settings: Settings,
        store: ModelStore,
        taxonomy: Taxonomy = DEFAULT_TAXONOMY,
        *,
        merged: bool = True,
        machine: Hardware | None = None,
        mix: bool | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._settings = settings
        self._store = store
        self._taxonomy = taxonomy
        self._machine = machine
        self._clock = clock
        # By digest, least recently used first.
        self._scorers: OrderedDict[str, Scorer] = OrderedDict()
        self._failures: dict[str, Failure] = {}
        self._started: Started | None = None
        started = self._running(merged=merged)
        self.version = started.scorer.version
        # A GPU waits for its next command in small passes, so one pass for all is cheaper there. A
        # CPU is busy anyway, and picking rows apart in every layer costs it 8 to 18 % more, unless
        # every row has a version of its own (docs/learning.md).
        self._mix = started.machine.device.type == "cuda" if mix is None else mix

    @property
    def in_memory(self) -> tuple[str, ...]:
        """Versions beside the own one that are ready to answer, least recently used first."""
        return tuple(scorer.version for scorer in self._scorers.values())

    def answer(self, queries: Sequence[Query]) -> list[Answer]:
        """An answer to each query, in order.

        A version that cannot be loaded is passed over for the next choice, and named with the
        reason in the answer. Queries for more versions than fit are answered in several rounds.
        """
        found: dict[int, Answer] = {}
        waiting = list(range(len(queries)))
        while waiting:
            in_use: set[str] = set()
            picked = {row: self._pick(queries[row], in_use) for row in waiting}
            found |= self._ask(queries, {row: pick for row, pick in picked.items() if pick})
            waiting = [row for row, pick in picked.items() if pick is None]
        return [found[row] for row in range(len(queries))]

    def _ask(self, queries: Sequence[Query], picked: Mapping[int, Choice]) -> dict[int, Answer]:
        """One round: every version it needs is in memory."""
        groups: dict[tuple[str | None, str], list[int]] = {}
        for row, choice in picked.items():
            groups.setdefault((choice.digest, queries[row].taxonomy.digest), []).append(row)
        parts = [
            (self._scorer_of(digest), queries[rows[0]].taxonomy, rows)
            for (digest, _), rows in groups.items()
        ]
        prompts = [
            prompt
            for scorer, taxonomy, rows in parts
            for prompt in scorer.rows([queries[row].text for row in rows], taxonomy)
        ]
        own = self._running().scorer
        seen = iter(run(own.model, prompts, own.batch_tokens, mix=self._mix))
        found: dict[int, Answer] = {}
        for scorer, taxonomy, rows in parts:
            read = scorer.read(list(islice(seen, len(rows))), taxonomy)
            for row, one in zip(rows, read, strict=True):
                found[row] = Answer(
                    scorer.version,
                    one.scores,
                    scorer.thresholds,
                    one.vector,
                    picked[row].unusable,
                )
        return found

    def _scorer_of(self, digest: str | None) -> Scorer:
        return self._running().scorer if digest is None else self._scorers[digest]

    def _pick(self, query: Query, in_use: set[str]) -> Choice | None:
        """Who answers: the first choice that can be loaded. None if there is no room this round."""
        unusable: dict[str, str] = {}
        for artifact in query.choices:
            if artifact.version == self.version:
                break
            if artifact.digest not in self._scorers:
                reason = self._failed_lately(artifact)
                if reason is None and len(in_use) >= self._settings.adapters_in_memory:
                    return None
                reason = reason or self._load(artifact, in_use)
                if reason is not None:
                    unusable[artifact.version] = reason
                    continue
            in_use.add(artifact.digest)
            self._scorers.move_to_end(artifact.digest)
            return Choice(artifact.digest, unusable)
        return Choice(None, unusable)

    def _failed_lately(self, artifact: Artifact) -> str | None:
        failure = self._failures.get(artifact.digest)
        if failure is None or self._clock() - failure.at >= RETRY_SECONDS:
            return None
        return failure.reason

    def _load(self, artifact: Artifact, in_use: Collection[str]) -> str | None:
        """Put a version into memory; why that failed, None if it did not."""
        started_at = time.monotonic()
        try:
            self._scorers[artifact.digest] = self._scorer(artifact)
        except Exception as error:  # noqa: BLE001 - no version may stop triage
            # The text of a foreign exception may quote anything.
            told = isinstance(error, TriageError)
            reason = f"{type(error).__name__}: {error}" if told else type(error).__name__
            self._failures[artifact.digest] = Failure(reason, self._clock())
            log.warning("version.unusable", version=artifact.version, reason=reason)
            return reason
        self._failures.pop(artifact.digest, None)
        log.info(
            "version.loaded",
            version=artifact.version,
            seconds=round(time.monotonic() - started_at, 2),
        )
        self._make_room(in_use)
        return None

    def _scorer(self, artifact: Artifact) -> Scorer:
        folder = self._store.fetch(artifact.uri, artifact.digest)
        # Looked at before anything is loaded anew for it.
        started = self._running()
        found = adapter.verified(folder, started.base, None)
        adapter.check_answers(found, self._reader(started, found).encoder, self._taxonomy)
        started = self._running(merged=False)
        name = f"v{artifact.digest[:16]}"
        model = adapter.load(started.scorer.model, folder, name)
        if model is not started.scorer.model:
            # It was the bare base until now, and goes on answering as such.
            own = self._reader(started, None, model, BARE)
            self._started = replace(started, scorer=own)
        return self._reader(started, found, model, name)

    def _reader(
        self,
        started: Started,
        found: Manifest | None,
        model: PreTrainedModel | None = None,
        name: str | None = None,
    ) -> Scorer:
        model = started.scorer.model if model is None else model
        return scorer_of(model, started.base, found, self._settings, started.machine, name)

    def _make_room(self, in_use: Collection[str]) -> None:
        """Forget what was not used for longest; the newest is never among it."""
        spare = [digest for digest in list(self._scorers)[:-1] if digest not in in_use]
        for digest in spare[: max(0, len(self._scorers) - self._settings.adapters_in_memory)]:
            gone = self._scorers.pop(digest)
            adapter.unload(gone.model, str(gone.adapter))
            log.info("version.evicted", version=gone.version)

    def _running(self, *, merged: bool = True) -> Started:
        """Base and own adapter, loaded if they are not there.

        merged False: and anew, if the own adapter is in the weights.
        """
        if self._started is not None and self._started.merged and not merged:
            log.info("model.unmerging", version=self.version)
            self._started = None
            # Two bases may not fit into memory.
            gc.collect()
            torch.cuda.empty_cache()
        if self._started is None:
            self._started = start(
                self._settings, self._taxonomy, machine=self._machine, merge=merged
            )
        return self._started


def build_models(
    settings: Settings, taxonomy: Taxonomy = DEFAULT_TAXONOMY, *, merged: bool = True
) -> Versions:
    """Base and adapter as `settings` say, and the model store for the versions beside it."""
    store = ModelStore(settings.model_store_url, settings.model_cache)
    return Versions(settings, store, taxonomy, merged=merged)
