"""The training part of the `triora` command. Heavy imports wait inside the commands."""

from __future__ import annotations

import typer

from training.commands import collect, curve, dataset, evaluate, preview, retrain, sweep, train


def register(cli: typer.Typer) -> None:
    """Add the training commands; called through the entry-point group `triora.commands`."""
    for module in (collect, preview, dataset, train, evaluate, sweep, curve, retrain):
        module.register(cli)
