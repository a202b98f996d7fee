"""A repository with a history: reports filed over a year, labelled as maintainers do."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any

from deploy.sandbox.remote import Remote

YEAR = timedelta(days=360)

# What the labels of a report are called in this repository; several names may mean one answer.
NAMES: Mapping[str, Mapping[str, Sequence[str]]] = {
    "kind": {"bug": ["bug"], "feature": ["enhancement"], "question": ["question"]},
    "severity": {
        "critical": ["crash"],
        "high": ["high priority"],
        "medium": ["medium priority"],
        "low": ["low priority"],
    },
    "component": {
        "ui": ["topic:gui", "topic:editor"],
        "graphics": ["topic:rendering", "topic:shaders"],
        "audio": ["topic:audio"],
        "network": ["topic:network"],
        "save": ["topic:import"],
        "performance": ["topic:performance"],
        "other": ["topic:core", "topic:physics"],
    },
}
DESCRIPTIONS = {
    "crash": "The program ends or hangs",
    "topic:gui": "Menus, windows and dialogs",
    "needs testing": "Somebody has to try it",
}
PLATFORMS = ("windows", "linux", "macos", "android")


def names_of(labels: Mapping[str, str], text: str, chance: random.Random) -> list[str]:
    """GitHub labels for a report: its answers, a platform it names, and what is done about it."""
    found = [
        chance.choice(NAMES[dimension][answer])
        for dimension, answer in labels.items()
        if answer in NAMES.get(dimension, {})
    ]
    found += [f"platform:{p}" for p in PLATFORMS if p in text.casefold()][:1]
    # These depend on nothing that stands in the text.
    found += [name for name in ("confirmed", "needs testing") if chance.random() < 0.3]
    return found


def seed(
    github: Remote,
    repository: str,
    reports: Sequence[Mapping[str, Any]],
    *,
    over: timedelta = YEAR,
    wrong: float = 0.0,
    roll: int = 0,
) -> list[int]:
    """Open and label `reports` in their order, spread over the time before now.

    A share `wrong` gets a component that is not its own; returns the numbers of those issues.
    """
    chance = random.Random(roll)
    for name, text in DESCRIPTIONS.items():
        github.rest(
            "POST",
            f"/repos/{repository}/labels",
            json={"name": name, "color": "d73a4a", "description": text},
        )
    spoiled = []
    for place, report in enumerate(reports):
        github.skew(-over.total_seconds() * (1 - (place + 1) / len(reports)))
        labels = dict(report["labels"])
        spoil = "component" in labels and chance.random() < wrong
        if spoil:
            others = [c for c in ("ui", "graphics", "network") if c != labels["component"]]
            labels["component"] = chance.choice(others)
        text = f"{report['title']} {report['body']}"
        opened = github.open_issue(report["title"], report["body"], repository=repository)
        github.label(opened["number"], *names_of(labels, text, chance), repository=repository)
        if spoil:
            spoiled.append(opened["number"])
    github.skew(0)
    return spoiled
