"""A conversation from the disclosure to the goodbye, and who may interrupt whom."""

import pytest

from tests.calls.caller import FRAME, until
from tests.calls.model import Words
from tests.calls.stack import RECORDED, Business, Stack
from voice.rehearsal.mind import CallTool

pytestmark = pytest.mark.asyncio(loop_scope="session")

GREETING = Words("Good morning, this is Harbour Dental.", 700)
QUESTION = Words("a question about opening hours", 600)
ANSWER = Words("We are open from eight to five.", 900)
GOODBYE = Words("Goodbye then.", 500)
MOST = 0.7
LECTURE = Words(" ".join(f"word{number}" for number in range(60)), 12_000)


async def test_a_caller_is_told_greeted_answered_and_seen_off(stack: Stack) -> None:
    """An ordinary call: disclosure, greeting, question, answer, goodbye; and the store has both sides, exactly."""
    business = await stack.business(
        (GREETING.step,),
        (ANSWER.step,),
        (GOODBYE.step, CallTool("hang_up")),
        opening="Greet the caller.",
        heard="When are you open?",
    )
    async with business.called_by() as caller:
        disclosure = await caller.hears(*stack.clips(RECORDED))
        greeting = await caller.hears(GREETING)
        assert disclosure.end <= greeting.first
        caller.speaks(QUESTION)
        await caller.hears(ANSWER)
        caller.speaks(QUESTION)
        await caller.hears(GOODBYE)
        await caller.hears_the_end()
    story = await business.story()
    assert story.said() == [
        ("agent", RECORDED),
        ("agent", GREETING.text),
        ("caller", "When are you open?"),
        ("agent", ANSWER.text),
        ("caller", "When are you open?"),
        ("agent", GOODBYE.text),
    ]
    assert story.end == ("agent_hung_up", "agent")
    assert story.recording is not None
    assert len(story.caller) == len(story.agent) == story.recording.samples
    for said in (GREETING, ANSWER, GOODBYE):
        assert said.mulaw in story.agent
    assert QUESTION.share_in(story.caller) > MOST
    assert any(disclosure in story.agent for disclosure in stack.clips(RECORDED)), "recorded from the answer on"


def first_append(business: Business) -> float:
    """When the model server got the first sound of the caller."""
    return float(business.received("input_audio_buffer.append")[0].at)


async def test_talking_over_the_disclosure_neither_cuts_it_nor_reaches_the_model(stack: Stack) -> None:
    """The caller speaks from the first moment: the disclosure is heard whole, what was said meanwhile stays here."""
    business = await stack.business((ANSWER.step,))
    early, late = Words("said while nobody listens", 400), Words("said to the agent", 600)
    async with business.called_by() as caller:
        caller.speaks(early)
        disclosure = await caller.hears(*stack.clips(RECORDED))
        await business.is_in("conversing")
        caller.speaks(late)
        await caller.hears(ANSWER)
    story = await business.story()
    assert story.one("gate_opened").from_sample >= (story.one("disclosure_played").to_sample or 0)
    assert first_append(business) > disclosure.last_at - 0.005, "both are read by one loop, in either order"
    (connection,) = stack.model.connections_of(business.instructions)
    at_the_model = stack.model.caller_audio(connection)
    assert late.share_in(at_the_model) > MOST
    assert early.share_in(at_the_model) == 0
    assert early.share_in(story.caller) > MOST, "recorded nevertheless: the caller had been answered by then"


async def test_a_barge_in_cuts_at_once_and_only_what_was_heard_is_kept(stack: Stack) -> None:
    """The caller speaks over a long answer: at most a frame follows, and all agree on what was heard, to the frame."""
    business = await stack.business((LECTURE.step,), (ANSWER.step,), opening="Lecture the caller.", pace=0)
    async with business.called_by() as caller:
        await until(lambda: caller.frames_heard(LECTURE) >= 100, "two seconds of the lecture")
        caller.speaks(QUESTION)
        await caller.hears(ANSWER)
        heard = caller.frames_heard(LECTURE)
        first = caller.heard.find(LECTURE.mulaw[:FRAME]) // FRAME
        arrivals = [at for at, _, _ in caller.sound.frames[first : first + heard]]
    (spoke, *_) = business.sent("input_audio_buffer.speech_started")
    assert sum(at > spoke.at for at in arrivals) <= 1
    (truncation,) = business.received("conversation.item.truncate")
    assert truncation.event["audio_end_ms"] == heard * 20
    story = await business.story()
    lecture = next(turn for turn in story.turns if turn.text.startswith("word0"))
    assert lecture.interrupted
    kept = len(lecture.text.split())
    assert kept < 60
    assert lecture.text == " ".join(LECTURE.text.split()[:kept])
    assert lecture.to_ms - lecture.from_ms == heard * 20
    assert LECTURE.mulaw[: heard * FRAME] in story.agent
    assert LECTURE.mulaw[heard * FRAME : (heard + 1) * FRAME] not in story.agent


async def test_every_interruption_of_a_call_is_counted_right(stack: Stack) -> None:
    """Three answers in a row are cut: each truncation names the milliseconds that were heard of its own item."""
    lectures = [Words(f"lecture {number}", 8_000) for number in range(3)]
    business = await stack.business(*((words.step,) for words in lectures), opening="Lecture.")
    async with business.called_by() as caller:
        for count, words in enumerate(lectures, 1):
            await until(lambda words=words: caller.frames_heard(words) >= 30, words.text)  # type: ignore[misc]
            caller.speaks(Words("interrupting", 300))
            await until(
                lambda count=count: len(business.received("conversation.item.truncate")) == count,  # type: ignore[misc]
                "a truncation",
            )
        caller.plays(bytes(320 * 20))
        await until(lambda: not caller.sound.speaking, "the last words are out")
        heard = [caller.frames_heard(words) * 20 for words in lectures]
    assert [seen.event["audio_end_ms"] for seen in business.received("conversation.item.truncate")] == heard


async def test_a_caller_who_says_nothing_is_asked_once_and_seen_off(stack: Stack) -> None:
    """Silence of both sides: are you still there, and then goodbye."""
    business = await stack.business(
        (GREETING.step,), opening="Greet.", limits={"idle_prompt_seconds": 0.6, "idle_end_seconds": 0.6}
    )
    async with business.called_by() as caller:
        greeting = await caller.hears(GREETING)
        asked = await caller.hears(*business.words("are_you_there"))
        goodbye = await caller.hears(*business.words("goodbye"))
        await caller.hears_the_end()
        assert greeting.end <= asked.first < asked.end <= goodbye.first
    story = await business.story()
    assert story.end == ("caller_silent", "system")
