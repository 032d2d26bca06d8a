"""The same call from telephones that share no code with us, over every transport, in every codec."""

import asyncio
import audioop
import ssl
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from policies.audit_tags import OPERATOR
from store import trunks
from store.trunks import Trunk
from tests.calls.caller import ME, answers
from tests.calls.model import Words
from tests.calls.stack import RECORDED, Business, Stack
from tests.peers import baresip, sipp
from voice.rehearsal.mind import CallTool

pytestmark = pytest.mark.asyncio(loop_scope="session")

GREETING = Words("Good morning, this is Harbour Dental.", 700)
QUESTION = Words("a question", 500)
GOODBYE = Words("Goodbye then.", 600)
LOUD = 1_000
"""16-bit RMS; silence in any codec lies far below."""
with_baresip = pytest.mark.skipif(not baresip.available(), reason="NOT TESTED: baresip; apt-get install baresip-core")
with_sipp = pytest.mark.skipif(not sipp.available(), reason="NOT TESTED: sipp; apt-get install sip-tester")


async def a_polite_business(stack: Stack) -> Business:
    """One that greets, hears one turn, and says goodbye."""
    return await stack.business(
        (GREETING.step,), (GOODBYE.step, CallTool("hang_up")), opening="Greet.", heard="Good morning."
    )


def loudness(mulaw: bytes) -> int:
    """Of the loudest second."""
    pcm = audioop.ulaw2lin(mulaw, 2)
    return max((audioop.rms(pcm[at : at + 16_000], 2) for at in range(0, len(pcm), 16_000)), default=0)


def new_folder(parent: Path, name: str) -> Path:
    """One for a baresip of its own."""
    folder = parent / name
    folder.mkdir()
    return folder


async def rings_with_baresip(business: Business, folder: Path, transport: str, codec: str, *, srtp: bool) -> None:
    """A whole call: baresip listens for five seconds, says a tone for one, and is seen off."""
    telephone = baresip.Baresip(
        folder,
        codec=codec,
        transport=transport,
        user=ME,
        encryption="srtp-mand" if srtp else "",
        authority=business.stack.authority,
        quiet_seconds=5,
        tone_seconds=1,
    )
    printed = await telephone.call(business.uri(transport).partition(";")[0], 25, until="session closed")
    assert "Call established" in printed, printed
    assert telephone.loudest_heard() > 8 * LOUD, "noise of the model's"
    story = await business.story()
    assert story.end == ("agent_hung_up", "agent")
    assert [("agent", GREETING.text), ("caller", "Good morning."), ("agent", GOODBYE.text)] == story.said()[1:]
    agreed = story.happened("media_agreed")[0]
    assert agreed["codec"] == codec.partition("/")[0]
    assert agreed["srtp"].startswith("AES_") if srtp else agreed["srtp"] == "none"
    assert loudness(story.caller) > LOUD, "the tone"
    assert GREETING.mulaw in story.agent


@with_baresip
async def test_baresip_in_clear(stack: Stack, tmp_path: Path) -> None:
    """UDP and TCP, each codec that we speak."""
    async with asyncio.TaskGroup() as group:
        for transport, codec in (("udp", "PCMU"), ("tcp", "PCMA"), ("udp", "G722/16000/1"), ("tcp", "PCMU")):
            business = await a_polite_business(stack)
            folder = new_folder(tmp_path, f"{transport}-{codec[:4]}")
            group.create_task(rings_with_baresip(business, folder, transport, codec, srtp=False), name=folder.name)


@pytest_asyncio.fixture(loop_scope="session")
async def strict_trunk(stack: Stack) -> AsyncIterator[Trunk]:
    """While it is there, this machine counts as a carrier that must use TLS 1.3 and encrypt sound."""
    business = await stack.business()

    async def edge_says(status: int) -> None:
        await answers(lambda: knock(business), status, f"an INVITE over UDP gets {status}")

    async with stack.database.tenant(business.tenant_id) as store:
        trunk = await trunks.create(
            store,
            name="strict",
            networks=["127.0.0.1/32"],
            transports=["tls"],
            srtp="mandatory",
            min_tls="1.3",
            actor=OPERATOR,
        )
    await edge_says(403)
    try:
        yield trunk
    finally:
        async with stack.database.tenant(business.tenant_id) as store:
            await trunks.remove(store, trunk.id, actor=OPERATOR)
        await edge_says(404)


async def knock(business: Business, transport: str = "udp") -> int:
    """Ring a number that nobody has."""
    uri = business.uri(transport).replace(business.called, "+12123450000")
    async with business.stack.telephone(uri) as caller:
        return await caller.rings()


@with_baresip
async def test_a_carrier_that_must_encrypt(stack: Stack, strict_trunk: Trunk, tmp_path: Path) -> None:
    """TLS 1.3 with SRTP is taken, from baresip and in two codecs; anything less is refused."""
    business = await stack.business()
    async with business.ringing() as caller:
        assert await caller.rings() == 403, "UDP is not among its transports"
    async with business.ringing(transport="tls") as caller:
        assert await caller.rings() == 488, "its sound is not encrypted"
    old = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    old.check_hostname = False
    old.verify_mode = ssl.CERT_NONE
    old.maximum_version = ssl.TLSVersion.TLSv1_2
    async with business.ringing(transport="tls", tls=old) as caller:
        with pytest.raises(OSError):  # noqa: PT011  # OpenSSL's and the kernel's errors have this in common
            await caller.rings()
    async with asyncio.TaskGroup() as group:
        for codec in ("PCMU", "G722/16000/1"):
            carried = await a_polite_business(stack)
            group.create_task(
                rings_with_baresip(carried, new_folder(tmp_path, codec[:4]), "tls", codec, srtp=True), name=codec
            )
    assert (await carried.story()).session.trunk == str(strict_trunk.id)


async def test_our_own_telephone_over_every_transport(stack: Stack) -> None:
    """UDP, TCP and TLS 1.3 against the server's own certificate: every frame that the model said is heard."""
    trusting = ssl.create_default_context(cafile=str(stack.authority))
    trusting.minimum_version = ssl.TLSVersion.TLSv1_3

    async def talks(transport: str) -> None:
        business = await a_polite_business(stack)
        async with business.called_by(transport=transport, tls=trusting if transport == "tls" else None) as caller:
            await caller.hears(*stack.clips(RECORDED))
            await caller.hears(GREETING)
            caller.speaks(QUESTION)
            await caller.hears(GOODBYE)
            await caller.hears_the_end()
        story = await business.story()
        assert story.end == ("agent_hung_up", "agent"), transport
        assert QUESTION.share_in(story.caller) > 0.7

    async with asyncio.TaskGroup() as group:
        for transport in ("udp", "tcp", "tls"):
            group.create_task(talks(transport), name=transport)


async def test_a_law(stack: Stack) -> None:
    """PCMA from our own telephone: what is heard and what is recorded is the same, but for the law's own steps."""
    business = await a_polite_business(stack)
    async with business.called_by(codec="PCMA") as caller:
        await caller.hears_nearly(GREETING)
        caller.speaks(QUESTION)
        await caller.hears_nearly(GOODBYE)
    story = await business.story()
    assert story.happened("media_agreed")[0]["codec"] == "PCMA"
    assert GREETING.mulaw in story.agent, "recorded before the line's codec"
    assert loudness(story.caller) > LOUD


@with_sipp
async def test_sipp(stack: Stack, tmp_path: Path) -> None:
    """Twenty callers, five a second, who hang up at once: each call is in the store, and none is left."""
    business = await stack.business()
    status, printed = await sipp.run(
        tmp_path, sipp.CALLS, stack.server.sip_port, called=business.called, calls=20, rate=5, at_once=6
    )
    assert status == 0, printed
    stories = await business.stories(20)
    assert {story.end for story in stories} == {("caller_hung_up", "caller")}
    assert not await business.live()
