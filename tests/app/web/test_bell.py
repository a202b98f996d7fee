"""The bell: presses never wait, none is forgotten, and a broker that hangs holds up nobody."""

import socket
import threading
from functools import partial

import pytest

from app import queue
from app.core.settings import Settings
from app.queue import Task
from app.web.bell import Bell
from tests.waiting import until
from tests.webhooks import deliver, issue_event


@pytest.fixture
def started():
    """`started(ring)` -> a running Bell, stopped at the end."""
    bells = []

    def start(ring):
        bells.append(Bell(ring))
        bells[-1].start()
        return bells[-1]

    yield start
    for bell in bells:
        bell.stop()


def test_press_rings(started):
    rung = []
    started(rung.append).press(Task.TRIAGE)
    assert until(lambda: rung, "a ring") == [Task.TRIAGE]


def test_presses_during_a_ring_become_one_more_ring_that_begins_after_them(started):
    begun, go_on = threading.Semaphore(0), threading.Semaphore(0)
    rung = []

    def ring(task):
        rung.append(task)
        begun.release()
        go_on.acquire()

    bell = started(ring)
    bell.press(Task.TRIAGE)
    begun.acquire()
    for _ in range(100):
        bell.press(Task.TRIAGE)
    bell.press(Task.LABEL)
    go_on.release(3)
    begun.acquire()
    begun.acquire()
    assert rung == [Task.TRIAGE, Task.LABEL, Task.TRIAGE]


def test_what_was_pressed_is_rung_before_the_end():
    rung = []
    bell = Bell(rung.append)
    bell.press(Task.TRIAGE)
    bell.start()
    bell.stop()
    assert rung == [Task.TRIAGE]


def test_stop_does_not_wait_for_a_ring_that_hangs():
    forever, begun = threading.Event(), threading.Event()

    def ring(_):
        begun.set()
        forever.wait()

    bell = Bell(ring)
    bell.start()
    bell.press(Task.TRIAGE)
    begun.wait()
    bell.stop()
    forever.set()


def test_real_broker_gets_one_message_for_the_queue_of_the_task(valkey_url, started):
    celery = queue.build(Settings(_env_file=None, broker_url=valkey_url))
    started(partial(queue.ring, celery)).press(Task.TRIAGE)
    with celery.connection_for_read() as connection:
        waiting = connection.SimpleQueue("triage")
        message = waiting.get(timeout=60)
        assert message.headers["task"] == "triora.triage"
        message.ack()
        waiting.close()


def test_accepted_issue_wakes_a_triage_worker(valkey_url, start_receiver, sqlite_url):
    client = start_receiver(sqlite_url, broker_url=valkey_url)
    assert deliver(client, "issues", issue_event()).status_code == 202
    celery = queue.build(Settings(_env_file=None, broker_url=valkey_url))
    until(lambda: queue.waiting(celery, Task.TRIAGE), "a message in the queue")


def test_broker_that_hangs_holds_up_no_delivery(start_receiver, sqlite_url):
    """It takes the connection and never says a word. The presses all end while it is silent."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"redis://127.0.0.1:{silent.getsockname()[1]}/0"
        client = start_receiver(sqlite_url, broker_url=url)
        assert deliver(client, "issues", issue_event()).status_code == 202
        caller, _ = silent.accept()
        with caller:
            for number in range(2, 12):
                assert deliver(client, "issues", issue_event(number=number)).status_code == 202
            caller.setblocking(False)
            # Still the first attempt: nobody hung up on us, so no delivery waited for its end.
            assert caller.recv(65536)


def test_ring_reports_a_broker_that_is_down_instead_of_raising():
    celery = queue.build(Settings(_env_file=None, broker_url="redis://127.0.0.1:1/0"))
    assert queue.ring(celery, Task.TRIAGE) is False
