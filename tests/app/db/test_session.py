"""The session: safe pragmas, one commit, and problems a person can act on."""

import contextlib
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import psycopg
import pytest
from sqlalchemy import func, insert, make_url, select, text

from app.core.errors import ConfigProblem
from app.core.settings import Settings
from app.db.clock import from_now
from app.db.migrate import upgrade
from app.db.session import Database
from app.db.tables import Installation
from app.logs import blank


def _add(session, number):
    session.execute(insert(Installation).values(id=number, account="octo", created_at=from_now()))


def _count(database):
    with database.reading() as session:
        return session.scalar(select(func.count()).select_from(Installation))


def test_transaction_commits_at_the_end(database):
    with database.transaction() as session:
        _add(session, 1)
    assert _count(database) == 1


def test_transaction_rolls_back_on_an_error(database):
    def add_and_stop():
        with database.transaction() as session:
            _add(session, 1)
            raise RuntimeError("stop")

    with pytest.raises(RuntimeError, match="stop"):
        add_and_stop()
    assert _count(database) == 0


def test_rows_stay_readable_after_the_transaction(database):
    with database.transaction() as session:
        row = Installation(id=1, account="octo", created_at=session.scalar(select(from_now())))
        session.add(row)
    assert row.account == "octo"


def test_a_read_is_not_disturbed_by_a_writer(database):
    with database.reading() as reader:
        before = reader.scalar(select(func.count()).select_from(Installation))
        with database.transaction() as session:
            _add(session, 1)
    assert before == 0
    assert _count(database) == 1


def test_threads_that_read_then_write_never_fail_or_lose_a_count(database):
    with database.transaction() as session:
        session.execute(text("CREATE TABLE tally (n INTEGER)"))
        session.execute(text("INSERT INTO tally VALUES (0)"))
    lock = "" if database.is_sqlite else " FOR UPDATE"

    def count_up(_):
        for _ in range(10):
            with database.transaction() as session:
                n = session.scalar(text(f"SELECT n FROM tally{lock}"))
                session.execute(text("UPDATE tally SET n = :n"), {"n": n + 1})

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(count_up, range(4)))
    with database.reading() as session:
        assert session.scalar(text("SELECT n FROM tally")) == 40


_WRITES_ON_AND_ON = """
import sys, time
from sqlalchemy import text
from app.db.session import Database
database = Database(sys.argv[1])
print("ready", flush=True)
while True:
    with database.transaction() as session:
        session.execute(text("UPDATE tally SET n = n + 1"))
        # Longer than the gap between two of them, so that others meet it almost always.
        time.sleep(0.004)
"""


def test_processes_that_write_on_and_on_leave_each_other_their_turn(sqlite_database):
    with sqlite_database.transaction() as session:
        session.execute(text("CREATE TABLE tally (n INTEGER)"))
        session.execute(text("INSERT INTO tally VALUES (0)"))
    url = str(sqlite_database.url)
    command = [sys.executable, "-c", _WRITES_ON_AND_ON, url]
    with contextlib.ExitStack() as stack:
        for _ in range(2):
            other = stack.enter_context(subprocess.Popen(command, stdout=subprocess.PIPE))
            stack.callback(other.kill)
            assert other.stdout.readline() == b"ready\n"
        for _ in range(40):
            # SQLite's own busy handler would give up here, "database is locked", after 5 s.
            with sqlite_database.transaction() as session:
                assert session.scalar(text("SELECT n FROM tally")) > 0


def test_sqlite_is_durable_and_checks_foreign_keys(sqlite_database):
    with sqlite_database.reading() as session:
        pragmas = {
            name: session.scalar(text(f"PRAGMA {name}"))
            for name in ("journal_mode", "synchronous", "foreign_keys", "busy_timeout")
        }
    assert pragmas == {
        "journal_mode": "wal",
        "synchronous": 2,  # FULL
        "foreign_keys": 1,
        "busy_timeout": 5000,
    }


def test_database_clock_shifts_by_seconds_and_compares_with_stored_times(database):
    with database.reading() as session:
        early, now, late = session.execute(
            select(from_now(-90.5), from_now(), from_now(90.5))
        ).one()
        assert session.scalar(select(from_now(1) > now)) is True
    assert now.tzinfo is not None
    assert 90 < (now - early).total_seconds() < 91
    assert 90 < (late - now).total_seconds() < 91


@pytest.mark.parametrize(
    "url",
    [
        "nonsense",
        "mysql://root@localhost/x",
        "postgresql+asyncpg://localhost/x",
        "sqlite://",
        "sqlite:///:memory:",
        "",
    ],
)
def test_unusable_url_is_one_clear_line(url):
    with pytest.raises(ConfigProblem, match="TRIORA_DATABASE_URL") as error:
        Database(url)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("host", ["host:port", "db:54a32"])
def test_a_port_that_is_no_number_is_told_without_the_password(host):
    with pytest.raises(ConfigProblem, match="the port is not a number") as error:
        Database(f"postgresql://u:topsecret@{host}/x")
    assert "topsecret" not in str(error.value)


def test_the_example_survives_the_blanking_of_passwords():
    with pytest.raises(ConfigProblem) as error:
        Database("nonsense")
    said = blank(str(error.value))
    assert "sqlite:////path/triora.db" in said
    assert "postgresql+psycopg://USER@HOST:PORT/NAME (the password" in said


@pytest.mark.parametrize("name", ["why?not", "100%", "a%3Fb", "a b", "#1", "a:b@c"])
def test_any_name_of_the_data_directory_will_do(tmp_path, name):
    settings = Settings(_env_file=None, data_dir=tmp_path / name)
    upgrade(settings.sql_url)
    assert [path.name for path in tmp_path.iterdir()] == [name]
    assert (tmp_path / name / "triora.db").exists()


@pytest.mark.parametrize("use", [upgrade, lambda url: Database(url).check()])
def test_a_file_that_is_no_database_is_named(tmp_path, use):
    path = tmp_path / "triora.db"
    path.write_text("a shopping list " * 100)
    with pytest.raises(ConfigProblem, match="is not a SQLite database: move that file away"):
        use(f"sqlite:///{path}")


def test_a_role_that_may_make_no_tables_is_told_what_it_needs(postgres):
    server = postgres.replace("+psycopg", "")
    with psycopg.connect(server, autocommit=True) as connection:
        for statement in ("CREATE ROLE visitor LOGIN", "CREATE DATABASE visited"):
            connection.execute(statement)
    visited = make_url(postgres).set(database="visited", username="visitor", password=None)
    try:
        with pytest.raises(ConfigProblem, match="GRANT CREATE, USAGE ON SCHEMA public") as error:
            upgrade(visited.render_as_string(hide_password=False))
        assert "permission denied" in str(error.value)
    finally:
        with psycopg.connect(server, autocommit=True) as connection:
            for statement in ("DROP DATABASE visited", "DROP ROLE visitor"):
                connection.execute(statement)


@pytest.mark.parametrize("scheme", ["postgres", "postgresql", "postgresql+psycopg"])
def test_every_spelling_of_postgresql_means_psycopg_3(scheme):
    assert Database(f"{scheme}://u@localhost/x").engine.driver == "psycopg"


def test_check_of_a_reachable_database_is_silent(database):
    database.check()


def test_check_of_an_unreachable_server_says_what_to_do_and_no_password():
    database = Database("postgresql://me:hunter2@127.0.0.1:1/nowhere")
    with pytest.raises(ConfigProblem, match="is it running") as error:
        database.check()
    assert "hunter2" not in str(error.value)
    assert "\n" not in str(error.value)


def test_check_of_a_missing_directory_says_what_to_do(tmp_path):
    database = Database(f"sqlite:///{tmp_path / 'missing' / 'triora.db'}")
    with pytest.raises(ConfigProblem, match="unable to open"):
        database.check()
