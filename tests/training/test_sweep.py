"""A sweep: every combination once, gone on with where it stopped."""

from __future__ import annotations

from dataclasses import replace

import pytest

from app.core.errors import ConfigProblem
from tests.training.test_finetune import base, data, examples  # noqa: F401 - fixtures
from training import sweep as sweeping
from training.dataset import write
from training.sweep import EVALUATED, grid, sweep
from training.train import Run


def test_a_grid_has_every_combination_and_seeds_share_a_name():
    variants = list(grid({"lora.rank": [4, 8]}, [100, None], [1, 2]))

    assert [(v.name, v.seed) for v in variants] == [
        ("rank=4 rows=100", 1),
        ("rank=4 rows=100", 2),
        ("rank=4", 1),
        ("rank=4", 2),
        ("rank=8 rows=100", 1),
        ("rank=8 rows=100", 2),
        ("rank=8", 1),
        ("rank=8", 2),
    ]
    assert len({v.folder for v in variants}) == len(variants)


def test_a_setting_that_all_share_is_no_part_of_a_name():
    (one, other) = grid({"base": ["/models/tiny"], "lora.rank": [4, 8]}, [None], [1])

    assert (one.name, other.name) == ("rank=4", "rank=8")
    assert one.changes["base"] == "/models/tiny"


def test_a_sweep_trains_compares_and_never_trains_a_finished_variant_again(
    base,  # noqa: F811 - pytest's way to ask for a fixture
    data,  # noqa: F811
    tmp_path,
    monkeypatch,
):
    test = tmp_path / "test.jsonl"
    write(test, [e.model_copy(update={"id": f"t{e.id}"}) for e in examples(96)[64:]])
    run = Run([data], tmp_path / "out", tmp_path, (test,), leaks="keep", device="cpu")
    run = replace(run, report_to=["none"])
    variants = list(
        grid({"base": [str(base)], "optimiser.epochs": [0.5], "lora.rank": [2, 4]}, [None], [1])
    )

    comparison, evaluations = sweep(run, "tiny", variants, test, 100)

    names = {standing.name for standing in comparison.standings}
    assert {v.name for v in variants} <= names
    assert len(evaluations) == len(variants) + 3
    assert all((run.folder / v.folder / EVALUATED).is_dir() for v in variants)

    def fail(*_):
        pytest.fail("a finished variant was trained again")

    monkeypatch.setattr(sweeping, "train", fail)
    again, _ = sweep(run, "tiny", variants, test, 100)
    assert again.standings == comparison.standings

    (pair,) = [c for c in comparison.between if c.scope == "bugs"]
    assert {pair.name, pair.reference} == {v.name for v in variants}
    other = [replace(v, changes={**v.changes, "optimiser.epochs": 2}) for v in variants]
    with pytest.raises(ConfigProblem, match=r"other settings \(optimiser\)"):
        sweep(run, "tiny", other, test, 100)
