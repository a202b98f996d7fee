"""Migrations: they make what the tables say, can be undone, and may run twice at once."""

import subprocess
import sys

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import inspect, text

from app.core.errors import ConfigProblem
from app.db import learning, migrate  # noqa: F401 - its tables belong to the metadata
from app.db.session import Database
from app.db.tables import Base


def test_migrated_schema_is_what_the_tables_say(database):
    with database.engine.connect() as connection:
        context = MigrationContext.configure(
            connection, opts={"compare_type": True, "compare_server_default": True}
        )
        assert compare_metadata(context, Base.metadata) == []


def test_upgrade_reaches_head_and_again_changes_nothing(empty_url):
    assert migrate.upgrade(empty_url) == migrate.head()
    assert migrate.upgrade(empty_url) == migrate.head()


def test_downgrade_leaves_an_empty_database_that_can_be_upgraded_again(empty_url):
    migrate.upgrade(empty_url)
    assert migrate.downgrade(empty_url, "base") is None
    database = Database(empty_url)
    with database.engine.connect() as connection:
        assert inspect(connection).get_table_names() == ["alembic_version"]
    database.close()
    assert migrate.upgrade(empty_url) == migrate.head()


def test_processes_that_upgrade_at_the_same_time_all_succeed(empty_url):
    script = "import sys; from app.db.migrate import upgrade; print(upgrade(sys.argv[1]))"
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", script, empty_url],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for _ in range(3)
    ]
    ended = [(p.communicate(timeout=120), p.returncode) for p in processes]
    assert [(out.strip(), code) for (out, _), code in ended] == [(migrate.head(), 0)] * 3, ended


def test_sqlite_directory_is_made(tmp_path):
    migrate.upgrade(f"sqlite:///{tmp_path / 'new' / 'deep' / 'triora.db'}")
    assert (tmp_path / "new" / "deep" / "triora.db").exists()


def test_database_of_a_newer_version_is_a_clear_error(database_url):
    database = Database(database_url)
    with database.transaction() as session:
        session.execute(text("UPDATE alembic_version SET version_num = 'from_the_future'"))
    database.close()
    with pytest.raises(ConfigProblem, match="made by a newer Triora"):
        migrate.upgrade(database_url)


def test_unreachable_server_is_a_clear_error_without_the_password(tmp_path):
    with pytest.raises(ConfigProblem, match=r"does not answer.*TRIORA_DATABASE_URL") as error:
        migrate.upgrade("postgresql+psycopg://me:hunter2@127.0.0.1:1/nowhere")
    assert "hunter2" not in str(error.value)


def test_directory_that_cannot_be_made_is_a_clear_error(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigProblem, match="cannot be made"):
        migrate.upgrade(f"sqlite:///{tmp_path / 'file' / 'triora.db'}")


def test_failed_migration_leaves_the_database_as_it_was(empty_url, monkeypatch):
    # The last statement of the first migration fails: nothing of the others may stay.
    database = Database(empty_url)
    with database.transaction() as session:
        session.execute(text("CREATE TABLE decision (id INTEGER)"))
    with pytest.raises(Exception, match="already exists"):
        migrate.upgrade(empty_url)
    with database.engine.connect() as connection:
        assert inspect(connection).get_table_names() == ["decision"]
    database.close()
