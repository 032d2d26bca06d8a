"""Whole calls through the worker's half: disclosure, gate, conversation, interruption, transcript, recording."""

import asyncio

from tests.voice.call.conftest import SPEECH, World, plan_for, until
from voice.rehearsal.mind import Say
from voice.rehearsal.script import Script, Turn
from voice.waist import journal as records


async def test_a_call_from_invite_to_closed_journal(world: World, scripted) -> None:
    """Disclosure first, then greeting, a turn of the caller's and its answer, all recorded and written down."""
    server = await scripted(
        Script([Turn.saying("Good day, how can I help?"), Turn((Say("We open at nine."),), heard="When do you open?")])
    )
    plan = plan_for(server)
    line = world.ring(plan)
    await until(lambda: len(server.events("response.create")) == 1)
    await asyncio.sleep(2.0)
    line.speak(SPEECH)
    await until(lambda: any("output_audio.done" in seen.kind for seen in server.sent[-12:]) and not line.speaking, 10)
    await asyncio.sleep(4)
    left = await world.ended(line, plan, hang_up=True)
    for record in left.records:
        print(record)
    assert left.one(records.CallEnded).by == "caller"
    assert [turn.text for turn in left.all(records.TurnSpoken)] == [
        plan.clips.disclosure.text,
        "Good day, how can I help?",
        "When do you open?",
        "We open at nine.",
    ]
