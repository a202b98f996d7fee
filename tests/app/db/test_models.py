"""One version is active in a place; promoting and rolling back never leave two, or a wrong one."""

from datetime import UTC, datetime

import pytest
from sqlalchemy.exc import IntegrityError

from app.core.errors import BadRequest
from app.core.manifest import Manifest
from app.db import models
from app.db.clock import from_now
from app.db.learning import ModelVersion, Version
from app.db.tables import Installation, Repository

ZEROS = "0" * 64


def manifest(version):
    return Manifest(
        version=version,
        base_model="tiny",
        prompt_version="p1",
        text_tokens=10,
        vocabulary={},
        taxonomy_digest=ZEROS,
        answers={},
        calibration={},
        data_digest=ZEROS,
        weights_sha256=ZEROS,
        created_at=datetime(2026, 11, 23, tzinfo=UTC),
    )


@pytest.fixture
def session(database):
    with database.transaction() as opened:
        opened.add(Installation(id=1, account="octo", created_at=from_now()))
        opened.flush()
        for number in (1, 2):
            opened.add(
                Repository(
                    id=number, installation_id=1, full_name=f"octo/game{number}", private=False
                )
            )
        opened.flush()
        yield opened


def add(session, version, repository_id=1, **values):
    return models.add(
        session, manifest(version), repository_id=repository_id, uri="x", digest=ZEROS, **values
    )


def name(version):
    return version.version if version is not None else None


def test_a_repository_without_a_version_is_answered_by_the_shared_one(session):
    assert models.active(session, 1) is None
    models.promote(session, add(session, "shared", None))
    models.promote(session, add(session, "own", 1))
    assert name(models.active(session, 1)) == "own"
    assert name(models.active(session, 2)) == "shared"
    served = models.serving(session, [1, 2])
    assert [name(v) for v in served[1]] == ["own", "shared"]
    assert [name(v) for v in served[2]] == ["shared"]


@pytest.mark.parametrize("place", [1, None])
def test_promoting_retires_the_version_before(session, place):
    first, second = add(session, "a", place), add(session, "b", place)
    assert models.promote(session, first) is None
    assert name(models.promote(session, second)) == "a"
    assert (first.state, second.state) == (Version.RETIRED, Version.ACTIVE)
    assert first.reason == "replaced by b"
    assert models.promote(session, second) is None
    assert [name(v) for v in models.history(session, place)] == ["b", "a"]


@pytest.mark.parametrize("place", [1, None])
def test_the_database_refuses_a_second_active_version(session, place):
    models.promote(session, add(session, "a", place))
    second = add(session, "b", place)
    second.state = Version.ACTIVE
    with pytest.raises(IntegrityError):
        session.flush()
    session.rollback()


@pytest.mark.parametrize("place", [1, None])
def test_rolling_back_goes_to_the_version_before_and_then_to_none(session, place):
    for version in ("a", "b", "c"):
        models.promote(session, add(session, version, place))
    bad, good = models.rollback(session, place, "worse")
    assert (name(bad), bad.state, bad.reason) == ("c", Version.RETIRED, "worse")
    assert (name(good), good.state) == ("b", Version.ACTIVE)
    assert name(models.rollback(session, place, "worse")[1]) == "a"
    assert models.rollback(session, place, "worse")[1] is None
    with pytest.raises(BadRequest, match="nothing to roll back"):
        models.rollback(session, place, "worse")


def test_a_version_that_was_rolled_back_does_not_come_back_by_a_rollback(session):
    for version in ("a", "b"):
        models.promote(session, add(session, version))
    models.rollback(session, 1, "b is bad")
    models.promote(session, add(session, "c"))
    assert name(models.rollback(session, 1, "c is bad")[1]) == "a"
    # Not even where somebody insisted on an old one in between.
    models.promote(session, models.find(session, "b"))
    models.promote(session, models.find(session, "a"))
    models.rollback(session, 1, "a is bad")
    assert name(models.active(session, 1)) == "b"
    assert models.rollback(session, 1, "b is bad still")[1] is None


def test_a_person_has_to_insist_on_what_the_gate_or_a_rollback_refused(session):
    kept = add(session, "kept", reason="recall of critical fell")
    good = add(session, "good")
    assert "recall of critical fell" in models.refusal(kept)
    assert models.refusal(good) is None
    models.promote(session, good)
    models.rollback(session, 1, "overridden too often")
    assert "overridden too often" in models.refusal(good)


def test_a_version_is_added_once_and_never_changes_hands(session):
    first = add(session, "a")
    assert add(session, "a").id == first.id
    with pytest.raises(BadRequest, match="octo/game1"):
        add(session, "a", None)


def test_why_a_version_cannot_answer_is_kept_until_it_can(session):
    version = add(session, "a")
    models.note_problem(session, "a", "x" * 600)
    assert len(version.problem) == models.SAID_LENGTH
    models.note_problem(session, "a", None)
    assert version.problem is None
    models.note_problem(session, "unknown", "no row to keep it with")
    assert len(session.query(ModelVersion).all()) == 1
