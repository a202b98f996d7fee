"""Bring a database to the newest schema; several processes may do so at the same time."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from alembic.util import CommandError
from sqlalchemy import Connection, text
from sqlalchemy.exc import DBAPIError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from app.core.errors import ConfigProblem
from app.db.session import Database, unreachable, unusable

# Any fixed number: the name of the advisory lock under which PostgreSQL is migrated.
_LOCK = 7_420_081_953
# A second process waits this long for the first one to migrate.
_WAIT_SECONDS = 60


def upgrade(url: str, revision: str = "head") -> str | None:
    """Run the migrations up to `revision` in one transaction; the revision reached.

    A SQLite file and its directory are made when missing. ConfigProblem when the database cannot
    be reached or was made by a newer version of Triora.
    """
    with _locked(url) as connection:
        command.upgrade(_config(connection), revision)
        return current(connection)


def downgrade(url: str, revision: str) -> str | None:
    """Undo migrations down to `revision` ("base": drop everything); the revision reached."""
    with _locked(url) as connection:
        command.downgrade(_config(connection), revision)
        return current(connection)


def current(connection: Connection) -> str | None:
    """The revision of the schema; None for a database that was never migrated."""
    return MigrationContext.configure(connection).get_current_revision()


def require_migrated(database: Database) -> str:
    """The revision of the schema. ConfigProblem unless it is the one this version needs."""
    path = Path(str(database.url.database))
    if database.is_sqlite and not path.exists():
        raise ConfigProblem(f"{path} does not exist yet: run `triora migrate` or `triora up`")
    database.check()
    with database.engine.connect() as connection:
        revision = current(connection)
    if revision != head():
        raise ConfigProblem(
            f"the database is at revision {revision}, this version needs {head()}: run "
            "`triora migrate`"
        )
    return head()


@cache
def head() -> str:
    """The revision this version of Triora needs."""
    revision = ScriptDirectory.from_config(_config()).get_current_head()
    if revision is None:
        raise ConfigProblem("this installation of Triora carries no migrations: install it again")
    return revision


def _config(connection: Connection | None = None) -> Config:
    config = Config()
    # configparser would read a percent sign in the path as interpolation.
    location = str(Path(__file__).with_name("migrations")).replace("%", "%%")
    config.set_main_option("script_location", location)
    config.set_main_option("path_separator", "os")
    config.attributes["connection"] = connection
    return config


@contextmanager
def _locked(url: str) -> Iterator[Connection]:
    """One transaction that no other migration can enter; all or nothing on both databases."""
    database = Database(url, wait_seconds=_WAIT_SECONDS)
    if database.is_sqlite:
        _make_directory(database)
    try:
        with database.transaction() as session:
            connection = session.connection()
            if not database.is_sqlite:
                connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _LOCK})
            yield connection
    except CommandError as error:
        raise ConfigProblem(
            f"the database cannot be migrated ({error}): was it made by a newer Triora?"
        ) from error
    except (OperationalError, PoolTimeout) as error:
        raise unreachable(database.url, error) from error
    except DBAPIError as error:
        problem = unusable(database.url, error)
        if problem is None:
            raise
        raise problem from error
    finally:
        database.close()


def _make_directory(database: Database) -> None:
    directory = Path(str(database.url.database)).parent
    try:
        directory.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ConfigProblem(
            f"the directory {directory} for the database cannot be made ({error.strerror}): "
            "set TRIORA_DATA_DIR or TRIORA_DATABASE_URL to a place you may write to"
        ) from error
