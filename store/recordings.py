"""Recordings: the sealed sound of a call, opened in the pieces that somebody wants to hear.

Sealed as Cobblestone-256 (`policies.chunks`) under a key derived from the call's; the plaintext is G.711 mu-law, two
bytes a tick of 1/8000 s, the caller left and the agent right. To the outside it is a WAV file of 16-bit stereo.
"""

import asyncio
import struct
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

import numpy as np
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from sqlmodel import select

from policies.access import Reader
from policies.chunks import ChunkReader, recording_context
from store.blobs import Blobs
from store.phi import note_reading
from store.scope import TenantStore
from store.sealing import derive
from store.tables.calls import RecordingTable
from store.visibility import KeptFromViewersError, visibility_of

SAMPLES_PER_SECOND = 8000
_TICK_BYTES = 2
_WAV_TICK_BYTES = 4
_WAV_HEADER_BYTES = 44
_PIECE_TICKS = 32_768


@dataclass(frozen=True, slots=True)
class RecordingInfo:
    """What is known about a recording without opening it."""

    session_id: UUID
    blob: str
    sealed_bytes: int
    samples: int
    """Ticks of 1/8000 s."""
    starts_at_sample: int
    """On the call's media clock, from the answer."""
    created_at: datetime


class Recording:
    """An opened recording. Its length is proven; each piece is checked as it is read."""

    def __init__(self, info: RecordingInfo, reader: ChunkReader) -> None:
        self.info = info
        self._reader = reader
        self.samples = reader.length // _TICK_BYTES
        self.wav_bytes = _WAV_HEADER_BYTES + self.samples * _WAV_TICK_BYTES
        """Length of the whole WAV file."""

    async def read(self, from_sample: int, count: int) -> bytes:
        """Interleaved mu-law of at most `count` ticks; fewer at the end.

        Raises:
            policies.chunks.ChunksDamagedError: The sound was altered where it lies.
        """
        return await asyncio.to_thread(self._reader.read, from_sample * _TICK_BYTES, count * _TICK_BYTES)

    async def read_wav(self, offset: int, count: int) -> bytes:
        """Any part of the WAV file, as an HTTP range request asks for it. Raises as `read` does."""
        end = min(offset + count, self.wav_bytes)
        if not 0 <= offset < end:
            return b""
        header = wav_header(self.samples)[offset:end] if offset < _WAV_HEADER_BYTES else b""
        start = max(0, offset - _WAV_HEADER_BYTES)
        stop = end - _WAV_HEADER_BYTES
        if stop <= start:
            return header
        first = start // _WAV_TICK_BYTES
        sound = await self.read(first, -(-stop // _WAV_TICK_BYTES) - first)
        skipped = start - first * _WAV_TICK_BYTES
        return header + _linear(sound)[skipped : skipped + stop - start]

    async def wav(self) -> AsyncIterator[bytes]:
        """The whole WAV file, piece by piece. Raises as `read` does."""
        yield wav_header(self.samples)
        for start in range(0, self.samples, _PIECE_TICKS):
            yield _linear(await self.read(start, _PIECE_TICKS))


def blob_name(tenant_id: UUID, session_id: UUID) -> str:
    """Under which name a call's recording lies."""
    return f"recordings/{tenant_id}/{session_id}"


def recording_key(data_key: bytes) -> bytes:
    """The key a call's recording is sealed with."""
    return derive(data_key, "aitelier recording v1")


async def find(store: TenantStore, session_id: UUID) -> RecordingInfo | None:
    """What is known about a call's recording; None when there is none."""
    row = await store.first(select(RecordingTable).where(RecordingTable.session_id == session_id))
    if row is None:
        return None
    return RecordingInfo(row.session_id, row.blob, row.sealed_bytes, row.samples, row.starts_at_sample, row.created_at)


async def open_recording(store: TenantStore, blobs: Blobs, session_id: UUID, *, reader: Reader) -> Recording | None:
    """A call's recording, to be played or exported also after the transaction; None when there is none.

    Sound cannot be redacted: where viewers do not see the whole transcript, they do not hear the call either.

    Raises:
        KeptFromViewersError: The reader may not hear it.
        LockedError: Its project is being deleted.
        KeyShreddedError: The call was erased.
        BlobMissingError: The sound is not where it should be.
        policies.chunks.ChunksDamagedError: It is not what was put there.
    """
    info = await find(store, session_id)
    if info is None:
        return None
    if await visibility_of(store, session_id, reader) != "all":
        raise KeptFromViewersError
    key = recording_key(await store.keys.data_key(store, session_id))
    await note_reading(store, "recording", (session_id,), actor=reader.actor)
    context = recording_context(str(store.tenant_id), str(session_id))

    def read_at(offset: int, count: int) -> bytes:
        return blobs.read_at(info.blob, offset, count)

    def opened() -> ChunkReader:
        return ChunkReader(key, context, read_at, blobs.size(info.blob), AESGCM)

    return Recording(info, await asyncio.to_thread(opened))


def wav_header(samples: int) -> bytes:
    """Header of a WAV file of 16-bit stereo with 8,000 samples a second and side (RIFF, format 1)."""
    size = samples * _WAV_TICK_BYTES
    rate = SAMPLES_PER_SECOND
    return struct.pack(
        "<4sI4s4sIHHIIHH4sI",
        b"RIFF", 36 + size, b"WAVE",
        b"fmt ", 16, 1, 2, rate, rate * _WAV_TICK_BYTES, _WAV_TICK_BYTES, 16,
        b"data", size,
    )  # fmt: skip  # the fields of the format in its order


def _mu_law_table() -> "np.ndarray[tuple[int], np.dtype[np.int16]]":
    """ITU-T G.711 mu-law, byte to 16-bit sample."""
    code = ~np.arange(256, dtype=np.int32) & 0xFF
    magnitude = (((code & 0x0F) << 3) + 0x84 << ((code & 0x70) >> 4)) - 0x84
    return np.where(code & 0x80, -magnitude, magnitude).astype("<i2")


MU_LAW = _mu_law_table()


def _linear(sound: bytes) -> bytes:
    return MU_LAW[np.frombuffer(sound, np.uint8)].tobytes()
