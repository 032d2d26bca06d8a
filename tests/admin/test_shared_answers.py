"""Answers that many people wait for are worked out once."""

import asyncio

import pytest

from admin.shared_answers import SharedAnswers


class Work:
    """Takes so long by a clock of its own, and counts how often it is done."""

    def __init__(self) -> None:
        self.now = 0.0
        self.times = 0
        self.takes_s = 0.1
        self.go_on = asyncio.Event()
        self.go_on.set()

    async def __call__(self) -> int:
        await self.go_on.wait()
        self.times += 1
        self.now += self.takes_s
        return self.times


async def test_all_who_ask_meanwhile_get_one_answer() -> None:
    """Also where the first of them has gone before it is there."""
    work = Work()
    shared = SharedAnswers(lambda: work.now)
    work.go_on.clear()
    asking = [asyncio.ensure_future(shared.answer("figures", work)) for _ in range(5)]
    await asyncio.sleep(0)
    asking[0].cancel()
    work.go_on.set()
    assert await asyncio.gather(*asking[1:]) == [1] * 4


async def test_an_answer_gets_old() -> None:
    """After twenty times as long as it took, and after five seconds at the latest."""
    work = Work()
    shared = SharedAnswers(lambda: work.now)
    assert await shared.answer("figures", work) == 1
    work.now += 1.9
    assert await shared.answer("figures", work) == 1
    work.now += 0.2
    work.takes_s = 60.0
    assert await shared.answer("figures", work) == 2
    work.now += 4.9
    assert await shared.answer("figures", work) == 2
    work.now += 0.2
    assert await shared.answer("figures", work) == 3


async def test_what_is_quick_is_new() -> None:
    """Who looks again sees the call that has just ended."""
    work = Work()
    work.takes_s = 0.01
    shared = SharedAnswers(lambda: work.now)
    assert [await shared.answer("figures", work) for _ in range(3)] == [1, 2, 3]


async def test_what_is_asked_differently_is_another_answer() -> None:
    """Nobody gets what somebody else has asked for."""
    work = Work()
    shared = SharedAnswers(lambda: work.now)
    assert [await shared.answer(key, work) for key in ("a", "b", "a")] == [1, 2, 1]


async def test_what_fails_is_tried_again() -> None:
    """Whoever waits hears of it, and the next one to ask gets an answer."""
    work = Work()
    shared = SharedAnswers(lambda: work.now)

    async def fail() -> int:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await shared.answer("figures", fail)
    assert await shared.answer("figures", work) == 1
