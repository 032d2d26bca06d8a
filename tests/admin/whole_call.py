"""A call with everything that a call can leave behind: for tests of what is shown of it."""

import asyncio
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from uuid import UUID

from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from policies.chunks import ChunkSealer, recording_context
from store import answering, ingest, recordings
from store.journals import CallReport, ConsentEvent, NewRecording, SessionEvent, TakenMessage, Turn
from store.transfers import Transfer
from tests.admin.world import World
from tests.database import Shop

WORDING = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"
SECONDS = 30
LOUD, QUIET = 0x80, 0xFF
"""Of G.711 mu-law: the highest level, and none."""
STARTS_AT = 4000
"""The recording begins half a second after the answer."""


async def add_whole_call(
    world: World,
    shop: Shop,
    *,
    caller: str | None = "+4930901820",
    reply_ms: Sequence[float] = (700.0, 900.0, 1100.0),
    end_reason: str = "caller_hung_up",
    verdict: str = "given",
    heard: bool = True,
    recorded: bool = True,
) -> UUID:
    """A call of half a minute that is over; `heard` False: nobody spoke, it was missed."""
    async with world.services.database.tenant(shop.tenant_id) as store:
        where = await answering.route(store, shop.called)
        assert where is not None
        opened = await answering.open_session(
            store, where, called=shop.called, caller=caller, trunk="sipgate", language="de"
        )
        sound = bytes((LOUD, QUIET)) * (8000 * SECONDS // 2) + bytes((QUIET, LOUD)) * (8000 * SECONDS // 2)
        context = recording_context(str(shop.tenant_id), str(opened.id))
        sealer = ChunkSealer(recordings.recording_key(opened.data_key.key), context, bytes(24), AESGCM)
        sealed = sealer.header + sealer.update(sound) + sealer.finish()
        blob = recordings.blob_name(shop.tenant_id, opened.id)
        if recorded:
            await asyncio.to_thread(world.services.blobs.put, blob, sealed)
        now = datetime.now(UTC)
        recording = NewRecording(
            blob=blob, sealed_bytes=len(sealed), samples=8000 * SECONDS, starts_at_sample=STARTS_AT
        )
        report = CallReport(
            session_id=opened.id,
            started_at=now - timedelta(seconds=SECONDS),
            ended_at=now,
            ended_by="caller",
            end_reason=end_reason,
            caller=caller,
            language="de",
            trunk="sipgate",
            heard_samples=8000 * SECONDS if heard else 0,
            turns=_turns() if heard else (),
            consent=_consent(verdict) if heard else (),
            events=[*_events(), *_replies(reply_ms)],
            messages=[TakenMessage(text="Bitte rufen Sie zurück.", from_sample=8000, to_sample=16000)] if heard else (),
            usage={"call_ms": 1000 * SECONDS, "input_audio_tokens": 900, "output_audio_tokens": 1234},
            recording=recording if recorded else None,
            transfers=[_transfer()],
        )
        await ingest.take_in(store, report)
    return opened.id


def _turns() -> list[Turn]:
    return [
        Turn(role="agent", text="Guten Tag, hier ist die Bäckerei. Ich bin eine KI.", from_ms=500, to_ms=4000),
        Turn(role="caller", text="Anna Schmidt, <b>Brot</b>? Ich bin unter 030 901820 da.", from_ms=5000, to_ms=9000),
        Turn(role="agent", text="Ja, bis achtzehn Uhr.", from_ms=10_000, to_ms=12_000, interrupted=True),
    ]  # fmt: skip  # a line each


def _consent(verdict: str) -> list[ConsentEvent]:
    return [
        ConsentEvent(
            at_ms=4100, kind="disclosure_played", from_sample=0, to_sample=32_000, wording_sha256=WORDING, language="de"
        ),
        ConsentEvent(at_ms=4500, kind="consent_decided", from_sample=33_000, verdict=verdict, method="key"),
        ConsentEvent(at_ms=4600, kind="recording_started", from_sample=STARTS_AT),
    ]  # fmt: skip  # a step each


def _events() -> list[SessionEvent]:
    ladder = (("in", "INVITE"), ("out", "100"), ("out", "200"), ("in", "ACK"), ("in", "BYE"), ("out", "200"))
    line = {
        "codec": "PCMA", "received_packets": 1485, "lost_packets": 15, "jitter_ms": 3.4,
        "round_trip_ms": 41.0, "mos": 4.21,
    }  # fmt: skip  # as the journal has them
    return [
        *(
            SessionEvent(at_ms=at, kind="sip_message_seen", facts={"direction": way, "summary": what})
            for at, (way, what) in enumerate(ladder)
        ),
        SessionEvent(at_ms=3, kind="latency_measured", facts={"what": "plan_granted", "took_ms": 3.0}),
        SessionEvent(at_ms=120, kind="latency_measured", facts={"what": "model_connected", "took_ms": 80.0}),
        SessionEvent(at_ms=60, kind="latency_measured", facts={"what": "answer_to_first_audio", "took_ms": 25.5}),
        SessionEvent(at_ms=10, kind="state_entered", facts={"state": "disclosing", "because": "AnswerAcknowledged"}),
        SessionEvent(
            at_ms=9500,
            kind="tool_called",
            facts={"name": "opening_hours", "took_ms": 12},
            personal={"arguments": {"who": "Anna Schmidt"}, "outcome": "until 18"},
        ),
        SessionEvent(at_ms=29_000, kind="line_measured", facts=line),
    ]


def _replies(reply_ms: Sequence[float]) -> list[SessionEvent]:
    return [
        SessionEvent(
            at_ms=10_000 + number,
            kind="latency_measured",
            facts={"what": "caller_stopped_to_agent_audio", "took_ms": took_ms},
        )
        for number, took_ms in enumerate(reply_ms)
    ]


def _transfer() -> Transfer:
    return Transfer(
        host="api.openai.com",
        purpose="model",
        whose="OpenAI",
        data=("voice",),
        countries=("US",),
        in_eu=False,
        transfer="Standard contractual clauses",
        sent_bytes=480_000,
        received_bytes=250_000,
    )
