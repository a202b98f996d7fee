"""`triora models prune`: delete adapters from the model store that nobody will ask for again."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from worker.version_access import opened

if TYPE_CHECKING:
    from app.db.learning import ModelVersion
    from worker.model.store import ModelStore

DAYS = 30.0
MEGABYTE = 1e6


def prune(
    days: Annotated[
        float, typer.Option(min=0, help="Only what last changed at least so many days ago.")
    ] = DAYS,
    yes: Annotated[bool, typer.Option("--yes", help="Delete them; without it they are listed.")] = (
        False
    ),
) -> None:
    """Delete the adapters of versions that are out of service from the model store.

    Never that of an active version, nor the one that a rollback goes back to. What the database
    says of a version stays; `triora models add` brings an adapter back.
    """
    from app.db import models  # noqa: PLC0415 (imports SQLAlchemy)
    from worker.model.store import ModelStore  # noqa: PLC0415 (imports NumPy)

    with opened() as (settings, session):
        rows = models.prunable(session, days)
        store = ModelStore(settings.model_store_url, settings.model_cache)
        sizes = {row.version: store.size(row.digest) for row in rows}
        for row in rows:
            typer.echo(_say(row, models.scope_name(session, row), sizes[row.version]))
    total = f"{len(rows)} adapters, {sum(sizes.values()) / MEGABYTE:.1f} MB"
    if not yes:
        typer.echo(f"{total}; add --yes to delete them" if rows else "nothing to delete")
        return
    for row in rows:
        _delete(store, row.version, days)
    typer.echo(f"deleted: {total}")


def _delete(store: ModelStore, version: str, days: float) -> None:
    """In one transaction each: what somebody promoted meanwhile stays."""
    from app.db import models  # noqa: PLC0415
    from app.db.clock import from_now  # noqa: PLC0415

    with opened(write=True) as (_, session):
        row = models.find(session, version)
        models.lock(session, row.repository_id)
        if row in models.prunable(session, days):
            # Should it end in between, the next one finds nothing to delete, and notes that.
            store.delete(row.digest)
            row.pruned_at = from_now()


def _say(row: ModelVersion, place: str, size: int) -> str:
    since = row.retired_at or row.activated_at or row.created_at
    head = f"{row.state!s:<9}  {row.version:<34}  {place:<24}  {since:%Y-%m-%d}"
    return f"{head}  {size / MEGABYTE:.1f} MB"
