"""The session: safe pragmas, one commit, and problems a person can act on."""

from concurrent.futures import ThreadPoolExecutor

import pytest
from sqlalchemy import func, insert, select, text

from app.core.errors import ConfigProblem
from app.db.clock import from_now
from app.db.session import Database
from app.db.tables import Installation


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
