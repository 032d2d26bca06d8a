"""Callers whose messages come by IPv6."""

import pytest

from scripts.phone.dialog import Dialog
from scripts.phone.rtp import Sound
from tests.calls.caller import ME, Caller
from tests.calls.model import Words
from tests.calls.stack import Stack

pytestmark = pytest.mark.asyncio(loop_scope="session")

GREETING = Words("Good morning.", 500)


@pytest.mark.parametrize("transport", ["udp", "tcp"])
async def test_messages_by_ipv6_and_sound_by_ipv4(stack: Stack, transport: str) -> None:
    """The caller hears and is heard, its BYE arrives, and it is never sent to another address than [::1]."""
    business = await stack.business((GREETING.step,), opening="Greet.")
    caller = Caller(business.uri(transport, "[::1]"), ME, "PCMU")
    dialog = caller.dialog = Dialog(
        business.uri(transport, "[::1]"), sound=caller.sound, caller=ME, host="::1", codecs=("PCMU",)
    )
    try:
        assert await caller.rings() == 200, caller.summary()
        assert dialog.final is not None
        assert dialog.final.first("contact").partition("@")[2].startswith("[::1]:")
        await caller.hears(GREETING)
        await caller.hangs_up()
        assert dialog.ladder[-1][1:] == ("in", "SIP/2.0 200 OK"), caller.summary()
    finally:
        await dialog.hang_up()
    story = await business.story()
    assert story.end == ("caller_hung_up", "caller")
    assert GREETING.mulaw in story.agent


async def test_sound_by_ipv6_is_refused(stack: Stack) -> None:
    """An offer without IPv4 gets 488 that says why, and not a call without sound; the refusal can be looked up."""
    business = await stack.business((GREETING.step,), opening="Greet.")
    sound = Sound("::1")
    dialog = Dialog(business.uri(host="[::1]"), sound=sound, caller=ME, host="::1", codecs=("PCMU",))
    try:
        assert await dialog.invite() == 488
        assert dialog.final is not None
        assert dialog.final.first("warning") == '301 aitelier "sound over IPv6 only, and we have IPv4"'
    finally:
        await dialog.hang_up()
    assert not await business.sessions()
