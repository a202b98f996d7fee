"""What stands in one repository teaches no other one's model."""

from __future__ import annotations

from app.db import corrections
from app.db.session import Database
from app.db.tables import Repository
from tests.training.taught import REPOSITORY, reports, repository, teach

PRIVATE = 2


def test_no_text_of_a_repository_is_a_lesson_for_another(sqlite_database: Database) -> None:
    repository(sqlite_database)
    with sqlite_database.transaction() as session:
        session.add(
            Repository(
                id=PRIVATE,
                installation_id=7,
                full_name="octo/secret",
                private=True,
            )
        )
    ours, theirs = reports(12)[:6], reports(12)[6:]
    teach(sqlite_database, ours)
    teach(sqlite_database, theirs, repository_id=PRIVATE)
    with sqlite_database.reading() as session:
        taught = {
            number: {lesson.text.body for lesson in corrections.lessons(session, number)}
            for number in (REPOSITORY, PRIVATE)
        }
    assert taught == {
        REPOSITORY: {report.body for report in ours},
        PRIVATE: {report.body for report in theirs},
    }
