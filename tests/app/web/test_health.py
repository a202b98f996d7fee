"""/healthz, /readyz and /metrics: true about the process, the database and the broker."""

import re

from sqlalchemy import text

from tests.webhooks import deliver, issue_event


def test_process_is_alive(sqlite_receiver):
    answer = sqlite_receiver.get("/healthz")
    assert (answer.status_code, answer.json()) == (200, {"status": "alive"})


def test_ready_without_a_broker_since_deliveries_are_kept(receiver):
    answer = receiver.get("/readyz")
    assert answer.status_code == 200
    report = answer.json()
    assert (report["ready"], report["database"]["ok"], report["broker"]["ok"]) == (
        True,
        True,
        False,
    )
    assert "kept" in report["broker"]["detail"]


def test_broker_that_answers_is_reported(start_receiver, sqlite_url, valkey_url):
    report = start_receiver(sqlite_url, broker_url=valkey_url).get("/readyz").json()
    assert report["broker"] == {"ok": True, "detail": "ready"}


def test_not_ready_without_a_database_and_says_no_address(start_receiver):
    client = start_receiver("postgresql+psycopg://me:hunter2@127.0.0.1:1/x")
    answer = client.get("/readyz")
    assert (answer.status_code, answer.json()["ready"]) == (503, False)
    assert not re.search("hunter2|127.0.0.1", answer.text)
    assert client.get("/healthz").status_code == 200


def test_not_ready_until_migrated_and_says_what_to_run(start_receiver, empty_url):
    answer = start_receiver(empty_url).get("/readyz")
    assert answer.status_code == 503
    assert "triora migrate" in answer.json()["database"]["detail"]


def test_not_ready_on_an_older_schema(receiver, database):
    with database.transaction() as session:
        session.execute(text("UPDATE alembic_version SET version_num = 'older'"))
    answer = receiver.get("/readyz")
    assert answer.status_code == 503
    assert "at revision older" in answer.json()["database"]["detail"]


def metrics(client):
    answer = client.get("/metrics")
    assert answer.status_code == 200
    assert answer.headers["content-type"].startswith("text/plain")
    return dict(line.rsplit(" ", 1) for line in answer.text.splitlines() if line[0] != "#")


def test_metrics_count_deliveries_and_the_work_that_waits(receiver):
    for _ in range(3):
        deliver(receiver, "issues", issue_event(), guid="g-1")
    deliver(receiver, "nobody_knows", {})
    deliver(receiver, "issues", issue_event(), secret="wrong")
    figures = metrics(receiver)
    deliveries = {
        name: value for name, value in figures.items() if name.startswith("triora_deliveries_total")
    }
    assert deliveries == {
        'triora_deliveries_total{duplicate="false",event="issues",outcome="triage"}': "1.0",
        'triora_deliveries_total{duplicate="true",event="issues",outcome="triage"}': "2.0",
        'triora_deliveries_total{duplicate="false",event="other",outcome="ignored"}': "1.0",
    }
    assert figures['triora_webhooks_refused_total{status="401"}'] == "1.0"
    assert figures['triora_work{state="pending",work="issues"}'] == "1.0"
    assert figures['triora_work{state="dead",work="labels"}'] == "0.0"
    assert figures["triora_webhook_seconds_count"] == "5.0"


def test_metrics_answer_while_the_database_is_down(start_receiver):
    figures = metrics(start_receiver("postgresql+psycopg://me@127.0.0.1:1/x"))
    assert not any(name.startswith("triora_work") for name in figures)
