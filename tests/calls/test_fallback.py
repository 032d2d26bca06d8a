"""Without a model: the caller is told, and served as far as that goes. Never dead air."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from tests.calls.caller import until
from tests.calls.model import Words
from tests.calls.stack import RECORDED, Stack

pytestmark = pytest.mark.asyncio(loop_scope="session")

GREETING = Words("Good morning.", 500)
ANSWER = Words("an answer", 500)
QUESTION = Words("a question", 500)
MESSAGE = Words("please call me back", 1_500)
DESK = {"id": "desk", "label": "the front desk", "uri": "sip:desk@127.0.0.1:9"}


@contextmanager
def nobody_at_the_model(stack: Stack) -> Iterator[None]:
    """Every connection is refused meanwhile."""
    stack.model.refusing = True
    try:
        yield
    finally:
        stack.model.refusing = False


async def test_a_model_that_refuses(stack: Stack) -> None:
    """The scenario's fallback: a message is taken, the caller is put through, or the call ends with an apology."""
    takes = await stack.business(opening="Greet.")
    transfers = await stack.business(
        opening="Greet.", transfers=[DESK], fallback={"action": "transfer", "target_id": "desk"}
    )
    ends = await stack.business(opening="Greet.", fallback={"action": "end"})

    async def leaves_a_message() -> None:
        async with takes.called_by() as caller:
            disclosure = await caller.hears(*stack.clips(RECORDED))
            sorry = await caller.hears(*takes.words("model_lost_take_message"))
            assert sorry.first - disclosure.end < 100, "two seconds"
            await caller.hears(*takes.words("leave_message"))
            await takes.is_in("taking_message")
            caller.speaks(MESSAGE)
            await until(lambda: not caller.sound.speaking, "the message")
            caller.presses("#")
            await caller.hears(*takes.words("message_taken"))
            await caller.hears_the_end()
        story = await takes.story()
        assert story.end == ("message_taken", "system")
        (message,) = story.messages
        assert story.recording is not None
        assert message.from_sample is not None
        start = message.from_sample - story.recording.starts_at_sample
        end = (message.to_sample or 0) - story.recording.starts_at_sample
        assert MESSAGE.share_in(story.caller[start:end]) > 0.7

    async def is_put_through() -> None:
        async with transfers.called_by() as caller:
            await caller.hears(*transfers.words("model_lost_transfer"))
            await caller.hears_the_end()
            assert caller.dialog.referred_to == DESK["uri"]
        assert (await transfers.story()).end == ("transferred", "agent")

    async def is_seen_off() -> None:
        async with ends.called_by() as caller:
            await caller.hears(*ends.words("model_lost_end"))
            await caller.hears_the_end()
        story = await ends.story()
        assert story.end == ("model_lost", "system")
        changes = [change["what"] for change in story.happened("model_changed")]
        assert changes[-1] == "given_up"
        assert set(changes[:-1]) == {"refused"}

    with nobody_at_the_model(stack):
        async with asyncio.TaskGroup() as group:
            for one in (leaves_a_message(), is_put_through(), is_seen_off()):
                group.create_task(one)


async def test_a_connection_that_drops_is_made_again(stack: Stack) -> None:
    """The model's server cuts the line in mid-conversation: the next session knows what was said, and answers."""
    business = await stack.business((GREETING.step,), (ANSWER.step,), opening="Greet.")
    async with business.called_by() as caller:
        await caller.hears(GREETING)
        stack.model.scripts[business.instructions] = stack.script((ANSWER.step,))
        (session,) = stack.model.sessions_of(business.instructions)
        session.wire.abort()
        await until(lambda: len(stack.model.connections_of(business.instructions)) == 2, "a second session")
        caller.speaks(QUESTION)
        await caller.hears(ANSWER)
    second = stack.model.connections_of(business.instructions)[-1]
    history = [
        seen.event["item"]["content"][0]["text"] for seen in stack.model.events("conversation.item.create", second)
    ]
    assert GREETING.text in history
    changes = [change["what"] for change in (await business.story()).happened("model_changed")]
    assert changes == ["connected", "dropped", "reconnected"]
