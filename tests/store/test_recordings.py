"""Recordings are opened in pieces, authentically, and become WAV files that others can read."""

import io
import wave
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from uuid_utils.compat import uuid7

from policies.access import READS_ALL
from policies.chunks import ChunksDamagedError, ChunkSealer, recording_context
from store import ingest, recordings, sessions
from store.blobs import BlobMissingError, FolderBlobs
from store.engine import Database
from store.journals import CallReport, NewRecording
from store.keys import KeyShreddedError
from store.recordings import Recording
from tests.database import Shop

SAMPLES = 40_000  # 5 s, several chunks
SOUND = np.random.default_rng(7).integers(0, 256, SAMPLES * 2, np.uint8).tobytes()


class Shelf:
    """A call with a recording, as the desk leaves it."""

    def __init__(self, database: Database, blobs: FolderBlobs, shop: Shop) -> None:
        self.database = database
        self.blobs = blobs
        self.shop = shop

    async def record(self) -> None:
        async with self.database.tenant(self.shop.tenant_id) as store:
            opened = await sessions.open_session(
                store,
                project_id=self.shop.project_id,
                scenario_id=self.shop.scenario_id,
                scenario_version=1,
                called=self.shop.called,
                caller=None,
                trunk="loopback",
                language="de",
            )
            self.session_id = opened.id
            context = recording_context(str(store.tenant_id), str(opened.id))
            sealer = ChunkSealer(recordings.recording_key(opened.data_key.key), context, bytes(24), AESGCM)
            sealed = sealer.header + sealer.update(SOUND) + sealer.finish()
            self.blob = recordings.blob_name(store.tenant_id, opened.id)
            self.blobs.put(self.blob, sealed)
            now = datetime.now(UTC)
            await ingest.take_in(
                store,
                CallReport(
                    session_id=opened.id,
                    started_at=now,
                    ended_at=now,
                    ended_by="caller",
                    end_reason="hung_up",
                    caller=None,
                    language="de",
                    trunk="loopback",
                    heard_samples=0,
                    recording=NewRecording(
                        blob=self.blob, sealed_bytes=len(sealed), samples=SAMPLES, starts_at_sample=0
                    ),
                ),
            )

    async def open(self) -> Recording:
        async with self.database.tenant(self.shop.tenant_id) as store:
            recording = await recordings.open_recording(store, self.blobs, self.session_id, reader=READS_ALL)
        assert recording is not None
        return recording


@pytest.fixture
async def shelf(database: Database, tmp_path: Path, bakery: Shop) -> Shelf:
    made = Shelf(database, FolderBlobs(tmp_path / "blobs"), bakery)
    await made.record()
    return made


async def test_any_piece_can_be_heard(shelf: Shelf) -> None:
    """A recording gives back exactly what was sealed, from any sample on, after its transaction has ended."""
    recording = await shelf.open()
    assert recording.samples == SAMPLES
    for start, count in ((0, 1), (8191, 2), (12_345, 20_000), (SAMPLES - 1, 99), (SAMPLES, 5)):
        assert await recording.read(start, count) == SOUND[start * 2 : (start + count) * 2]


async def test_it_becomes_a_wave_file(shelf: Shelf) -> None:
    """The export is a 16-bit stereo WAV whose samples are the G.711 ones, caller left and agent right."""
    recording = await shelf.open()
    content = b"".join([piece async for piece in recording.wav()])
    assert len(content) == recording.wav_bytes
    with wave.open(io.BytesIO(content)) as file:
        assert (file.getnchannels(), file.getsampwidth(), file.getframerate(), file.getnframes()) == (
            2,
            2,
            8000,
            SAMPLES,
        )
        frames = np.frombuffer(file.readframes(SAMPLES), "<i2").reshape(-1, 2)
    audioop = pytest.importorskip("audioop")
    for side in (0, 1):
        assert frames[:, side].tobytes() == audioop.ulaw2lin(SOUND[side::2], 2)


async def test_a_player_may_ask_for_any_range(shelf: Shelf) -> None:
    """Every byte range of the WAV file equals that part of the whole, also across header and odd offsets."""
    recording = await shelf.open()
    content = b"".join([piece async for piece in recording.wav()])
    ranges = [(0, 10), (0, 44), (40, 9), (43, 1), (44, 4), (45, 7), (70_001, 33_333), (len(content) - 3, 99)]
    for offset, count in ranges:
        assert await recording.read_wav(offset, count) == content[offset : offset + count], (offset, count)
    assert await recording.read_wav(len(content), 5) == b""


async def test_an_altered_recording_is_refused(shelf: Shelf) -> None:
    """A recording that was cut, changed, or exchanged for another call's does not open."""
    sealed = shelf.blobs.read_at(shelf.blob, 0, 1 << 20)
    shelf.blobs.put(shelf.blob, sealed[:-20_000])
    with pytest.raises(ChunksDamagedError):
        await shelf.open()
    shelf.blobs.put(shelf.blob, sealed[:1000] + b"\0" + sealed[1001:])
    recording = await shelf.open()
    with pytest.raises(ChunksDamagedError):
        await recording.read(0, 10)
    own = shelf.session_id
    await shelf.record()
    shelf.session_id, shelf.blob = own, shelf.blob
    shelf.blobs.put(recordings.blob_name(shelf.shop.tenant_id, own), shelf.blobs.read_at(shelf.blob, 0, 1 << 20))
    with pytest.raises(ChunksDamagedError):
        await shelf.open()


async def test_without_its_key_or_object_there_is_nothing(shelf: Shelf) -> None:
    """A lost object and a shredded key are told apart, and a call without a recording has none."""
    shelf.blobs.delete(shelf.blob)
    with pytest.raises(BlobMissingError):
        await shelf.open()
    async with shelf.database.tenant(shelf.shop.tenant_id) as store:
        await store.keys.shred(store, shelf.session_id)
        assert await recordings.open_recording(store, shelf.blobs, uuid7(), reader=READS_ALL) is None
    with pytest.raises(KeyShreddedError):
        await shelf.open()
