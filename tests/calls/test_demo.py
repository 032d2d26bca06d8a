"""The demo mind on the telephone: it hears words through a real line, and answers from the scenario's text."""

import pytest

from scripts.cli_call import speaker
from tests.calls.caller import until
from tests.calls.stack import RECORDED, Stack

pytestmark = pytest.mark.asyncio(loop_scope="session")

HOURS = "We are open from Monday to Friday, 8 to 17 o'clock."


async def test_a_caller_asks_for_the_opening_hours_by_voice(stack: Stack) -> None:
    """What are your opening hours: understood, answered with the scenario's own sentence, heard, and written down."""
    business = await stack.business(
        demo=True,
        instructions=f"You are the receptionist of Harbour Dental. {HOURS}",
        opening='Greet the caller with "Good morning."',
    )
    said = stack.model.said_to
    async with business.called_by() as caller, speaker() as speak:
        await caller.hears(*stack.clips(RECORDED))
        await until(lambda: len(said(business.instructions)) == 1, "a greeting")
        greeting, sound = said(business.instructions)[0]
        assert greeting == "Good morning."
        await caller.hears(sound)
        caller.plays(await speak("What are your opening hours?"))
        await until(lambda: len(said(business.instructions)) == 2, "an answer")
        answer, sound = said(business.instructions)[1]
        assert HOURS in answer
        await caller.hears(sound)
    story = await business.story()
    assert story.said() == [
        ("agent", RECORDED),
        ("agent", greeting),
        ("caller", "what are your opening hours"),
        ("agent", answer),
    ]
