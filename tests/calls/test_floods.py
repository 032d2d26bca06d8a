"""More calls than anyone can take, from one source. Those that are up are none the worse for it."""

import asyncio
import json
import sys
from pathlib import Path

import pytest

from tests.calls.caller import until
from tests.calls.damage import longest_gap, lost_packets, show
from tests.calls.model import Words
from tests.calls.stack import Stack
from tests.peers import flood

pytestmark = pytest.mark.asyncio(loop_scope="session")

GREETING = Words("Good morning.", 400)
QUESTION = Words("a question", 500)


@pytest.mark.parametrize(
    ("rate", "seconds", "what"), [pytest.param(300, 20, "talk", marks=pytest.mark.long), (200, 8, "cancel")]
)
async def test_a_flood(battered: Stack, rate: int, seconds: int, what: str) -> None:
    """Every INVITE gets an honest answer, no process dies, and a running call hears every frame of its agent."""
    lecture = Words("an answer as long as the flood", 1000 * seconds + 2_000)
    business = await battered.business((GREETING.step,), (lecture.step,), opening="Greet.", pace=0)
    flooded = await battered.business(max_calls=3)
    before = battered.server.status()
    async with business.called_by() as caller:
        await caller.hears(GREETING)
        caller.speaks(QUESTION)
        await until(lambda: caller.frames_heard(lecture) > 10, "the answer has begun")
        since = caller.sound.frames[-1][0]
        command = [str(Path(flood.__file__)), str(battered.server.sip_port), flooded.called, str(rate), str(seconds)]
        process = await asyncio.create_subprocess_exec(
            sys.executable, *command, what, stdout=asyncio.subprocess.PIPE, stdin=asyncio.subprocess.DEVNULL
        )
        try:
            async with asyncio.timeout(60):
                printed, _ = await process.communicate()
        finally:
            if process.returncode is None:
                process.kill()
                await process.wait()
        await caller.hears(lecture)
        assert not caller.dialog.ended.is_set()
        gap = longest_gap(caller, since)
        assert lost_packets(caller) == 0
    counted = json.loads(printed)
    show(f"{rate} INVITE/s, {what}: {counted}; longest gap of the call that was up {gap * 1000:.0f} ms")
    assert gap < 1.0
    statuses = {int(status): count for status, count in counted["statuses"].items()}
    # 486: the tenant is at its own limit. 487: cancelled in time.
    assert set(statuses) <= {200, 486, 503} | ({487} if what == "cancel" else set())
    assert sum(statuses.values()) > 0.95 * counted["calls"], "what is dropped is sent again by a real caller"
    assert statuses[503] > counted["calls"] / 3
    after = battered.server.status()
    assert [(one.name, one.pid) for one in after.processes] == [(one.name, one.pid) for one in before.processes]
    assert (await business.story()).end == ("caller_hung_up", "caller")
