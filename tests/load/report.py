"""The table, and which goals were missed by how much."""

from __future__ import annotations

from collections.abc import Sequence

from tests.load.stages import Measured

P99_SECONDS = 0.05
# What an allocator may keep: over 100,000 deliveries a leak of 150 bytes each would show.
GROWTH_MB = 15.0
# A sender that falls behind so far measures itself.
LATE_SECONDS = 0.01


def table(found: Sequence[Measured]) -> str:
    """Markdown, one line a receiver and database."""
    lines = [
        "| receiver | database | requests/s | p50 at half | p99 at half | memory "
        "| growth over the soak | at twice the rate: taken, put off | lost |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    for one in found:
        good = sum(n for status, n in one.overload.items() if 200 <= status < 300)
        bad = sum(one.overload.values()) - good
        memory = f"{max(one.memory):.0f} MB" if one.memory else "-"
        growth = f"{one.growth:+.1f} MB ({one.delivered:,})" if one.memory else "-"
        lines.append(
            f"| {one.name} | {one.database} | {one.saturation:,.0f} | {1000 * one.p50:.1f} ms "
            f"| {1000 * one.p99:.1f} ms | {memory} | {growth} | {good:,}, {bad:,} | {one.lost} |"
        )
    return "\n".join(lines)


def missed(found: Sequence[Measured]) -> list[str]:
    """One line for each goal that Triora missed; those against Probot where that was measured."""
    said = []
    rivals = {one.database: one for one in found if one.name != "Triora"}
    for one in found:
        if one.name != "Triora":
            continue
        rival = rivals.get(one.database)
        if rival is not None and one.saturation <= rival.saturation:
            said.append(
                f"{one.database}: {one.saturation:.0f} requests/s, {rival.name} takes "
                f"{rival.saturation:.0f}: {rival.saturation - one.saturation:.0f} too few"
            )
        if one.p99 >= P99_SECONDS:
            over = 1000 * (one.p99 - P99_SECONDS)
            said.append(f"{one.database}: p99 at half load {over:.1f} ms over 50 ms")
        if one.memory and one.growth > GROWTH_MB:
            said.append(f"{one.database}: memory grew by {one.growth:.1f} MB, over {GROWTH_MB:.0f}")
        if one.broken_word:
            said.append(f"{one.database}: {one.broken_word} answered with 2xx and not stored")
        if one.lost:
            said.append(f"{one.database}: {one.lost} lost after redelivery")
        if one.late > LATE_SECONDS:
            said.append(
                f"{one.database}: the sender was {1000 * one.late:.1f} ms behind its own plan "
                "(p99): this machine was too busy to measure on"
            )
    return said
