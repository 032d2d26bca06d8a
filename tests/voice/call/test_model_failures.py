"""A model that refuses, breaks, errs or falls silent: one reconnect with the conversation so far, then a fallback."""

import asyncio
import time

import msgspec

from tests.fakes.line import LocalLine
from tests.fakes.plans import PLAN, tone
from tests.voice.call.conftest import SPEECH, Left, Scripted, World, plan_for, sounds_like, until
from tests.voice.call.test_conversation import sound
from voice.rehearsal.mind import Drop, Fail, SendError, Wait, WaitForSpeech
from voice.rehearsal.script import Script, Turn
from voice.rehearsal.server import RehearsalServer
from voice.waist import journal as records
from voice.waist.messages import TokenDenied
from voice.waist.plan import FallbackTerms, RecordingTerms

RECORDED = RecordingTerms(allowed=True, starts="answer")


def items(server: RehearsalServer, connection: int) -> list[tuple[str, str]]:
    """The messages that a session was given, as (role, text)."""
    return [
        (seen.event["item"]["role"], seen.event["item"]["content"][0]["text"])
        for seen in server.events("conversation.item.create", connection)
        if seen.event["item"]["type"] == "message"
    ]


def said(left: Left) -> list[str]:
    """What the caller heard, sentence by sentence."""
    return [turn.text for turn in left.all(records.TurnSpoken)]


async def heard_tone(line: LocalLine, hertz: float) -> float:
    """Wait until the caller has heard a tone; when that began."""

    def ticks() -> list[int]:
        frames = (bytes(line.heard[at : at + 320]) for at in range(0, len(line.heard), 320))
        return [tick for tick, frame in enumerate(frames) if sounds_like(frame, hertz) > 0.95]

    await until(lambda: len(ticks()) > 3)
    return line.tick_times[ticks()[0]]


async def test_first_refusal_is_tried_again(world: World, scripted: Scripted) -> None:
    """A model that refuses the first connection and takes the second makes a call like any other."""
    server = await scripted(Script([Turn((sound("Hello.", 0.4),))], pace=0, refused_connections=1))
    plan = plan_for(server)
    line = world.ring(plan)
    await heard_tone(line, 1000)
    left = await world.ended(line, plan, hang_up=True)
    assert [(record.what, record.code) for record in left.all(records.ModelChanged)] == [
        ("refused", "http_503"),
        ("connected", None),
    ]


async def test_no_model_at_all_takes_a_message(world: World, scripted: Scripted) -> None:
    """Without a model the caller is told so and may leave a message, which is a stretch of the recording."""
    server = await scripted(Script(refused_connections=99))
    plan = plan_for(server, recording=RECORDED)
    line = world.ring(plan)
    await until(lambda: world.said("taking_message"))
    await heard_tone(line, 560)
    await until(lambda: line.playout.queued_ms == 0)
    message = tone(330, 1.0)
    line.speak(bytes(3200) + message)
    await until(lambda: not line.speaking)
    line.press_key("#")
    left = await world.ended(line, plan)
    taken = left.one(records.MessageTaken)
    assert taken.from_sample is not None
    assert taken.to_sample is not None
    start = left.one(records.RecordingStarted).at_sample
    assert sounds_like(left.caller[taken.from_sample - start : taken.to_sample - start], 330, mulaw=True) > 0.8
    assert left.one(records.CallEnded).reason == "message_taken"
    assert sounds_like(bytes(line.heard[-4800:]), 600) > 0.9
    assert [record.what for record in left.all(records.ModelChanged)] == ["refused", "refused", "given_up"]


async def test_message_is_left_by_hanging_up(world: World, scripted: Scripted) -> None:
    """Most people end a message by hanging up; it is a message all the same."""
    server = await scripted(Script(refused_connections=99))
    plan = plan_for(server, recording=RECORDED)
    line = world.ring(plan)
    await heard_tone(line, 560)
    await until(lambda: line.playout.queued_ms == 0)
    line.speak(tone(330, 0.6))
    await until(lambda: not line.speaking)
    left = await world.ended(line, plan, hang_up=True)
    taken = left.one(records.MessageTaken)
    assert taken.from_sample is not None
    assert taken.to_sample is not None
    assert taken.to_sample - taken.from_sample >= 8000 * 0.6
    assert left.one(records.CallEnded).by == "caller"


async def test_fallback_without_recording_ends_politely(world: World, scripted: Scripted) -> None:
    """Where nothing may be recorded no message can be taken: none is promised, and the call ends with a goodbye."""
    server = await scripted(Script(refused_connections=99))
    plan = plan_for(server, recording=RecordingTerms(allowed=False))
    line = world.ring(plan)
    left = await world.ended(line, plan)
    assert left.one(records.CallEnded).reason == "model_lost"
    assert said(left) == [plan.clips.disclosure.text, plan.clips.model_lost_end.text, plan.clips.goodbye.text]
    assert sounds_like(bytes(line.heard[-4800:]), 480) > 0.9


async def test_fallback_to_nobody_ends_politely(world: World, scripted: Scripted) -> None:
    """A plan whose transfer leads nowhere promises none."""
    server = await scripted(Script(refused_connections=99))
    plan = plan_for(server, fallback=FallbackTerms(action="transfer", target_id="desk"), transfer_targets=())
    left = await world.ended(world.ring(plan), plan)
    assert said(left) == [plan.clips.disclosure.text, plan.clips.model_lost_end.text, plan.clips.goodbye.text]


async def test_fallback_transfers(world: World, scripted: Scripted) -> None:
    """The plan may want callers sent to somebody when there is no model."""
    server = await scripted(Script(refused_connections=99))
    plan = plan_for(server, fallback=FallbackTerms(action="transfer", target_id="desk"))
    line = world.ring(plan)
    left = await world.ended(line, plan)
    assert line.transfers == ["sip:desk@127.0.0.1"]
    assert said(left)[1] == plan.clips.model_lost.text
    assert left.one(records.CallEnded).reason == "transferred"


async def test_no_token_means_no_model(world: World, scripted: Scripted) -> None:
    """A token that cannot be had is a refusal with the desk's code."""
    server = await scripted(Script())
    world.desk.token = TokenDenied(code="region_not_listed")
    plan = plan_for(server, recording=RecordingTerms(allowed=False))
    left = await world.ended(world.ring(plan), plan)
    assert left.all(records.ModelChanged)[0].code == "region_not_listed"
    assert not server.received


async def test_dropped_connection_comes_back_with_the_conversation(world: World, scripted: Scripted) -> None:
    """The new session is told what was said so far and asked for the answer that the old one owed."""
    server = await scripted(
        Script(
            [
                Turn((sound("Hello there.", 0.4),)),
                Turn((Drop(),), heard="Where are you?"),
            ],
            pace=0,
        )
    )
    plan = plan_for(server)
    line = world.ring(plan)
    await until(lambda: world.turns() == 2)
    line.speak(SPEECH)
    await until(lambda: server.events("response.create", 1), 8)
    assert items(server, 1) == [
        ("assistant", plan.clips.disclosure.text),
        ("assistant", "Hello there."),
        ("user", "Where are you?"),
    ]
    left = await world.ended(line, plan, hang_up=True)
    assert [record.what for record in left.all(records.ModelChanged)] == ["connected", "dropped", "reconnected"]


async def test_killed_server_leads_to_the_fallback_within_two_seconds(world: World, scripted: Scripted) -> None:
    """The caller hears what is going on at most two seconds after the model's server has died."""
    server = await scripted(Script([Turn((sound("A very long story.", 20.0),))], pace=0))
    plan = plan_for(server)
    line = world.ring(plan)
    await heard_tone(line, 1000)
    killed = time.monotonic()
    await server.close()
    assert await heard_tone(line, 520) - killed < 2.0
    left = await world.ended(line, plan, hang_up=True)
    assert [record.what for record in left.all(records.ModelChanged)] == [
        "connected",
        "dropped",
        "refused",
        "given_up",
    ]


async def test_error_events(world: World, scripted: Scripted) -> None:
    """An error about our own input is journalled and survived; one of the server's own leads to a new session."""
    server = await scripted(
        Script(
            [Turn((sound("Hello.", 0.4),))],
            pace=0,
            meanwhile=(
                Wait(0.8),
                SendError(code="invalid_value", kind="invalid_request_error"),
                WaitForSpeech(),
                SendError(code="session_expired", kind="server_error"),
            ),
        )
    )
    plan = plan_for(server)
    line = world.ring(plan)
    await until(lambda: world.turns() == 2)
    assert len(server.events("session.update")) == 1
    line.speak(SPEECH)
    await until(lambda: len(server.events("session.update")) == 2)
    left = await world.ended(line, plan, hang_up=True)
    changes = [(record.what, record.code) for record in left.all(records.ModelChanged)]
    assert changes[:4] == [
        ("connected", None),
        ("error", "invalid_value"),
        ("error", "session_expired"),
        ("reconnected", None),
    ]


async def test_failed_response_is_asked_for_again(world: World, scripted: Scripted) -> None:
    """A response that fails is asked for once more in the same session, and its code is journalled."""
    server = await scripted(Script([Turn((Fail(code="rate_limit_exceeded"),)), Turn((sound("Hi.", 0.4),))], pace=0))
    plan = plan_for(server)
    line = world.ring(plan)
    await heard_tone(line, 1000)
    left = await world.ended(line, plan, hang_up=True)
    assert [(record.what, record.code) for record in left.all(records.ModelChanged)] == [
        ("connected", None),
        ("error", "rate_limit_exceeded"),
    ]


async def test_silent_model_is_given_up(world: World, scripted: Scripted) -> None:
    """A model that owes an answer and sends nothing counts as failed, and so does the session after it."""
    server = await scripted(Script([Turn((Wait(60),))], repeat=True, pace=0))
    plan = plan_for(
        server,
        limits=msgspec.structs.replace(PLAN.limits, model_silence_seconds=0.5),
        recording=RecordingTerms(allowed=False),
    )
    line = world.ring(plan)
    left = await world.ended(line, plan)
    changes = [record.what for record in left.all(records.ModelChanged)]
    assert changes == ["connected", "silent", "reconnected", "silent", "given_up"]
    assert left.one(records.CallEnded).reason == "model_lost"


async def test_desk_away_at_a_reconnect(world: World, scripted: Scripted) -> None:
    """While the desk is away, a call reconnects with the token it still has."""
    server = await scripted(Script([Turn((sound("Hello.", 0.4),)), Turn((Drop(),))], pace=0))
    plan = plan_for(server)
    line = world.ring(plan)
    await until(lambda: world.turns() == 2)
    await world.desk.stop()
    line.speak(SPEECH)
    await until(lambda: server.events("session.update", 1), 8)
    await asyncio.sleep(0.2)
    await world.desk.start()
    left = await world.ended(line, plan, hang_up=True)
    assert [record.what for record in left.all(records.ModelChanged)] == ["connected", "dropped", "reconnected"]
