"""Calls that are not answered, and that they do no harm to those that are."""

import asyncio

import pytest

from tests.calls.caller import calling
from tests.calls.model import Words
from tests.calls.stack import RECORDED, Stack

pytestmark = pytest.mark.asyncio(loop_scope="session")

QUESTION = Words("a question", 400)
ANSWER = Words("an answer", 500)
PAUSE = bytes(320 * 15)
"""Of a caller who lets the other side finish."""


async def test_a_number_that_nobody_has(stack: Stack) -> None:
    """404."""
    async with calling(f"sip:+12123459999@127.0.0.1:{stack.server.sip_port}") as caller:
        assert await caller.rings() == 404


async def test_a_tenant_at_its_limit(stack: Stack) -> None:
    """The second caller of a tenant that pays for one call gets 486; the first goes on; then the line is free."""
    business = await stack.business((ANSWER.step,), max_calls=1)
    async with business.called_by() as first:
        async with business.ringing() as second:
            assert await second.rings() == 486
        await first.hears(*stack.clips(RECORDED))
        first.plays(PAUSE)
        first.speaks(QUESTION)
        await first.hears(ANSWER)
    await business.stories(1)
    async with business.called_by() as third:
        await third.hears(*stack.clips(RECORDED))


async def test_one_call_more_than_there_is_room_for(stack: Stack) -> None:
    """As many calls as the machine takes are up; one more gets 503 and when to try again; the others go on."""
    room = stack.max_calls
    business = await stack.business((ANSWER.step,))
    full, refused = asyncio.Barrier(room + 1), asyncio.Event()

    async def takes_a_place() -> None:
        async with business.called_by() as caller:
            await full.wait()
            await refused.wait()
            await caller.hears(*stack.clips(RECORDED))
            caller.plays(PAUSE)
            caller.speaks(QUESTION)
            await caller.hears(ANSWER)
            assert not caller.dialog.ended.is_set()

    async with asyncio.TaskGroup() as group:
        for _ in range(room):
            group.create_task(takes_a_place())
        await full.wait()
        async with business.ringing() as one_more:
            assert await one_more.rings() == 503
            assert one_more.dialog.final is not None
            assert int(one_more.dialog.final.first("retry-after")) > 0
        refused.set()
    stories = await business.stories(room)
    assert {story.end for story in stories} == {("caller_hung_up", "caller")}
    assert all(ANSWER.mulaw in story.agent for story in stories)
