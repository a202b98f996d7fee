"""The tables of work by the names an operator uses, and whose repository a row is about."""

from __future__ import annotations

from collections.abc import Mapping

from sqlalchemy import ColumnElement, Select, select
from sqlalchemy.orm import InstrumentedAttribute

from app.db.learning import Command, RepositoryConfig, Retraining, Review, Run
from app.db.tables import Application, IssueSnapshot
from app.db.work import Claimed

TABLES: Mapping[str, type[Claimed]] = {
    "issues": IssueSnapshot,
    "labels": Application,
    "reviews": Review,
    "commands": Command,
    "configs": RepositoryConfig,
    "runs": Run,
    "retrainings": Retraining,
}


def of_repositories(table: type[Claimed], repositories: int | Select[int]) -> ColumnElement[bool]:
    """The condition of a row about that repository, or about one of those that are chosen."""
    if issubclass(table, Application):
        home = IssueSnapshot.repository_id
        texts = select(IssueSnapshot.id).where(
            home == repositories if isinstance(repositories, int) else home.in_(repositories)
        )
        return table.snapshot_id.in_(texts)
    home = repository_column(table)
    return home == repositories if isinstance(repositories, int) else home.in_(repositories)


def repository_column(table: type[Claimed]) -> InstrumentedAttribute[int]:
    """The column that names a row's repository; an Application has none, its text does."""
    if issubclass(table, Application):
        return IssueSnapshot.repository_id
    column = "id" if issubclass(table, RepositoryConfig) else "repository_id"
    found: InstrumentedAttribute[int] = getattr(table, column)
    return found
