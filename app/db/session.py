"""One way to the database: an engine with safe pragmas, and the only commit in the house."""

from __future__ import annotations

import random
import sqlite3
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from sqlalchemy import URL, Connection, Engine, create_engine, event, make_url, text
from sqlalchemy.exc import ArgumentError, DBAPIError, NoSuchModuleError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.orm import Session

from app.core.errors import ConfigProblem

# How long a writer waits for another one, in seconds.
BUSY_SECONDS = 5
# Without USER:PASSWORD@, which is blanked wherever it is printed.
_EXAMPLES = (
    "write sqlite:////path/triora.db or postgresql+psycopg://USER@HOST:PORT/NAME (the password "
    "after the user and a colon, or in ~/.pgpass)"
)
_WRITES = "triora_writes"
# Between two looks at a write lock that another process holds.
_LOOK_SECONDS = (0.001, 0.004)
# SQLSTATE of PostgreSQL: a privilege, a table, a column.
_INSUFFICIENT_PRIVILEGE = "42501"
_UNDEFINED = ("42P01", "42703")


class Database:
    """An engine on SQLite (a file) or PostgreSQL (psycopg 3). Connects to nothing yet.

    A writer waits up to `wait_seconds` for its turn (SQLite) or for a connection (PostgreSQL).
    Raises ConfigProblem for a URL that is not one of the two.
    """

    def __init__(self, url: str, wait_seconds: int = BUSY_SECONDS) -> None:
        self.url = parse(url)
        self.is_sqlite = self.url.get_backend_name() == "sqlite"
        make = _sqlite_engine if self.is_sqlite else _postgres_engine
        self.engine = make(self.url, wait_seconds)
        self._writing = self.engine.execution_options(**{_WRITES: True})
        # SQLite has one writer. Threads of one process queue here and are woken at once; in
        # SQLite's own busy handler they would sleep for up to 100 ms at a time.
        self._turn = threading.Lock() if self.is_sqlite else None

    @contextmanager
    def transaction(self) -> Iterator[Session]:
        """A session that commits at the end and rolls back on an error; rows stay readable after.

        On SQLite it takes the write lock with its first statement, so a read in it is never stale.
        Do not nest. Raises SQLAlchemy's DBAPIError or TimeoutError when the database does not
        answer.
        """
        with (
            self._my_turn(),
            Session(self._writing, expire_on_commit=False) as session,
            session.begin(),
        ):
            yield session

    @contextmanager
    def reading(self) -> Iterator[Session]:
        """A session that sees one state of the database and keeps no writer waiting."""
        with Session(self.engine, expire_on_commit=False) as session:
            yield session

    @contextmanager
    def _my_turn(self) -> Iterator[None]:
        if self._turn is None:
            yield
            return
        if not self._turn.acquire(timeout=BUSY_SECONDS):
            raise PoolTimeout(f"another writer kept the database for over {BUSY_SECONDS} s")
        try:
            yield
        finally:
            self._turn.release()

    def check(self) -> None:
        """Connect once. ConfigProblem says what to do when the database does not answer."""
        try:
            with self.engine.connect() as connection:
                connection.execute(text("SELECT 1"))
        except DBAPIError as error:
            raise unusable(self.url, error) or unreachable(self.url, error) from error
        except PoolTimeout as error:
            raise unreachable(self.url, error) from error

    def close(self) -> None:
        """Close every pooled connection."""
        self.engine.dispose()


def parse(url: str) -> URL:
    """The SQLAlchemy URL of a setting; plain postgresql:// means psycopg 3."""
    try:
        parsed = make_url(url)
    except ArgumentError as error:
        raise ConfigProblem(f"TRIORA_DATABASE_URL is not a database URL: {_EXAMPLES}") from error
    except ValueError:
        # Its text quotes what stands after the last colon, which may be of the password.
        raise ConfigProblem(
            "TRIORA_DATABASE_URL: the port is not a number (in a password write %40 for @, %3A "
            f"for : and %2F for /): {_EXAMPLES}"
        ) from None
    if parsed.drivername in ("postgres", "postgresql"):
        parsed = parsed.set(drivername="postgresql+psycopg")
    if parsed.drivername not in ("sqlite", "sqlite+pysqlite", "postgresql+psycopg"):
        raise ConfigProblem(
            f"TRIORA_DATABASE_URL: {parsed.drivername} is not supported: {_EXAMPLES}"
        )
    if parsed.get_backend_name() == "sqlite" and parsed.database in (None, "", ":memory:"):
        raise ConfigProblem(f"TRIORA_DATABASE_URL: SQLite needs a file: {_EXAMPLES}")
    return parsed


def unreachable(url: URL, error: Exception) -> ConfigProblem:
    """What to tell the operator; the first line of the driver's words, and never the password."""
    said = str(getattr(error, "orig", None) or error).strip().partition("\n")[0]
    where = url.render_as_string(hide_password=True)
    return ConfigProblem(
        f"the database {where} does not answer ({said}): "
        "is it running, and is TRIORA_DATABASE_URL right?"
    )


def unusable(url: URL, error: DBAPIError) -> ConfigProblem | None:
    """What to tell the operator of a database that answers and cannot be used; None if it can."""
    where = url.render_as_string(hide_password=True)
    if getattr(error.orig, "sqlite_errorname", None) == "SQLITE_NOTADB":
        return ConfigProblem(
            f"{url.database} is not a SQLite database: move that file away, or set TRIORA_DATA_DIR "
            "or TRIORA_DATABASE_URL to another place"
        )
    if getattr(error.orig, "sqlstate", None) == _INSUFFICIENT_PRIVILEGE:
        said = str(error.orig).strip().partition("\n")[0]
        return ConfigProblem(
            f"the role of {where} may not do this ({said}): make it the owner of the database, or "
            "GRANT CREATE, USAGE ON SCHEMA public to it"
        )
    return None


def is_unmigrated(error: Exception) -> bool:
    """True if a statement asked for a table or column that this database does not have."""
    said = getattr(error, "orig", None)
    if isinstance(said, sqlite3.OperationalError):
        return str(said).startswith(("no such table", "no such column"))
    return getattr(said, "sqlstate", None) in _UNDEFINED


def _sqlite_engine(url: URL, wait_seconds: int) -> Engine:
    # `timeout` is SQLite's busy_timeout; it holds for the pragmas below as well.
    engine = _create(url, connect_args={"timeout": wait_seconds})
    event.listen(engine, "connect", _set_pragmas)
    event.listen(engine, "begin", lambda connection: _begin(connection, wait_seconds))
    return engine


def _postgres_engine(url: URL, wait_seconds: int) -> Engine:
    return _create(
        url,
        connect_args={"connect_timeout": BUSY_SECONDS},
        pool_pre_ping=True,
        pool_size=8,
        max_overflow=4,
        pool_timeout=wait_seconds,
    )


def _create(url: URL, **options: Any) -> Engine:
    try:
        return create_engine(url, **options)
    except (ArgumentError, NoSuchModuleError, ImportError, TypeError, ValueError) as error:
        raise ConfigProblem(f"TRIORA_DATABASE_URL: {error}; {_EXAMPLES}") from error


def _set_pragmas(connection: Any, _record: object) -> None:
    # sqlite3 would begin transactions by itself, too late and only for some statements.
    connection.isolation_level = None
    for pragma in (
        "journal_mode = WAL",
        "synchronous = FULL",
        "foreign_keys = ON",
    ):
        connection.execute(f"PRAGMA {pragma}").close()


def _begin(connection: Connection, wait_seconds: int) -> None:
    if not connection.get_execution_options().get(_WRITES):
        connection.exec_driver_sql("BEGIN")
        return
    # Waited for here and not in SQLite's busy handler, which soon sleeps 100 ms at a time: where
    # several processes write, the one that waits longest would then come last, or not at all.
    deadline = time.monotonic() + wait_seconds
    connection.exec_driver_sql("PRAGMA busy_timeout = 0").close()
    try:
        while not _took_the_lock(connection, last=time.monotonic() > deadline):
            time.sleep(random.uniform(*_LOOK_SECONDS))  # noqa: S311 - no secret
    finally:
        connection.exec_driver_sql(f"PRAGMA busy_timeout = {1000 * wait_seconds}").close()


def _took_the_lock(connection: Connection, *, last: bool) -> bool:
    """True once a write transaction has begun. The `last` try raises instead of being False."""
    try:
        # A deferred BEGIN that reads first and writes later fails when somebody wrote between.
        connection.exec_driver_sql("BEGIN IMMEDIATE")
    except OperationalError as error:
        code = getattr(error.orig, "sqlite_errorcode", 0)
        if last or code & 0xFF != sqlite3.SQLITE_BUSY:
            raise
        return False
    return True
