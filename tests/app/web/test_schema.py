"""Editors and other people's CI can fetch the schema of triora.yml."""

from app.core.repository_config import SCHEMA_PATH, schema


def test_the_schema_is_published_to_anybody(sqlite_receiver):
    answer = sqlite_receiver.get(SCHEMA_PATH)
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "application/schema+json"
    assert answer.headers["access-control-allow-origin"] == "*"
    assert answer.json() == schema()
