"""Consent to being recorded: asked for, given, refused, withheld, and what follows."""

import asyncio

import pytest

from scripts.cli_call import speaker
from tests.calls.caller import Caller, until
from tests.calls.model import Words
from tests.calls.stack import DISCLOSURE, QUESTION, Business, Stack, Story
from voice.rehearsal.mind import CallTool

pytestmark = pytest.mark.asyncio(loop_scope="session")

GREETING = Words("Now we can talk.", 600)
ANSWER = Words("We are open.", 600)
ASK = Words("are you open", 600)
PATIENT = {"answer_seconds": 25.0}
"""Of a question whose answer has to be understood beside other tests."""
BERLIN = "+4930123456"
ELSEWHERE = {"id": "desk", "label": "the front desk", "uri": "sip:desk@127.0.0.1:9"}


async def asked(stack: Stack, caller: Caller) -> None:
    """The caller hears the disclosure and then the question."""
    disclosure = await caller.hears(*stack.clips(DISCLOSURE))
    question = await caller.hears(*stack.clips(QUESTION))
    assert disclosure.end <= question.first


async def talks(caller: Caller) -> None:
    """The conversation goes its way."""
    await caller.hears(GREETING)
    caller.speaks(ASK)
    await caller.hears(ANSWER)


async def answers(business: Business, caller: Caller, word: bytes) -> None:
    """The caller says a word, and says it again where the ear, on a bad line, asks again."""
    caller.plays(word)
    await caller.hears(GREETING, *business.words("consent_retry"))
    if caller.find([GREETING.mulaw]) is None:
        caller.plays(word)


def verdict(story: Story) -> tuple[str | None, str | None]:
    """What came out, and how."""
    decided = story.one("consent_decided")
    return decided.verdict, decided.method


def assert_recorded_from_the_yes_on(business: Business, story: Story) -> None:
    """Nothing was recorded before the yes, everything after; the model heard nothing before it."""
    decided, opened, started = (story.one(kind) for kind in ("consent_decided", "gate_opened", "recording_started"))
    assert started.from_sample >= decided.from_sample
    assert opened.from_sample >= decided.from_sample
    assert story.recording is not None
    assert story.recording.starts_at_sample == started.from_sample
    assert GREETING.mulaw in story.agent
    assert ASK.share_in(story.caller) > 0.7
    assert not any(words in story.agent for words in business.stack.clips(QUESTION))
    assert ("agent", GREETING.text) in story.said()


def assert_nothing_kept(story: Story, *messages: str) -> None:
    """Neither sound nor words after a no, nor keys, nor what tools were told; but messages that were left."""
    assert story.recording is None
    assert not [text for _, text in story.said() if text in {GREETING.text, ANSWER.text, "I have a question."}]
    (refused_at,) = [event.at_ms for event in story.consent if event.kind == "consent_decided"]
    kept = [{**event.facts, **event.personal} for event in story.events if event.at_ms > refused_at]
    assert {str(event["digit"]) for event in kept if "digit" in event} <= {"*"}
    assert [event["arguments"] for event in kept if event.get("arguments")] == []
    assert {event["outcome"] for event in kept if "outcome" in event} <= {"ok", "failed"}
    assert [message.text for message in story.messages] == list(messages)


async def test_yes_by_key(stack: Stack) -> None:
    """A caller from a place where all must agree presses 1."""
    business = await stack.business((GREETING.step,), (ANSWER.step,), opening="Greet.")
    async with business.called_by(BERLIN) as caller:
        await asked(stack, caller)
        assert not business.received("input_audio_buffer.append")
        caller.presses("1")
        await talks(caller)
    story = await business.story()
    assert verdict(story) == ("given", "key")
    assert_recorded_from_the_yes_on(business, story)


async def test_yes_by_voice(stack: Stack) -> None:
    """The same caller says it; the ear is a local one, and the model hears nothing of the answer."""
    business = await stack.business((GREETING.step,), (ANSWER.step,), opening="Greet.", consent=PATIENT)
    async with business.called_by(BERLIN) as caller, speaker() as speak:
        await asked(stack, caller)
        await answers(business, caller, await speak("Yes."))
        await talks(caller)
    story = await business.story()
    assert verdict(story) == ("given", "voice")
    assert_recorded_from_the_yes_on(business, story)


async def test_no_and_the_call_goes_on_unrecorded(stack: Stack) -> None:
    """A no by key and one by voice: the caller is served all the same, and nothing is kept."""
    by_key = await stack.business((GREETING.step,), (ANSWER.step,), opening="Greet.", consent={"always_ask": True})
    by_voice = await stack.business(
        (GREETING.step,), (ANSWER.step,), opening="Greet.", consent={"always_ask": True, **PATIENT}
    )

    async def says_no(business: Business, *, key: bool) -> None:
        async with business.called_by() as caller, speaker() as speak:
            await asked(stack, caller)
            if key:
                caller.presses("2")
            else:
                await answers(business, caller, await speak("No."))
            await talks(caller)
        story = await business.story()
        assert verdict(story) == ("refused", "key" if key else "voice")
        assert_nothing_kept(story)

    await asyncio.gather(says_no(by_key, key=True), says_no(by_voice, key=False))


async def test_no_and_a_message_is_left(stack: Stack) -> None:
    """What the agent is told and presses is not kept either; a message is, as the caller dictates it for that."""
    telling = (
        CallTool("take_message", {"text": "Call Ann back."}),
        CallTool("send_dtmf", {"digits": "12"}),
        CallTool("send_dtmf", {"digits": "Ann"}),
    )
    business = await stack.business(
        (GREETING.step,), telling, (ANSWER.step,), opening="Greet.", consent={"always_ask": True}
    )
    async with business.called_by() as caller:
        await asked(stack, caller)
        caller.presses("2")
        await talks(caller)
        caller.presses("7")
        await until(lambda: caller.sound.keys == ["1", "2"], "the agent's keys")
    story = await business.story()
    assert [used["name"] for used in story.happened("tool_called")] == ["take_message", "send_dtmf", "send_dtmf"]
    assert [pressed["by"] for pressed in story.happened("key_pressed")].count("agent") == 2
    assert_nothing_kept(story, "Call Ann back.")


async def test_no_and_the_call_ends_or_goes_elsewhere(stack: Stack) -> None:
    """Where the scenario says so, a no ends the call politely, or sends the caller to a human."""
    ends = await stack.business(opening="Greet.", consent={"always_ask": True, "on_refusal": "end"})
    transfers = await stack.business(
        opening="Greet.", consent={"always_ask": True, "on_refusal": "transfer"}, transfers=[ELSEWHERE]
    )

    async def is_seen_off() -> None:
        async with ends.called_by() as caller:
            await asked(stack, caller)
            caller.presses("2")
            await caller.hears(*ends.words("goodbye"))
            await caller.hears_the_end()
        story = await ends.story()
        assert story.end == ("consent_refused", "caller")
        assert_nothing_kept(story)
        assert not ends.received("input_audio_buffer.append"), "the model never heard this caller"

    async def is_sent_elsewhere() -> None:
        async with transfers.called_by() as caller:
            await asked(stack, caller)
            caller.presses("2")
            await caller.hears(*transfers.words("transferring"))
            await caller.hears_the_end()
            assert caller.dialog.referred_to == ELSEWHERE["uri"]
        story = await transfers.story()
        assert story.end == ("transferred", "agent")
        assert_nothing_kept(story)

    await asyncio.gather(is_seen_off(), is_sent_elsewhere())


async def test_no_answer_counts_as_a_no(stack: Stack) -> None:
    """A caller who withholds number and answer is served unrecorded."""
    business = await stack.business((GREETING.step,), (ANSWER.step,), opening="Greet.", consent={"answer_seconds": 0.5})
    async with business.called_by("anonymous") as caller:
        await asked(stack, caller)
        await talks(caller)
    story = await business.story()
    assert verdict(story) == ("no_answer", "none")
    assert_nothing_kept(story)
