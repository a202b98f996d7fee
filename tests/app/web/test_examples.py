"""Every example payload GitHub publishes, Enterprise Server's too, gets a 2xx."""

from collections import Counter

import pytest
from sqlalchemy import func, select

from app.db.tables import Delivery
from app.github import events
from tests.contract import webhook_examples
from tests.webhooks import deliver


@pytest.fixture(scope="module")
def examples():
    return list(webhook_examples.load())


def guid(example):
    return f"{example.server.replace('.', '-')}-{example.event.replace('_', '-')}-{example.number}"


def test_every_example_is_accepted_and_recorded(receiver, database, examples):
    assert len(examples) > 700
    refused = [
        (guid(example), answer.status_code, answer.text)
        for example in examples
        if (answer := deliver(receiver, example.event, example.payload, guid=guid(example)))
        and answer.status_code != 202
    ]
    assert refused == []
    with database.reading() as session:
        assert session.scalar(select(func.count()).select_from(Delivery)) == len(examples)


def test_examples_sent_to_an_app_do_what_they_say(receiver, examples):
    """The published examples of `issues` name no installation, as if sent to a repository's hook:
    named one, they are triaged, noted or withdrawn, and none of any server is unusable."""
    done = Counter()
    for example in examples:
        if example.event not in events.INTEREST:
            continue
        payload = {"installation": {"id": 4242}} | example.payload
        answer = deliver(receiver, example.event, payload, guid=guid(example)).json()
        assert "cannot be used" not in answer["reason"], (guid(example), answer)
        done[answer["outcome"]] += 1
    assert done.keys() >= {"triage", "label event", "withdrawn", "installation", "ignored"}
