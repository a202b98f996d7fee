"""The outcomes of storms as lines for a person, and as the table for the README."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from tests.system.chaos.run import Outcome
from tests.system.chaos.verdict import Key

# The promises: see docs/chaos.md.
RECOVERY_SECONDS = 30.0
REPEATED_PER_POST = 1 / 1000
_NAMED = 5

COLUMNS = (
    *("arm", "storms", "issues", "accepted", "kills", "of the database", "stops", "lost"),
    *("repeated POSTs", "overridden", "crossed", "outdated", "dead", "recovery"),
)


def line(outcome: Outcome) -> str:
    """One storm as it ends."""
    count, order = outcome.count, outcome.order
    stops = sum(n for what, n in outcome.faults.items() if what.startswith("stop"))
    took = "never" if outcome.converged is None else f"{outcome.converged:.1f} s"
    return (
        f"{arm(outcome)} seed {order.seed}: {count.issues} issues, {count.accepted} accepted, "
        f"{sum(outcome.kills.values())} kills ({outcome.database_kills} of the database), "
        f"{stops} stops; lost {len(count.lost)}, never accepted {len(count.refused)}, "
        f"repeated POSTs {len(count.repeated)} of {count.posts}, "
        f"overridden {len(count.overridden)}, crossed {len(count.crossed)}, "
        f"outdated {len(count.outdated)}, dead {len(count.dead)}; "
        f"recovered after {took}, {outcome.seconds:.0f} s in all"
    )


def arm(outcome: Outcome) -> str:
    """What the storm was made against."""
    return "plain Celery" if outcome.order.control else f"Triora, {outcome.database}"


def broken(outcome: Outcome) -> list[str]:
    """The promises that one storm broke; none of the control arm's, which promises nothing."""
    if outcome.order.control:
        return []
    count = outcome.count
    found = [
        f"{what}: {_some(keys)}"
        for what, keys in (
            ("never accepted", count.refused),
            ("lost", count.lost),
            ("overridden", count.overridden),
            ("outdated", count.outdated),
        )
        if keys
    ]
    if count.repeated and not outcome.faults["stop past its lease"]:
        found.append(f"repeated though nothing was stopped past its lease: {_some(count.repeated)}")
    if outcome.converged is None or outcome.converged > RECOVERY_SECONDS:
        took = "not at all" if outcome.converged is None else f"after {outcome.converged:.1f} s"
        found.append(f"recovered {took}, not within {RECOVERY_SECONDS:.0f} s")
    return found


def too_many_repeated(outcomes: Sequence[Outcome]) -> str | None:
    """What to say when POSTs were repeated more often than promised, over all storms."""
    ours = [outcome for outcome in outcomes if not outcome.order.control]
    repeated = sum(len(outcome.count.repeated) for outcome in ours)
    posts = sum(outcome.count.posts for outcome in ours)
    if repeated <= posts * REPEATED_PER_POST:
        return None
    return f"{repeated} of {posts} POSTs were repeated, more than 1 in 1,000"


def harmless(outcomes: Sequence[Outcome]) -> str | None:
    """What to say when the control arm lost nothing: then a zero of ours says nothing."""
    control = [outcome for outcome in outcomes if outcome.order.control]
    if not control or any(outcome.count.lost for outcome in control):
        return None
    return "the control arm lost nothing: these storms are too weak to show anything"


def table(outcomes: Sequence[Outcome]) -> Iterator[str]:
    """The table in Markdown: one row for each arm."""
    yield f"| {' | '.join(COLUMNS)} |"
    yield f"|{'---|' * len(COLUMNS)}"
    for name in dict.fromkeys(arm(outcome) for outcome in outcomes):
        cells = _row([outcome for outcome in outcomes if arm(outcome) == name])
        yield f"| {name} | {' | '.join(cells)} |"


def _row(outcomes: Sequence[Outcome]) -> Iterator[str]:
    counts = [outcome.count for outcome in outcomes]
    issues = sum(count.issues for count in counts)
    accepted = sum(count.accepted for count in counts)
    posts = sum(count.posts for count in counts)
    stops = sum(n for one in outcomes for what, n in one.faults.items() if what.startswith("stop"))
    yield str(len(outcomes))
    yield f"{issues:,}"
    yield f"{accepted:,}"
    yield str(sum(sum(outcome.kills.values()) for outcome in outcomes))
    yield str(sum(outcome.database_kills for outcome in outcomes))
    yield str(stops)
    yield str(sum(len(count.lost) for count in counts))
    yield f"{sum(len(count.repeated) for count in counts)} of {posts:,}"
    yield str(sum(len(count.overridden) for count in counts))
    yield str(sum(len(count.crossed) for count in counts))
    yield str(sum(len(count.outdated) for count in counts))
    yield str(sum(len(count.dead) for count in counts))
    yield _recovery(outcomes)


def _recovery(outcomes: Sequence[Outcome]) -> str:
    took = sorted(outcome.converged for outcome in outcomes if outcome.converged is not None)
    if len(took) < len(outcomes):
        return f"never in {len(outcomes) - len(took)}"
    return f"{took[len(took) // 2]:.0f} s, at most {took[-1]:.0f} s"


def _some(keys: Sequence[Key]) -> str:
    named = ", ".join(f"{owner}#{number}" for owner, number in keys[:_NAMED])
    return named + (f" and {len(keys) - _NAMED} more" if len(keys) > _NAMED else "")
