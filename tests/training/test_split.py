from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.core.errors import BadRequest, ConfigProblem
from tests.training.rows import WORDS, distinct, example, filed
from training.example import Example
from training.guard import find_leaks
from training.split import By, folds, split

SHARES = {"train": 0.6, "val": 0.2, "test": 0.2}


@st.composite
def reports(draw: st.DrawFn) -> list[Example]:
    """Reports with copies, near-copies, groups and times among them."""
    texts = draw(
        st.lists(st.lists(st.sampled_from(WORDS), min_size=6, max_size=12), min_size=3, max_size=14)
    )
    rows = []
    for number in range(draw(st.integers(6, 24))):
        text = list(draw(st.sampled_from(texts)))
        if draw(st.booleans()):
            text[draw(st.integers(0, len(text) - 1))] = draw(st.sampled_from(WORDS))
        rows.append(
            example(
                f"r#{number}",
                title=text[0],
                body=" ".join(text),
                repository=draw(st.sampled_from(["a/b", "c/d"])),
                group=draw(st.sampled_from([None, "g", "h", "i"])),
                filed_at=filed(draw(st.integers(0, 30))),
                labels={"severity": draw(st.sampled_from(["low", "high"]))},
            )
        )
    return rows


def sides(parts: dict[str, list[Example]]) -> dict[str, str]:
    return {e.id: name for name, part in parts.items() for e in part}


@settings(max_examples=60, deadline=None)
@given(rows=reports(), by=st.sampled_from(By), seed=st.integers(0, 5))
def test_every_report_is_on_one_side_and_no_near_duplicate_across(
    rows: list[Example], by: By, seed: int
) -> None:
    parts = split(rows, SHARES, by=by, seed=seed)
    assert sorted(e.id for part in parts.values() for e in part) == sorted(e.id for e in rows)
    names = list(parts)
    for i, one in enumerate(names):
        for other in names[i + 1 :]:
            assert not find_leaks(parts[one], parts[other])


@settings(max_examples=40, deadline=None)
@given(rows=reports(), by=st.sampled_from(By), seed=st.integers(0, 5))
def test_the_same_seed_gives_the_same_parts(rows: list[Example], by: By, seed: int) -> None:
    assert split(rows, SHARES, by=by, seed=seed) == split(rows, SHARES, by=by, seed=seed)


@settings(max_examples=40, deadline=None)
@given(rows=reports(), seed=st.integers(0, 5))
def test_a_group_stays_together(rows: list[Example], seed: int) -> None:
    found = sides(split(rows, SHARES, by=By.GROUP, seed=seed))
    for group in {e.group or e.repository for e in rows}:
        assert len({found[e.id] for e in rows if (e.group or e.repository) == group}) == 1


@settings(max_examples=40, deadline=None)
@given(rows=reports())
def test_by_time_nothing_in_training_is_newer_than_a_later_cluster(rows: list[Example]) -> None:
    parts = split(rows, SHARES, by=By.TIME)
    newest = [
        max((e.filed_at for e in part if e.filed_at), default=None) for part in parts.values()
    ]
    known = [time for time in newest if time is not None]
    assert known == sorted(known)
    assert len(set(known)) == len(known)


def test_by_time_distinct_reports_are_cut_at_the_shares() -> None:
    rows = [e.model_copy(update={"filed_at": filed(i)}) for i, e in enumerate(distinct(20))]
    parts = split(rows[::-1], SHARES, by=By.TIME)
    assert {name: len(part) for name, part in parts.items()} == {"train": 12, "val": 4, "test": 4}
    assert max(e.filed_at for e in parts["train"]) < min(e.filed_at for e in parts["val"])  # type: ignore[type-var]


def test_other_seeds_give_other_parts() -> None:
    rows = distinct(40, labels={"severity": "low"})
    assert sides(split(rows, SHARES, seed=1)) != sides(split(rows, SHARES, seed=2))


def labelled(rows: Sequence[Example]) -> list[Example]:
    severities = ["medium"] * 6 + ["low"] * 3 + ["critical"]
    return [
        e.model_copy(
            update={
                "labels": example(
                    labels={
                        "severity": severities[i % 10],
                        "component": "audio" if i % 20 == 0 else "ui",
                    }
                ).labels
            }
        )
        for i, e in enumerate(rows)
    ]


def test_label_shares_are_alike_on_all_sides_rare_ones_too() -> None:
    parts = split(labelled(distinct(200)), SHARES, seed=3)
    audio = {
        name: sum(e.label("component") == "audio" for e in part) for name, part in parts.items()
    }
    assert audio == {"train": 6, "val": 2, "test": 2}
    for name, part in parts.items():
        counts = Counter(e.label("severity") for e in part)
        assert abs(counts["critical"] / len(part) - 0.1) < 0.02, (name, counts)
        assert abs(len(part) - SHARES[name] * 200) <= 2


def test_a_large_cluster_goes_to_the_largest_part() -> None:
    crash = "the very same crash report again and again with all the same words in it"
    rows = [example(f"c#{i}", title=f"crash {i}", body=crash) for i in range(30)]
    parts = split([*distinct(70), *rows], SHARES, seed=0)
    assert {e.id for e in rows} <= {e.id for e in parts["train"]}


def test_each_report_is_held_out_in_one_fold_and_training_in_the_others() -> None:
    rows = labelled(distinct(50))
    pairs = folds(rows, 5, seed=1)
    assert sorted(e.id for _, held in pairs for e in held) == sorted(e.id for e in rows)
    for train, held in pairs:
        assert {e.id for e in train}.isdisjoint(e.id for e in held)
        assert len(train) + len(held) == 50


@pytest.mark.parametrize("shares", [{"a": 1.0}, {"a": 0.5, "b": 0.4}, {"a": 1.2, "b": -0.2}])
def test_shares_that_make_no_split_are_refused(shares: dict[str, float]) -> None:
    with pytest.raises(ConfigProblem):
        split(distinct(4), shares)


def test_a_split_by_time_names_a_report_without_one() -> None:
    with pytest.raises(BadRequest, match="4 rows have none, the first is 'x#0'"):
        split(distinct(4), SHARES, by=By.TIME)


def test_no_folds_are_refused() -> None:
    with pytest.raises(ConfigProblem):
        folds(distinct(4), 1)
