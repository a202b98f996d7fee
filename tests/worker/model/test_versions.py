"""Versions come and go between two batches, and rows of one batch do not know of each other."""

from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from app.core.settings import Settings
from app.core.taxonomy import DEFAULT_TAXONOMY
from tests.worker.model.conftest import (
    CPU,
    issues,
    saved_mistral,
    taxonomy_of,
    trained_adapter,
)
from worker.model.query import Artifact, Query
from worker.model.serve import build_scorer
from worker.model.store import ModelStore
from worker.model.versions import RETRY_SECONDS, Versions

AREAS = taxonomy_of("menu", "game", dimension="area")


@pytest.fixture(scope="module")
def adapters(local_model, tmp_path_factory):
    """Folders of four adapters; the last has another rank and other labels."""
    made = {}
    for number in range(3):
        folder = tmp_path_factory.mktemp(f"adapter{number}")
        made[f"tiny/{number}"] = trained_adapter(
            local_model, folder, seed=number, version=f"tiny/{number}"
        )
    folder = tmp_path_factory.mktemp("adapter3")
    made["tiny/3"] = trained_adapter(
        local_model, folder, seed=3, version="tiny/3", rank=2, taxonomy=AREAS
    )
    return made


@pytest.fixture
def store(tmp_path):
    return ModelStore(str(tmp_path / "store"), tmp_path / "fetched")


@pytest.fixture
def artifacts(store, adapters):
    return {version: Artifact(version, *store.put(folder)) for version, folder in adapters.items()}


@pytest.fixture
def make(local_model, store, tmp_path):
    """Versions on the tiny model, started with the adapter given."""

    def made(own, merged=True, kept=8, **options):
        settings = Settings(
            _env_file=None,
            data_dir=tmp_path,
            model=str(local_model),
            adapter=str(own),
            device="cpu",
            adapters_in_memory=kept,
        )
        return Versions(settings, store, merged=merged, machine=CPU, **options)

    return made


@pytest.fixture
def alone(local_model, tmp_path):
    """What a scorer that has only this one adapter, in its weights, says of one text."""

    def scored(own, text, taxonomy):
        settings = Settings(
            _env_file=None,
            data_dir=tmp_path,
            model=str(local_model),
            adapter=str(own),
            device="cpu",
        )
        return build_scorer(settings, machine=CPU).score([text], taxonomy)[0]

    return scored


def close(one, other):
    return {d: set(s) for d, s in one.items()} == {d: set(s) for d, s in other.items()} and all(
        abs(one[d][label] - other[d][label]) < 1e-4 for d in one for label in one[d]
    )


@pytest.mark.parametrize(("own", "mix"), [("tiny/0", True), ("none", True), ("tiny/0", False)])
def test_a_row_of_a_mixed_batch_is_answered_as_if_it_were_alone(
    make, adapters, artifacts, alone, own, mix
):
    """Four versions and two taxonomies in one batch, texts of all lengths, in float32."""
    started_with = adapters.get(own, own)
    versions = make(started_with, mix=mix)
    wanted = [own, "tiny/1", "tiny/2", "tiny/1", own, "tiny/2"]
    queries = [
        Query(text, DEFAULT_TAXONOMY, (artifacts[name],) if name != own else ())
        for text, name in zip(issues(6), wanted, strict=True)
    ]
    queries.append(Query(issues(7)[6], AREAS, (artifacts["tiny/3"],)))
    answers = versions.answer(queries)
    assert [a.version for a in answers] == [
        versions.version if name == own else name for name in [*wanted, "tiny/3"]
    ]
    for query, answer, name in zip(queries[:6], answers, wanted, strict=False):
        folder = started_with if name == own else adapters[name]
        assert close(answer.scores, alone(folder, query.text, DEFAULT_TAXONOMY))
    # The same, asked one by one: neither scores nor vectors depend on the neighbours.
    for query, answer in zip(queries, answers, strict=True):
        (single,) = versions.answer([query])
        assert close(answer.scores, single.scores)
        np.testing.assert_allclose(answer.vector, single.vector, rtol=2e-3, atol=2e-3)


def test_versions_tell_answers_apart(make, adapters, artifacts):
    """The test above would pass with one adapter for all if they all said the same."""
    versions = make(adapters["tiny/0"])
    text = issues(1)[0]
    said = [
        versions.answer([Query(text, DEFAULT_TAXONOMY, (artifacts[name],))])[0].scores["severity"]
        for name in ("tiny/0", "tiny/1", "tiny/2")
    ]
    assert not any(close({"s": a}, {"s": b}) for a, b in pairwise(said))


def test_the_own_version_is_merged_until_another_is_asked_for(make, adapters, artifacts):
    versions = make(adapters["tiny/0"])
    own = Query(issues(1)[0], DEFAULT_TAXONOMY, (artifacts["tiny/0"],))
    (merged,) = versions.answer([own])
    assert versions._started.merged
    versions.answer([Query(own.text, DEFAULT_TAXONOMY, (artifacts["tiny/1"],))])
    assert not versions._started.merged
    (beside,) = versions.answer([own])
    assert close(merged.scores, beside.scores)


def test_each_version_brings_its_thresholds(
    make, adapters, artifacts, local_model, store, tmp_path
):
    folder = trained_adapter(
        local_model,
        tmp_path / "strict",
        seed=9,
        version="tiny/strict",
        thresholds={"default": 0.95},
    )
    versions = make(adapters["tiny/0"], merged=False)
    strict = Artifact("tiny/strict", *store.put(folder))
    text = issues(1)[0]
    answers = versions.answer(
        [Query(text, DEFAULT_TAXONOMY), Query(text, DEFAULT_TAXONOMY, (strict,))]
    )
    assert [answer.thresholds.default for answer in answers] == [0.7, 0.95]


def test_a_bounded_number_of_versions_stays_in_memory(make, adapters, artifacts):
    versions = make(adapters["tiny/0"], merged=False, kept=2)
    text = issues(1)[0]

    def ask(*names):
        return [
            answer.version
            for answer in versions.answer(
                [Query(text, DEFAULT_TAXONOMY, (artifacts[name],)) for name in names]
            )
        ]

    # More in one batch than may be in memory at once: all are answered.
    names = ["tiny/1", "tiny/2", "tiny/3", "tiny/1"]
    assert ask(*names) == names
    assert len(versions.in_memory) == 2
    ask("tiny/1")
    ask("tiny/2")
    ask("tiny/1")
    ask("tiny/3")
    assert versions.in_memory == ("tiny/1", "tiny/3")
    model = versions._started.scorer.model
    assert len(model.peft_config) == 3


def missing(artifact, store, tmp_path):
    Path(artifact.uri.removeprefix("file://")).unlink()
    return artifact


def changed(artifact, store, tmp_path):
    return Artifact(artifact.version, artifact.uri, "0" * 64)


def of_another_base(artifact, store, tmp_path):
    base = saved_mistral(tmp_path / "other-base")
    folder = trained_adapter(base, tmp_path / "foreign", version=artifact.version)
    return Artifact(artifact.version, *store.put(folder))


@pytest.mark.parametrize(
    ("spoil", "told"),
    [
        (missing, "not in the model store"),
        (changed, "not the adapter it was"),
        (of_another_base, "belongs to base model"),
    ],
)
def test_a_version_that_cannot_be_loaded_gives_way_to_the_shared_one(
    make, adapters, artifacts, store, tmp_path, spoil, told
):
    now = [0.0]
    versions = make(adapters["tiny/0"], merged=False, clock=lambda: now[0])
    good = artifacts["tiny/1"]
    bad = spoil(good, store, tmp_path)
    shared = artifacts["tiny/2"]
    text = issues(1)[0]
    answers = versions.answer(
        [
            Query(text, DEFAULT_TAXONOMY, (bad, shared)),
            Query(text, DEFAULT_TAXONOMY, (bad,)),
            Query(text, DEFAULT_TAXONOMY, (shared,)),
        ]
    )
    assert [a.version for a in answers] == ["tiny/2", "tiny/0", "tiny/2"]
    assert told in answers[0].unusable["tiny/1"]
    assert answers[2].unusable == {}
    # Its store is mended: it is not asked again at once, and serves a minute later.
    store.put(adapters["tiny/1"])
    mended = Query(text, DEFAULT_TAXONOMY, (Artifact("tiny/1", bad.uri, bad.digest),))
    assert versions.answer([mended])[0].version == "tiny/0"
    now[0] = RETRY_SECONDS
    expected = "tiny/1" if bad.digest == good.digest else "tiny/0"
    assert versions.answer([mended])[0].version == expected


def test_an_adapter_that_does_not_fit_leaves_nothing_on_the_model(
    make, adapters, artifacts, store, tmp_path, local_model
):
    folder = trained_adapter(local_model, tmp_path / "odd", seed=7, version="tiny/odd")
    config = folder / "adapter_config.json"
    config.write_text(config.read_text().replace('"r": 4', '"r": 8'))
    odd = Artifact("tiny/odd", *store.put(folder))
    text = issues(1)[0]
    for own in ("none", adapters["tiny/0"]):
        versions = make(own)
        (before,) = versions.answer([Query(text, DEFAULT_TAXONOMY)])
        (after,) = versions.answer([Query(text, DEFAULT_TAXONOMY, (odd,))])
        assert "does not fit" in after.unusable["tiny/odd"]
        assert close(before.scores, after.scores)
        modules = dict(versions._started.scorer.model.named_modules())
        assert not any(f".v{odd.digest[:16]}" in name for name in modules)
