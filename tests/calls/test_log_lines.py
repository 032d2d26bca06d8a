"""The log of a whole server: one call's lines can be found in it, whichever process wrote them."""

import json

import pytest

from tests.calls.damage import becomes
from tests.calls.model import Words
from tests.calls.stack import QUESTION, Stack

pytestmark = pytest.mark.asyncio(loop_scope="session")

GREETING = Words("Good morning.", 1_500)


async def test_a_call_with_a_fault_is_told_under_its_name(stack: Stack) -> None:
    """Its recording cannot be written for a while: worker and desk both say whose call that was."""
    log, spool = stack.home / "server.log", stack.home / "spool"
    await becomes(lambda: not list(spool.glob("*.journal")), "earlier calls are taken in")
    before = log.stat().st_size
    business = await stack.business((GREETING.step,), opening="Greet.", consent={"always_ask": True})
    async with business.called_by() as caller:
        await caller.hears(*stack.clips(QUESTION))
        (call,) = await business.live()
        in_the_way = spool / f"{call.session_id}.recording"
        in_the_way.mkdir()
        caller.presses("1")
        await caller.hears(GREETING)
        in_the_way.rmdir()
        await becomes(lambda: b"spool_writes_again" in log.read_bytes()[before:], "it can be written")
    story = await business.story()
    assert [alarm["what"] for alarm in story.happened("alarm_raised")] == ["recording_not_written"]
    lines = [json.loads(line) for line in log.read_bytes()[before:].splitlines() if line.startswith(b"{")]
    assert all("part" in line for line in lines if "spool" in line["event"]), "also those of the writer's thread"
    told = [line for line in lines if line.get("part", "").startswith(("worker", "desk"))]
    told = [line for line in told if line["event"] != NOT_OF_A_CALL]
    assert {(line.get("call"), line.get("tenant")) for line in told} == {(call.session_id, str(business.tenant_id))}
    assert {line["event"] for line in told} == {"spool_write_failed", "spool_writes_again", "call_ingested"}


NOT_OF_A_CALL = "operator_connected"
