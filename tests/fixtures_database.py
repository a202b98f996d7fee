"""Databases for tests: SQLite and a real PostgreSQL, each test with one of its own."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from uuid import uuid4

import psycopg
import pytest
from psycopg import sql
from sqlalchemy import make_url

from app.db.migrate import upgrade
from app.db.session import Database
from tests.postgres_server import postgres_server

BACKENDS = ("sqlite", "postgresql")


@pytest.fixture(scope="session")
def postgres() -> Iterator[str]:
    """URL of a running PostgreSQL server (its `postgres` database), one for all tests."""
    with postgres_server() as url:
        yield url


@pytest.fixture(scope="session")
def migrated(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory):
    """backend -> what a migrated database is copied from; each is migrated once a session."""
    made: dict[str, str] = {}

    def template(backend: str) -> str:
        if backend not in made:
            if backend == "sqlite":
                path = tmp_path_factory.mktemp("template") / "triora.db"
                upgrade(f"sqlite:///{path}")
                made[backend] = str(path)
            else:
                server = request.getfixturevalue("postgres")
                made[backend] = _create_database(server, "template0", "migrated")
                upgrade(_named(server, "migrated"))
        return made[backend]

    return template


@pytest.fixture(params=BACKENDS)
def backend(request: pytest.FixtureRequest) -> str:
    """Each database in turn: a test that asks for `database` runs on both."""
    return str(request.param)


@pytest.fixture
def empty_url(backend: str, request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """URL of a database nobody migrated."""
    if backend == "sqlite":
        yield f"sqlite:///{tmp_path / 'triora.db'}"
        return
    server = request.getfixturevalue("postgres")
    name = _create_database(server, "template0")
    yield _named(server, name)
    _drop_database(server, name)


@pytest.fixture
def database_url(
    backend: str,
    migrated: Callable[[str], str],
    request: pytest.FixtureRequest,
    tmp_path: Path,
) -> Iterator[str]:
    """URL of a migrated, empty database on SQLite and on PostgreSQL."""
    template = migrated(backend)
    if backend == "sqlite":
        shutil.copy(template, tmp_path / "triora.db")
        yield f"sqlite:///{tmp_path / 'triora.db'}"
        return
    server = request.getfixturevalue("postgres")
    name = _create_database(server, template)
    yield _named(server, name)
    _drop_database(server, name)


@pytest.fixture
def database(database_url: str) -> Iterator[Database]:
    """A migrated, empty database on SQLite and on PostgreSQL."""
    opened = Database(database_url)
    yield opened
    opened.close()


@pytest.fixture
def sqlite_url(migrated: Callable[[str], str], tmp_path: Path) -> str:
    """URL of a migrated SQLite file, for tests whose behaviour is the same on every database."""
    return f"sqlite:///{shutil.copy(migrated('sqlite'), tmp_path / 'triora.db')}"


@pytest.fixture
def sqlite_database(sqlite_url: str) -> Iterator[Database]:
    """A migrated SQLite database, for tests whose behaviour is the same on every database."""
    opened = Database(sqlite_url)
    yield opened
    opened.close()


def _named(server: str, name: str) -> str:
    return make_url(server).set(database=name).render_as_string(hide_password=False)


def _create_database(server: str, template: str, name: str | None = None) -> str:
    name = name or f"test_{uuid4().hex}"
    statement = sql.SQL("CREATE DATABASE {} TEMPLATE {} STRATEGY FILE_COPY")
    _run(server, statement.format(sql.Identifier(name), sql.Identifier(template)))
    return name


def _drop_database(server: str, name: str) -> None:
    _run(server, sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name)))


def _run(server: str, statement: sql.Composed) -> None:
    url = make_url(server)
    with closing(
        psycopg.connect(host=str(url.query["host"]), user=url.username, dbname="postgres")
    ) as connection:
        connection.autocommit = True
        connection.execute(statement)
