"""What a caller says, and who it is, is nowhere in plaintext; and processes hold only the secrets they need."""

import audioop
import os
from pathlib import Path

import pytest

from scripts.master_key import master_key_of
from tests.calls.damage import all_ready, becomes, kill, pid_of
from tests.calls.model import Words
from tests.calls.stack import KEY, Stack
from tests.scripts.test_serve import memory_holds
from voice.rehearsal.audio import FORMATS
from voice.rehearsal.mind import CallTool
from voice.rehearsal.mouth import Mouth

pytestmark = pytest.mark.asyncio(loop_scope="session")

CALLER = "+12125557391"
PHRASE = "the purple walrus counts seventeen lanterns"
REPLY = Words("your quartz giraffe is ready at noon", 1_200)
TAKEN = Words("noted", 400)


def environment_of(pid: int) -> bytes:
    return Path(f"/proc/{pid}/environ").read_bytes()


def files_with(folder: Path, needles: dict[str, bytes]) -> list[str]:
    """Which of these bytes are in which files, for all files below a folder."""
    found = []
    for path in folder.rglob("*"):
        try:
            content = path.read_bytes() if path.is_file() else b""
        except FileNotFoundError:
            continue
        found += [f"{name} in {path.relative_to(folder)}" for name, needle in needles.items() if needle in content]
    return found


def sound(name: str, mulaw: bytes) -> dict[str, bytes]:
    """Stretches of a sound as they might be written: companded, linear, and as a side of an interleaved recording."""
    loud = max(
        range(0, len(mulaw) - 320, 160), key=lambda at: audioop.rms(audioop.ulaw2lin(mulaw[at : at + 320], 2), 2)
    )
    piece = mulaw[loud : loud + 64]
    left = b"".join(bytes((sample, 0xFF)) for sample in piece)
    return {
        f"{name} (mu-law)": piece,
        f"{name} (PCM)": audioop.ulaw2lin(piece, 2),
        f"{name} (left)": left,
        f"{name} (right)": b"\xff" + left[:-1],
    }


async def test_a_canary(battered: Stack) -> None:
    """Spoken, said and pressed in a call: not in the spool while it lasts, not in database, blobs or logs after it."""
    mouth = Mouth()
    try:
        spoken = await mouth.speak(PHRASE, FORMATS["audio/pcmu"], language="en")
    finally:
        await mouth.close()
    needles = {
        "what the caller said": PHRASE.encode(),
        "what the agent said": REPLY.text.encode(),
        "the caller's number": CALLER.removeprefix("+1").encode(),
        **sound("the caller's voice", spoken),
        **sound("the agent's voice", REPLY.mulaw),
    }
    business = await battered.business(
        (REPLY.step,), (CallTool("take_message", {"text": PHRASE}),), (TAKEN.step,), opening="Greet.", heard=PHRASE
    )
    async with business.called_by(CALLER) as caller:
        await caller.hears(REPLY)
        caller.plays(audioop.ulaw2lin(spoken, 2))
        await caller.hears(TAKEN)
        spool = battered.home / "spool"
        await becomes(lambda: sum(file.stat().st_size for file in spool.glob("*.recording")) > 16_000, "it is recorded")
        assert files_with(battered.home, needles) == []
    story = await business.story()
    assert ("caller", PHRASE) in story.said()
    assert [message.text for message in story.messages] == [PHRASE]
    assert REPLY.mulaw in story.agent, "so it was there to be found"
    # A database that recovers from a crash ends with a checkpoint: all that it has is in its files then.
    await all_ready(battered.server, "database", kill(battered.server, "database"))
    assert files_with(battered.home, needles) == []
    marker = battered.home / "spool" / "marker"
    marker.write_bytes(b"x" * 1000 + needles["the agent's voice (left)"])
    assert files_with(battered.home, needles) == ["the agent's voice (left) in spool/marker"], "the search finds things"
    marker.unlink()


async def test_a_worker_with_a_call_holds_no_secret(battered: Stack) -> None:
    """In the middle of a call neither its worker nor the edge has the provider's key or the master key anywhere."""
    if os.geteuid() != 0:
        pytest.skip("NOT TESTED: only root may read other processes' memory")
    master = master_key_of(battered.home).reveal()
    business = await battered.business((REPLY.step,), opening="Greet.")
    async with business.called_by() as caller:
        await caller.hears(REPLY)
        (call,) = await business.live()
        for name in (call.worker, "edge"):
            pid = pid_of(battered.server, name)
            assert pid is not None
            environment = environment_of(pid)
            for secret in (KEY.encode(), master.encode()):
                assert secret not in environment, name
                assert not memory_holds(pid, secret), name
        desk = pid_of(battered.server, "desk")
        assert desk is not None
        assert memory_holds(desk, KEY.encode()), "the search finds what is there"
