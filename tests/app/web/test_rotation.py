"""The webhook's secret is changed on GitHub while issues come in."""

from __future__ import annotations

from pydantic import SecretStr

from app.web.webhooks import PATH
from deploy.sandbox.sandbox import Sandbox
from tests.fixtures_receiver import StartReceiver

OLD, NEW = "the secret so far", "the secret from now on"


def opened(github: Sandbox, count: int) -> None:
    for number in range(count):
        github.open_issue(f"Crash {number}", "Always.")
    github.settle(60)


def statuses(github: Sandbox) -> list[int]:
    return [delivery["status_code"] for delivery in github.deliveries()]


def test_no_delivery_is_refused_while_the_secret_is_rotated(
    github: Sandbox, start_receiver: StartReceiver, sqlite_url: str
) -> None:
    both = {"webhook_secret": SecretStr(NEW), "webhook_secret_previous": SecretStr(OLD)}
    receiver = start_receiver(sqlite_url, **both)
    github.hook(url=f"{str(receiver.base_url).rstrip('/')}{PATH}", secret=OLD)
    opened(github, 3)
    github.hook(secret=NEW)
    opened(github, 3)
    assert statuses(github) == [202] * 6

    after = start_receiver(sqlite_url, webhook_secret=SecretStr(NEW))
    github.hook(url=f"{str(after.base_url).rstrip('/')}{PATH}")
    opened(github, 1)
    github.hook(secret=OLD)
    opened(github, 1)
    assert sorted(statuses(github)) == [202] * 7 + [401]
