"""A caller is erased from a whole running server: nothing of the call, the number or the voice is found anywhere."""

import asyncio
import audioop
import base64
import os
import tempfile
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from uuid import UUID

import pytest
from sqlmodel import select

from policies.audit_tags import OPERATOR
from policies.erasure import OBJECTS, Reason
from scripts.master_key import master_key_of
from store.audit.checkpoints import public_keys
from store.backup import OBJECTS_PART
from store.erasure.receipts import hand_out, problems_of
from store.erasure.sessions import Receipt, erase_sessions, find_erasure
from store.parts import reading
from store.recordings import blob_name
from store.settings import StoreSettings
from store.tables.calls import MessageTable, SessionTable, TurnTable
from store.tables.keys import DataKeyTable
from tests.calls.damage import all_ready, kill
from tests.calls.model import Words
from tests.calls.stack import Business, Stack
from tests.calls.test_canary import files_with, sound
from tests.store.restoring import KEY, back_up
from voice.rehearsal.audio import FORMATS
from voice.rehearsal.mind import CallTool
from voice.rehearsal.mouth import Mouth

pytestmark = pytest.mark.asyncio(loop_scope="session")

CALLER = "+12125557564"
PHRASE = "the turquoise otter borrows forty umbrellas"
REPLY = Words("your marble pelican is ready at dusk", 1_200)
TAKEN = Words("noted", 400)
_LARGEST = 64 << 20


def _written(name: str, text: str) -> dict[str, bytes]:
    """A text as it might lie somewhere: plain, wide, in hex, and in base64 wherever it begins in a group of three."""
    plain = text.encode()
    encoded = {
        f"{name} (base64, {skipped})": base64.b64encode(bytes(skipped) + plain)[(4 if skipped else 0) : -4].rstrip(b"=")
        for skipped in range(3)
    }
    return {
        name: plain,
        f"{name} (UTF-16)": text.encode("utf-16-le"),
        f"{name} (hex)": plain.hex().encode(),
        **encoded,
    }


def _new_files(folder: Path, since: float) -> Iterator[Path]:
    """What was written in a folder for temporary things since a moment, by whomever."""
    for root, _, names in os.walk(folder):
        for name in names:
            path = Path(root, name)
            try:
                facts = path.lstat()
            except OSError:
                continue
            if path.is_file() and facts.st_mtime >= since and facts.st_size < _LARGEST:
                yield path


def _found_in(paths: Iterator[Path], needles: dict[str, bytes]) -> list[str]:
    found = []
    for path in paths:
        try:
            content = path.read_bytes()
        except OSError:
            continue
        found += [f"{name} in {path}" for name, needle in needles.items() if needle in content]
    return found


def _inside_a_backup(home: Path) -> bytes:
    """Everything in a backup that is made now, opened with its private key."""
    settings = StoreSettings(None, home, base64.b64decode(master_key_of(home).reveal()))
    inside = []
    with tempfile.TemporaryDirectory() as folder:
        backup = back_up(settings, Path(folder), now=datetime.now(UTC))
        for name in backup.contents.parts:
            with reading(backup.folder / name, [KEY], compressed=name != OBJECTS_PART) as members:
                inside += [member.whole() for member in members]
    return b"\n".join(inside)


async def _sealed(business: Business, session_id: UUID) -> dict[str, bytes]:
    """What the store holds of the call, as it lies there: in hex the columns, as PostgreSQL copies them."""
    of_call = {
        "its key": select(DataKeyTable.wrapped).where(DataKeyTable.session_id == session_id),
        "its caller": select(SessionTable.caller_sealed).where(SessionTable.id == session_id),
        "its caller's index": select(SessionTable.caller_index).where(SessionTable.id == session_id),
        "a turn": select(TurnTable.text_sealed).where(TurnTable.session_id == session_id),
        "a message": select(MessageTable.text_sealed).where(MessageTable.session_id == session_id),
    }
    found = {}
    async with business.stack.database.tenant(business.tenant_id) as store:
        for name, statement in of_call.items():
            value = await store.first(statement)
            assert value is not None
            found[f"{name}, sealed"] = value.hex().encode()
    recording = business.stack.blobs.read_at(blob_name(business.tenant_id, session_id), 0, 4096)
    return {**found, "its recording, sealed": recording[-256:]}


async def _finished(business: Business, erasure_id: UUID) -> Receipt:
    """Wait for the server's own jobs to carry it out."""
    async with asyncio.timeout(60):
        while True:
            async with business.stack.database.tenant(business.tenant_id) as store:
                receipt = await find_erasure(store, erasure_id)
            if receipt.finished_at is not None:
                return receipt
            await asyncio.sleep(0.1)


async def test_an_erased_caller_is_nowhere(battered: Stack) -> None:
    """Database, objects, spool, clips, logs, temporary folders and the next backup hold nothing of it, in no encoding.

    That what was spoken was there to be found is shown before; that it was erased is proven by the receipt.
    """
    began = time.time()
    mouth = Mouth()
    try:
        spoken = await mouth.speak(PHRASE, FORMATS["audio/pcmu"], language="en")
    finally:
        await mouth.close()
    needles = {
        **_written("what the caller said", PHRASE),
        **_written("what the agent said", REPLY.text),
        **_written("the caller's number", CALLER.removeprefix("+1")),
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
    story = await business.story()
    session_id = story.session.id
    assert story.session.caller == CALLER
    assert ("caller", PHRASE) in story.said()
    assert REPLY.mulaw in story.agent, "so it was there to be found"
    names = list(battered.blobs.list())
    assert {name.partition("/")[0] for name in names} <= set(OBJECTS), "each kind of object is in the manifest"
    assert any(str(session_id) in name for name in names)

    sealed = await _sealed(business, session_id)
    before = await asyncio.to_thread(_inside_a_backup, battered.home)
    assert [name for name, needle in sealed.items() if needle not in before] == [], "a backup holds it, sealed"

    async with battered.database.tenant(business.tenant_id) as store:
        asked = await erase_sessions(store, battered.blobs, [session_id], actor=OPERATOR, reason=Reason.CALLER_ASKED)
    receipt = await _finished(business, asked.erasure_id)
    assert (receipt.sessions, receipt.counts["recordings"], receipt.counts["messages"]) == (1, 1, 1)
    assert receipt.signed is not None
    document = await hand_out(battered.database, business.tenant_id, receipt.signed)
    assert problems_of(document, await public_keys(battered.database, business.tenant_id)) == ()
    assert await business.sessions() == ()
    assert not any(str(session_id) in name for name in battered.blobs.list("recordings/"))

    after = await asyncio.to_thread(_inside_a_backup, battered.home)
    assert [name for name, needle in {**needles, **sealed}.items() if needle in after] == []

    # A database that recovers from a crash ends with a checkpoint: all that it has is in its files then.
    await all_ready(battered.server, "database", kill(battered.server, "database"))
    assert files_with(battered.home, needles) == []
    assert _found_in(_new_files(Path(tempfile.gettempdir()), began), needles) == []
    marker = battered.home / "spool" / "marker"
    marker.write_bytes(b"x" * 1000 + base64.b64encode(b"see: " + PHRASE.encode() + b" and more"))
    assert files_with(battered.home, needles), "the search finds things, also in base64"
    marker.unlink()
