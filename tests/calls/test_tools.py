"""What an agent can do besides speaking."""

import asyncio

import pytest

from tests.calls.caller import until
from tests.calls.model import Words
from tests.calls.stack import Stack
from voice.rehearsal.mind import CallTool

pytestmark = pytest.mark.asyncio(loop_scope="session")

TELLING = Words("I am putting you through.", 500)
SORRY = Words("What else can I do?", 500)
TAKEN = Words("I have written that down.", 500)
QUESTION = Words("a question", 500)
DESK = {"id": "desk", "label": "the front desk", "uri": "sip:desk@127.0.0.1:9"}


async def test_a_transfer_that_succeeds(stack: Stack) -> None:
    """The agent says so, the caller's telephone is sent to the target, and this call ends."""
    business = await stack.business(
        (TELLING.step, CallTool("transfer", {"target": "desk"})), opening="Transfer.", transfers=[DESK]
    )
    async with business.called_by() as caller:
        await caller.hears(TELLING)
        await caller.hears_the_end()
        assert caller.dialog.referred_to == DESK["uri"]
    story = await business.story()
    assert story.end == ("transferred", "agent")
    assert [(done["target_id"], done["sip_status"]) for done in story.happened("transfer_ended")] == [("desk", 200)]
    (offered,) = [
        tool for tool in business.received("session.update")[0].event["session"]["tools"] if tool["name"] == "transfer"
    ]
    assert DESK["uri"] not in str(offered), "the model never learns the address"


async def test_a_transfer_that_fails_is_told_to_caller_and_model(stack: Stack) -> None:
    """The target is busy: the caller hears that nobody could be reached, and the agent takes over again."""
    business = await stack.business(
        (CallTool("transfer", {"target": "desk"}),), (SORRY.step,), opening="Transfer.", transfers=[DESK]
    )
    async with business.called_by(refer_outcome="486 Busy Here") as caller:
        await caller.hears(*business.words("transferring"))
        failed = await caller.hears(*business.words("transfer_failed"))
        sorry = await caller.hears(SORRY)
        assert failed.end <= sorry.first
        assert not caller.dialog.ended.is_set()
    (result,) = [
        seen.event["item"]["output"]
        for seen in business.received("conversation.item.create")
        if seen.event["item"]["type"] == "function_call_output"
    ]
    assert "486" in result
    story = await business.story()
    assert story.end == ("caller_hung_up", "caller")
    assert [done["sip_status"] for done in story.happened("transfer_ended")] == [486]


async def test_a_message_for_the_business(stack: Stack) -> None:
    """The agent keeps a message in the caller's words."""
    text = "Mr Miller asks to be called back on +44 20 7946 0002."
    business = await stack.business((CallTool("take_message", {"text": text}),), (TAKEN.step,), opening="Take it.")
    async with business.called_by() as caller:
        await caller.hears(TAKEN)
    story = await business.story()
    assert [message.text for message in story.messages] == [text]


async def test_keys_both_ways(stack: Stack) -> None:
    """Keys of the caller reach the model, by RFC 4733 and by INFO; the agent's keys reach the caller's telephone."""
    business = await stack.business(
        (TELLING.step,),
        (CallTool("send_dtmf", {"digits": "42#"}),),
        (TAKEN.step,),
        (SORRY.step,),
        opening="Listen.",
    )
    async with business.called_by() as caller:
        await caller.hears(TELLING)
        caller.presses("12")
        await until(lambda: len(caller.sound.keys) == 3, "three keys")
        assert caller.sound.keys == ["4", "2", "#"]
        await caller.hears(TAKEN)
        assert await caller.dialog.press_by_info("7") == 200
        await caller.hears(SORRY)
    told = [
        seen.event["item"]["content"][0]["text"]
        for seen in business.received("conversation.item.create")
        if seen.event["item"].get("role") == "user"
    ]
    assert [[word for word in text.split() if word.isdigit()] for text in told] == [["12"], ["7"]]
    story = await business.story()
    pressed = [(key["by"], key["digit"]) for key in story.happened("key_pressed")]
    assert [digit for by, digit in pressed if by == "caller"] == ["1", "2", "7"]
    assert [digit for by, digit in pressed if by == "agent"] == ["4", "2", "#"]


async def test_hold_and_back(stack: Stack) -> None:
    """A caller on hold is not asked for and not talked to; back again, the conversation goes on."""
    business = await stack.business(
        (TELLING.step,), (SORRY.step,), opening="Greet.", limits={"idle_prompt_seconds": 1.5, "idle_end_seconds": 1.5}
    )
    async with business.called_by() as caller:
        await caller.hears(TELLING)
        assert await caller.dialog.reinvite("sendonly") == 200
        await asyncio.sleep(0.3)  # what was on its way when the hold began
        frames = len(caller.sound.frames)
        await asyncio.sleep(4)  # longer than both limits of silence together
        assert len(caller.sound.frames) == frames
        assert not caller.dialog.ended.is_set()
        assert await caller.dialog.reinvite("sendrecv") == 200
        caller.speaks(QUESTION)
        await caller.hears(SORRY)
    story = await business.story()
    assert story.end == ("caller_hung_up", "caller")
