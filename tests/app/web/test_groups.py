"""Calls worked on in groups: who waits is answered, each with its own, and nobody without end."""

import asyncio
import threading

import pytest

from app.web.groups import LARGEST, Full, Groups


class Work:
    """Doubles numbers; holds the first group until told, and keeps what each group was."""

    def __init__(self):
        self.groups = []
        self.begun, self.go_on = threading.Semaphore(0), threading.Semaphore(0)

    def __call__(self, items):
        self.groups.append(list(items))
        if len(self.groups) == 1:
            self.begun.release()
            self.go_on.acquire()
        if "all" in items:
            raise OSError("nothing of it")
        return [ValueError(item) if isinstance(item, str) else 2 * item for item in items]


@pytest.fixture
def work():
    return Work()


def running(work, scenario, room=1000):
    """Run `scenario(groups, ask, let_go)`; the first group, of one 0, is held until `let_go`."""

    async def run():
        groups = Groups(work, threads=1, room=room)
        groups.start()
        first = asyncio.create_task(groups.ask(0))
        await asyncio.to_thread(work.begun.acquire)

        async def ask(item):
            task = asyncio.create_task(groups.ask(item))
            await asyncio.sleep(0)
            return task

        try:
            return await scenario(groups, ask, first)
        finally:
            work.go_on.release()
            groups.stop()

    return asyncio.run(run())


def test_who_comes_while_one_is_under_way_is_worked_on_together(work):
    async def scenario(groups, ask, first):
        tasks = [await ask(n) for n in range(1, 6)]
        work.go_on.release()
        return await asyncio.gather(first, *tasks)

    assert running(work, scenario) == [0, 2, 4, 6, 8, 10]
    assert work.groups == [[0], [1, 2, 3, 4, 5]]


def test_a_group_has_its_largest_size(work):
    async def scenario(groups, ask, first):
        tasks = [await ask(n) for n in range(LARGEST + 1)]
        work.go_on.release()
        await asyncio.gather(*tasks)

    running(work, scenario)
    assert [len(group) for group in work.groups] == [1, LARGEST, 1]


def test_the_error_of_one_is_its_own(work):
    async def scenario(groups, ask, first):
        tasks = [await ask(item) for item in (1, "bad", 2)]
        work.go_on.release()
        return await asyncio.gather(*tasks, return_exceptions=True)

    one, bad, two = running(work, scenario)
    assert (one, two) == (2, 4)
    assert isinstance(bad, ValueError)


def test_an_error_of_the_group_is_everybodys_and_the_next_group_is_worked_on(work):
    async def scenario(groups, ask, first):
        tasks = [await ask(item) for item in (1, "all")]
        work.go_on.release()
        failed = await asyncio.gather(*tasks, return_exceptions=True)
        return failed, await groups.ask(7)

    failed, after = running(work, scenario)
    assert [type(error) for error in failed] == [OSError, OSError]
    assert after == 14


def test_who_finds_no_room_is_told_at_once(work):
    async def scenario(groups, ask, first):
        tasks = [await ask(n) for n in range(2)]
        with pytest.raises(Full):
            await groups.ask(3)
        work.go_on.release()
        return await asyncio.gather(*tasks)

    assert running(work, scenario, room=2) == [0, 2]


def test_nothing_is_done_for_a_caller_who_left(work):
    async def scenario(groups, ask, first):
        gone, stayed = await ask(1), await ask(2)
        gone.cancel()
        await asyncio.wait([gone])
        work.go_on.release()
        return await stayed

    assert running(work, scenario) == 4
    assert work.groups == [[0], [2]]
