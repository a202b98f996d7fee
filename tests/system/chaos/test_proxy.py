"""The proxy passes on what it should and breaks what it is told to, as a client sees it."""

from __future__ import annotations

from collections.abc import Iterator

import httpx
import pytest

from deploy.sandbox.sandbox import Sandbox
from tests.system.chaos.proxy import CALM, Fate, Proxy, Weather

ISSUE = {"title": "The lantern goes out"}
PATH = "/api/v3/repos/lantern-works/emberfall/issues"


@pytest.fixture
def proxy(sandbox: Sandbox) -> Iterator[Proxy]:
    made = Proxy(int(sandbox.url.rpartition(":")[2]), seed=1)
    yield made
    made.close()


@pytest.fixture
def client(sandbox: Sandbox, proxy: Proxy) -> Iterator[httpx.Client]:
    headers = {"authorization": f"Bearer {sandbox.token_of('mara')}"}
    url = f"http://127.0.0.1:{proxy.port}"
    with httpx.Client(base_url=url, headers=headers, trust_env=False) as made:
        yield made


def _opened(sandbox: Sandbox) -> int:
    return len(sandbox.books())


def test_in_calm_weather_requests_and_answers_pass_on_one_connection(client, sandbox) -> None:
    for number in (1, 2, 3):
        assert client.post(PATH, json=ISSUE).json()["number"] == number
    assert client.delete(f"{PATH}/1/labels").status_code == 204
    assert client.get(PATH).json()[0]["number"] == 3
    assert _opened(sandbox) == 3


@pytest.mark.parametrize("fate", [Fate.DROP, Fate.RESET])
def test_what_is_dropped_or_reset_never_arrives(client, sandbox, proxy, fate) -> None:
    proxy.weather = Weather({fate: 1.0})
    with pytest.raises(httpx.TransportError):
        client.post(PATH, json=ISSUE)
    assert _opened(sandbox) == 0
    assert proxy.hits == {fate: 1}


def test_an_error_of_the_proxys_own_never_arrives_either(client, sandbox, proxy) -> None:
    proxy.weather = Weather({Fate.ERROR: 1.0})
    assert client.post(PATH, json=ISSUE).status_code == 502
    assert _opened(sandbox) == 0


@pytest.mark.parametrize("fate", [Fate.DROP_AFTER, Fate.RESET_AFTER, Fate.TRUNCATE])
def test_what_is_applied_and_then_lost_was_applied(client, sandbox, proxy, fate) -> None:
    proxy.weather = Weather({fate: 1.0})
    with pytest.raises(httpx.TransportError):
        client.post(PATH, json=ISSUE)
    assert _opened(sandbox) == 1


def test_delayed_requests_arrive_and_good_weather_comes_back(client, sandbox, proxy) -> None:
    proxy.weather = Weather({Fate.DELAY: 1.0}, seconds=0.01)
    assert client.post(PATH, json=ISSUE).status_code == 201
    proxy.weather = CALM
    assert client.post(PATH, json=ISSUE).status_code == 201
    assert proxy.hits == {Fate.DELAY: 1}


def test_a_server_that_is_gone_is_a_connection_that_ends(client, sandbox, proxy) -> None:
    proxy.target = 1
    with pytest.raises(httpx.TransportError):
        client.get(PATH)
