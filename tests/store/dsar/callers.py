"""Calls as the desk leaves them: with words, consent, a message, a tool's arguments and sealed sound."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from uuid import UUID

import numpy as np
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from policies.chunks import ChunkSealer, recording_context
from store import ingest, recordings, sessions
from store.blobs import Blobs
from store.engine import Database
from store.journals import CallReport, ConsentEvent, NewRecording, SessionEvent, TakenMessage, Turn
from tests.database import Shop

STARTED = datetime(2026, 11, 1, 9, 30, tzinfo=UTC)


@dataclass(frozen=True, slots=True, kw_only=True)
class Said:
    """What is in a call."""

    caller: str | None = "+4915112345678"
    phrase: str = "purple giraffe"
    seconds: int = 1
    """Of sound; 0: not recorded."""


async def make_call(database: Database, blobs: Blobs, shop: Shop, said: Said) -> UUID:
    """A call that is over and taken in; its id."""
    async with database.tenant(shop.tenant_id) as store:
        opened = await sessions.open_session(
            store,
            project_id=shop.project_id,
            scenario_id=shop.scenario_id,
            scenario_version=1,
            called=shop.called,
            caller=said.caller,
            trunk="secret-trunk",
            language="de",
        )
        recording = None
        if said.seconds:
            samples = said.seconds * recordings.SAMPLES_PER_SECOND
            sound = np.random.default_rng(7).integers(0, 256, samples * 2, np.uint8).tobytes()
            context = recording_context(str(store.tenant_id), str(opened.id))
            sealer = ChunkSealer(recordings.recording_key(opened.data_key.key), context, bytes(24), AESGCM)
            sealed = sealer.header + sealer.update(sound) + sealer.finish()
            name = recordings.blob_name(store.tenant_id, opened.id)
            blobs.put(name, sealed)
            recording = NewRecording(blob=name, sealed_bytes=len(sealed), samples=samples, starts_at_sample=7200)
        await ingest.take_in(
            store,
            CallReport(
                session_id=opened.id,
                started_at=STARTED,
                ended_at=STARTED + timedelta(seconds=42),
                ended_by="caller",
                end_reason="hung_up",
                caller=said.caller,
                language="de",
                trunk="secret-trunk",
                heard_samples=336_000,
                turns=(
                    Turn(role="agent", text="Guten Tag!", from_ms=0, to_ms=900),
                    Turn(role="caller", text=f"A {said.phrase} <b>please</b>", from_ms=1000, to_ms=2000),
                ),
                consent=(
                    ConsentEvent(
                        at_ms=900,
                        kind="disclosure_played",
                        from_sample=0,
                        to_sample=7200,
                        wording_sha256="ab" * 32,
                        language="de",
                    ),
                    ConsentEvent(at_ms=1500, kind="consent_decided", from_sample=12_000, verdict="given", method="key"),
                ),
                events=(SessionEvent(at_ms=2000, kind="tool", facts={"name": "book"}, personal={"name": said.phrase}),),
                messages=(TakenMessage(text=f"Call back the {said.phrase}", from_sample=8000, to_sample=16_000),),
                usage={"call_ms": 42_000},
                recording=recording,
            ),
        )
    return opened.id
