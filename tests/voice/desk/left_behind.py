"""What calls leave in the spool, written as a worker writes it."""

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import UUID

from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from policies.access import READS_ALL
from policies.audit_tags import OPERATOR
from policies.chunks import SALT_BYTES, SPOOLED_CHUNK_BYTES, ChunkSealer, spooled_recording_context
from store import answering, conversation, recordings, sessions
from store.blobs import Blobs
from store.engine import Database
from store.sessions import OpenedSession
from tests.database import Shop
from voice.waist import journal
from voice.waist.journal import AnyRecord, Header, JournalSealer

STARTED_UNIX_MS = 1_790_000_000_000
SOUND = bytes(range(256)) * 250  # four seconds, both sides
CALL: tuple[AnyRecord, ...] = (
    journal.CallArrived(
        at_ms=0, sip_call_id="a@192.0.2.1", called="100", caller="+493012345678", trunk="loopback", language="de"
    ),
    journal.StateEntered(at_ms=1, state="answering", because="PlanGranted"),
    journal.MediaAgreed(at_ms=10, codec="PCMA", srtp="none"),
    journal.StateEntered(at_ms=20, state="disclosing", because="AnswerAcknowledged"),
    journal.DisclosurePlayed(at_ms=3000, wording_sha256="ab" * 32, language="de", from_sample=0, to_sample=24_000),
    journal.ConsentDecided(
        at_ms=5000, verdict="given", method="voice", wording_sha256="cd" * 32, language="de", at_sample=40_000
    ),
    journal.GateOpened(at_ms=5000, at_sample=40_000),
    journal.RecordingStarted(at_ms=5000, at_sample=40_000),
    journal.TurnSounding(at_ms=5500, text="Guten", from_ms=5100, to_ms=5500),
    journal.TurnSpoken(at_ms=6000, role="agent", text="Guten Tag", from_ms=5100, to_ms=5900),
    journal.TurnSpoken(at_ms=7000, role="caller", text="Ich heiße Kanarienvogel", from_ms=6100, to_ms=6900),
    journal.KeyPressed(at_ms=7100, digit="5", by="caller"),
    journal.ToolCalled(at_ms=7500, name="book_day", arguments={"day": "montag"}, outcome="ok", took_ms=12),
    journal.MessageTaken(at_ms=7600, text="Bitte um Rückruf", from_sample=1, to_sample=2),
    journal.UsageCounted(
        at_ms=8000,
        input_text_tokens=10,
        input_audio_tokens=20,
        output_text_tokens=30,
        output_audio_tokens=40,
        cached_tokens=0,
    ),
    journal.RecordingPaused(at_ms=8100, at_sample=64_640, by="operator"),
    journal.RecordingResumed(at_ms=8200, at_sample=65_440, by="operator"),
    journal.CallEnded(at_ms=9020, reason="hung_up", by="caller", recorded_samples=32_000, heard_samples=72_000),
)


@dataclass(frozen=True, slots=True)
class Left:
    """One call's files."""

    session_id: UUID
    journal: Path
    recording: Path


async def open_call(database: Database, shop: Shop) -> OpenedSession:
    """A call that was planned."""
    async with database.tenant(shop.tenant_id) as store:
        where = await answering.route(store, shop.called)
        assert where is not None
        return await answering.open_session(
            store, where, called=shop.called, caller="+493012345678", trunk="loopback", language="de"
        )


def header_of(shop: Shop, opened: OpenedSession) -> Header:
    return Header(
        session_id=str(opened.id),
        tenant_id=str(shop.tenant_id),
        project_id=str(shop.project_id),
        scenario_id=str(shop.scenario_id),
        scenario_version=1,
        wrapped_data_key=opened.data_key.wrapped,
        started_at_unix_ms=STARTED_UNIX_MS,
    )


def sealed_journal(shop: Shop, opened: OpenedSession, records: tuple[AnyRecord, ...] = CALL) -> bytes:
    sealer = JournalSealer(header_of(shop, opened), opened.data_key.key)
    return sealer.preamble + b"".join(sealer.seal(record) for record in records)


def sealed_recording(shop: Shop, opened: OpenedSession, sound: bytes = SOUND) -> bytes:
    context = spooled_recording_context(str(shop.tenant_id), str(opened.id))
    key = recordings.recording_key(opened.data_key.key)
    sealer = ChunkSealer(key, context, os.urandom(SALT_BYTES), AESGCM, chunk_bytes=SPOOLED_CHUNK_BYTES)
    return sealer.header + sealer.update(sound) + sealer.finish()


async def leave_call(
    database: Database, shop: Shop, spool: Path, *, records: tuple[AnyRecord, ...] = CALL, sound: bytes | None = SOUND
) -> Left:
    """A whole call's journal and recording."""
    opened = await open_call(database, shop)
    left = Left(opened.id, spool / f"{opened.id}.journal", spool / f"{opened.id}.recording")
    if sound is not None:
        left.recording.write_bytes(sealed_recording(shop, opened, sound))
    left.journal.write_bytes(sealed_journal(shop, opened, records))
    return left


async def stored(database: Database, blobs: Blobs, shop: Shop, session_id: UUID) -> dict[str, Any]:
    """Everything the store has of a call, with nothing in it that differs between two calls that went alike."""
    async with database.tenant(shop.tenant_id) as store:
        session = await sessions.find_session(store, session_id, actor=OPERATOR)
        assert session is not None
        recording = await recordings.open_recording(store, blobs, session_id, reader=READS_ALL)
        return {
            "state": (session.state, session.ended_by, session.end_reason, session.heard_samples),
            "times": (session.started_at, session.ended_at),
            "caller": session.caller,
            "turns": await conversation.turns_of(store, session_id, reader=READS_ALL),
            "consent": await conversation.consent_of(store, session_id),
            "events": await conversation.events_of(store, session_id, reader=READS_ALL),
            "messages": await conversation.messages_of(store, session_id, reader=READS_ALL),
            "usage": await usage_of(database, shop, session_id),
            "sound": None if recording is None else await recording.read(0, recording.samples),
            "starts": None if recording is None else recording.info.starts_at_sample,
        }


async def usage_of(database: Database, shop: Shop, session_id: UUID) -> dict[str, int]:
    """What is to be paid for it."""
    async with database.tenant(shop.tenant_id) as store:
        rows = await store.fixed(
            "SELECT kind, quantity FROM usage_events WHERE tenant_id = :tenant_id AND session_id = :session_id",
            session_id=session_id,
        )
    return dict(tuple(row) for row in rows)
