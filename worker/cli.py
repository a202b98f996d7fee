"""The worker's part of the `triora` command."""

from __future__ import annotations

import typer

from worker import classify, run, run_commands, version_commands


def register(cli: typer.Typer) -> None:
    """Add the worker's commands; called through the entry-point group `triora.commands`."""
    classify.register(cli)
    run.register(cli)
    run_commands.register(cli)
    version_commands.register(cli)
