"""Settings: a wrong one is a line that says what to write, without what was written."""

import re

import pytest

from app.core.errors import ConfigProblem
from app.core.settings import load


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path, monkeypatch):
    """No `.env` and no settings of the machine."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("TRIORA_BROKER_URL", raising=False)


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("localhost:6379", "write redis://HOST:6379/0"),
        ("amqp://u:topsecret@host//", "write redis://HOST:6379/0"),
        ("unix:///run/valkey.sock", "redis+socket:///path"),
        ("redis://u:topsecret@host:port/0", "the port is not a number"),
        ("redis://u:topsecret@host:6379/jobs", "number of a database"),
        ("redis://u:topsecret@host:6379/0/1", "number of a database"),
    ],
)
def test_a_wrong_broker_url_is_told_what_to_write(url, said):
    with pytest.raises(ConfigProblem, match=f"^TRIORA_BROKER_URL: .*{re.escape(said)}") as error:
        load(broker_url=url)
    assert "topsecret" not in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    "url",
    [
        "redis://localhost",
        "redis://:p%40ss@localhost:6379/",
        "rediss://u:p@host:6380/15?ssl_cert_reqs=required",
        "redis+socket:///run/valkey.sock?virtual_host=2",
    ],
)
def test_a_broker_url_that_works_is_left_as_it_is(url):
    assert load(broker_url=url).celery_broker_url == url


def test_the_broker_of_this_directory_passes_its_own_check(tmp_path):
    embedded = load(data_dir=tmp_path / "a b?c%").celery_broker_url
    assert load(broker_url=embedded).celery_broker_url == embedded
