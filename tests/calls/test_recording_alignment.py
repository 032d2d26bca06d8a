"""Both sides of a recording lie where the wire had them. `scripts/bench alignment` shows it over ten minutes."""

import audioop

import pytest

from scripts.benchmarks.alignment import TURN_DETECTION, click_through, clicking_speech, misalignment
from tests.calls.damage import show
from tests.calls.stack import Stack

pytestmark = pytest.mark.asyncio(loop_scope="session")

SECONDS = 40


@pytest.mark.long
async def test_clicks_of_both_sides(battered: Stack) -> None:
    """With 2 % loss, a click of the caller and one of the model are as far apart as on the wire, within 20 ms."""
    business = await battered.business(
        clicking_speech(SECONDS + 10), opening="Click.", model={"turn_detection": TURN_DETECTION}
    )
    sound = await click_through(business.uri(), SECONDS, loss=0.02)
    story = await business.story()
    found = misalignment(sound, audioop.ulaw2lin(story.caller, 2), audioop.ulaw2lin(story.agent, 2))
    show(f"{found}")
    assert found["found"] > SECONDS / 2, "enough to judge by; a busy jitter buffer smears some"
    assert abs(found["error_ms_median"]) < 20
    assert found["error_ms"]["p50"] < 20, "single clicks lie where this busy process saw them, which is later"
    assert abs(found["drift_ms"]) < 20
