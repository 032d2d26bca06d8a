"""How calls end, and that they can end in any state."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager

import psycopg
import pytest

from scripts.operators import ask
from store import postgres
from tests.calls.caller import Caller, answers, until
from tests.calls.model import Words
from tests.calls.stack import RECORDED, Business, Stack
from voice.rehearsal.mind import CallTool, Wait
from voice.waist.messages import Done, PauseOrdered

pytestmark = pytest.mark.asyncio(loop_scope="session")

GREETING = Words("Good morning.", 500)
QUESTION = Words("a question", 600)
LECTURE = Words("a very long answer", 20_000)
ELSEWHERE = {"id": "desk", "label": "the front desk", "uri": "sip:desk@127.0.0.1:9"}


@contextmanager
def numbers_locked(stack: Stack) -> Iterator[None]:
    """Nobody can look up a number meanwhile: every caller hears that it rings."""
    address = postgres.url(stack.home, postgres.SUPERUSER, postgres.DATABASE).replace("+psycopg", "")
    with psycopg.connect(address) as connection:
        connection.execute("LOCK TABLE numbers IN ACCESS EXCLUSIVE MODE")
        yield
        connection.rollback()


async def nothing_is_left(business: Business) -> None:
    """Neither a live call nor an open row, and the model never heard of it."""

    async def left() -> int:
        return len(await business.live()) + sum(session.state == "open" for session in await business.sessions())

    await answers(left, 0, "no call is left")
    assert not business.received("session.update")


async def test_a_caller_who_gives_up_while_it_rings(stack: Stack) -> None:
    """CANCEL before the answer: 487, and no call stays behind."""
    business = await stack.business()
    async with business.ringing() as caller:
        with numbers_locked(stack):
            ringing = asyncio.ensure_future(caller.rings())
            await until(caller.dialog.early.is_set, "180")
            caller.dialog.cancel()
            assert await ringing == 487
        await until(lambda: "SIP/2.0 200 OK" in caller.messages("in"), "CANCEL's 200")
    await nothing_is_left(business)


async def test_a_caller_who_says_bye_while_it_rings(stack: Stack) -> None:
    """BYE in an early dialog (RFC 3261, 15): 200 to it, 487 to the INVITE, and no call stays behind."""
    business = await stack.business()
    async with business.ringing() as caller:
        with numbers_locked(stack):
            ringing = asyncio.ensure_future(caller.rings())
            await until(caller.dialog.early.is_set, "180")
            assert await caller.dialog.give_up() == 200
            assert await ringing == 487
    await nothing_is_left(business)


async def test_a_cancel_that_comes_too_late_changes_nothing(stack: Stack) -> None:
    """CANCEL after the 200 (RFC 3261, 9.2): the call goes on."""
    business = await stack.business((GREETING.step,), opening="Greet.")
    async with business.called_by() as caller:
        caller.dialog.cancel()
        await caller.hears(GREETING)
        assert not caller.dialog.ended.is_set()


async def disclosing(business: Business, _: Caller) -> None:
    """In the middle of the disclosure."""
    await business.is_in("disclosing")


async def asking(business: Business, _: Caller) -> None:
    """While the question of consent is open."""
    await business.is_in("asking")


async def conversing(business: Business, caller: Caller) -> None:
    """While the caller speaks."""
    await caller.hears(GREETING)
    caller.speaks(Words("a long question", 5_000))
    await until(lambda: bool(business.sent("input_audio_buffer.speech_started")), "the model hears the caller")


async def answering(_: Business, caller: Caller) -> None:
    """While the agent speaks."""
    await until(lambda: caller.frames_heard(LECTURE) > 10, "the lecture")


async def closing(business: Business, caller: Caller) -> None:
    """During the agent's last words."""
    await business.is_in("closing")
    await until(lambda: caller.frames_heard(LECTURE) > 10, "the last words")


async def transferring(business: Business, caller: Caller) -> None:
    """After a REFER of which nothing is heard any more."""
    await business.is_in("transferring")
    await until(lambda: caller.dialog.referred_to is not None, "the REFER")


async def thinking(business: Business, caller: Caller) -> None:
    """While the model owes an answer."""
    await caller.hears(GREETING)
    caller.speaks(QUESTION)
    await until(lambda: bool(business.sent("input_audio_buffer.speech_stopped")), "the model has heard the caller")


async def test_a_caller_may_hang_up_in_any_state(stack: Stack) -> None:
    """BYE is answered with 200 wherever the call stands, and the call ends there, with its story kept."""
    cases = {
        disclosing: await stack.business(),
        asking: await stack.business(consent={"always_ask": True}),
        conversing: await stack.business((GREETING.step,), opening="Greet."),
        answering: await stack.business((LECTURE.step,), opening="Lecture."),
        closing: await stack.business((LECTURE.step, CallTool("hang_up")), opening="Lecture.", pace=0),
        transferring: await stack.business(
            (CallTool("transfer", {"target": "desk"}),), opening="Transfer.", transfers=[ELSEWHERE]
        ),
        thinking: await stack.business((GREETING.step,), (Wait(60),), opening="Greet."),
    }

    async def hang_up(state: object, business: Business) -> None:
        async with business.called_by(refer_outcome=None) as caller:
            await state(business, caller)  # type: ignore[operator]  # one of the above
            await caller.hangs_up()
            assert caller.dialog.ladder[-1][1:] == ("in", "SIP/2.0 200 OK"), caller.summary()
        story = await business.story()
        assert story.end == ("caller_hung_up", "caller"), state
        assert not await business.live()

    async with asyncio.TaskGroup() as group:
        for state, business in cases.items():
            group.create_task(hang_up(state, business), name=state.__name__)


async def test_calls_end_when_their_time_is_up_or_nothing_comes_from_the_caller(stack: Stack) -> None:
    """The longest duration is announced; a line without RTP is not talked to any longer."""
    timed = await stack.business((LECTURE.step,), opening="Lecture.", limits={"max_seconds": 4})
    mute = await stack.business((LECTURE.step,), opening="Lecture.", limits={"media_lost_seconds": 2})

    async def runs_out_of_time() -> None:
        async with timed.called_by() as caller:
            await caller.hears(*timed.words("time_is_up"))
            await caller.hears_the_end()
        assert (await timed.story()).end == ("time_ran_out", "system")

    async def loses_its_network() -> None:
        async with mute.called_by() as caller:
            await caller.hears(*stack.clips(RECORDED))
            caller.sound.muted = True
            await caller.hears_the_end()
        assert (await mute.story()).end == ("media_lost", "system")

    await asyncio.gather(runs_out_of_time(), loses_its_network())


async def awaiting_the_ack(business: Business, _: Caller) -> None:
    """Between our 200 and the ACK, which this telephone never sends."""
    await business.is_in("answering")


async def paused(business: Business, caller: Caller) -> None:
    """While an operator has stopped recording and the model's ear."""
    await caller.hears(GREETING)
    (call,) = await business.live()
    order = PauseOrdered(session_id=call.session_id, by="operator")
    assert (await ask(business.stack.home / "run", order, Done)).ok
    await business.is_in("paused")


async def leaving(business: Business, caller: Caller) -> None:
    """After the REFER of a caller who said no to being recorded."""
    await business.is_in("asking")
    caller.presses("2")
    await business.is_in("leaving")
    await until(lambda: caller.dialog.referred_to is not None, "the REFER")


async def falling_back(business: Business, _: Caller) -> None:
    """While the caller is told that there is no model."""
    await business.is_in("falling_back")


async def taking_message(business: Business, _: Caller) -> None:
    """While a message is recorded."""
    await business.is_in("taking_message")


async def test_a_late_cancel_and_then_bye_in_the_other_states(stack: Stack) -> None:
    """CANCEL changes nothing once there was a 200 (RFC 3261, 9.2); BYE ends the call in each state, story and all."""
    with_model = {
        awaiting_the_ack: await stack.business((GREETING.step,), opening="Greet."),
        paused: await stack.business((GREETING.step,), opening="Greet."),
        leaving: await stack.business(
            opening="Greet.", consent={"always_ask": True, "on_refusal": "transfer"}, transfers=[ELSEWHERE]
        ),
    }
    without = {
        falling_back: await stack.business(opening="Greet."),
        taking_message: await stack.business(opening="Greet."),
    }

    async def hang_up(state: object, business: Business) -> None:
        acknowledge = state is not awaiting_the_ack
        async with business.called_by(refer_outcome=None, acknowledge=acknowledge) as caller:
            await state(business, caller)  # type: ignore[operator]  # one of the above
            answered = caller.messages("in").count("SIP/2.0 200 OK")
            caller.dialog.cancel()
            await until(lambda: caller.messages("in").count("SIP/2.0 200 OK") > answered, "CANCEL's 200")
            assert not caller.dialog.ended.is_set()
            assert await business.live()
            await caller.hangs_up()
            assert caller.dialog.ladder[-1][1:] == ("in", "SIP/2.0 200 OK"), caller.summary()
        story = await business.story()
        assert story.end == ("caller_hung_up", "caller"), state
        assert not await business.live()

    async with asyncio.TaskGroup() as group:
        for state, business in with_model.items():
            group.create_task(hang_up(state, business), name=state.__name__)
    stack.model.refusing = True
    try:
        async with asyncio.TaskGroup() as group:
            for state, business in without.items():
                group.create_task(hang_up(state, business), name=state.__name__)
    finally:
        stack.model.refusing = False
