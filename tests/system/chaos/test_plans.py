"""A seed names a storm and its faults: the same ones again, with enough of everything in them."""

from __future__ import annotations

from collections import Counter

from tests.system.chaos import faults, storm
from tests.system.chaos.faults import KILLED


def test_a_seed_gives_the_same_storm_again_and_another_one_another() -> None:
    made = storm.plan(7, 200, 20.0, 4)
    assert made == storm.plan(7, 200, 20.0, 4)
    assert made != storm.plan(8, 200, 20.0, 4)


def test_a_storm_has_every_kind_of_deed_and_each_issue_is_opened_before_all_else() -> None:
    deeds = storm.plan(1, 1000, 60.0, 4)
    kinds = Counter(deed.kind for deed in deeds)
    assert kinds[storm.Kind.OPEN] + kinds[storm.Kind.TEMPLATE] == 1000
    assert min(kinds[kind] for kind in storm.Kind) >= 15
    opened: set[int] = set()
    for deed in deeds:
        if deed.kind in (storm.Kind.OPEN, storm.Kind.TEMPLATE):
            opened.add(deed.issue)
        assert deed.issue in opened


def test_ten_seeds_on_both_databases_kill_two_hundred_times_and_the_database_forty_times() -> None:
    plans = [
        faults.plan(seed, 60.0, lease=10.0, postgres=postgres)
        for seed in range(1, 11)
        for postgres in (False, True)
    ]
    kills = Counter(fault.what for plan in plans for fault in plan if "kill" in fault.what)
    assert kills.total() >= 200
    assert kills["kill the database"] + kills["kill a backend"] >= 40
    assert all({f.part for f in plan if f.what == "kill"} == set(KILLED) for plan in plans)


def test_every_plan_stops_a_process_past_its_lease_and_ends_with_the_storm() -> None:
    for seed in range(1, 11):
        plan = faults.plan(seed, 60.0, lease=10.0, postgres=True)
        long = [fault for fault in plan if fault.what == "stop past its lease"]
        assert [fault.seconds > 10.0 for fault in long] == [True]
        assert all(fault.at <= 60.0 for fault in plan)
