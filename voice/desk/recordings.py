"""Checks the recording a call left behind, and seals what can be read of it anew, as it is kept."""

import contextlib
import hashlib
import mmap
import os
from collections.abc import Iterator
from dataclasses import dataclass

from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from policies.chunks import (
    CHUNK_BYTES,
    HEADER_BYTES,
    SALT_BYTES,
    SPOOLED_CHUNK_BYTES,
    TAG_BYTES,
    ChunksDamagedError,
    ChunkSealer,
    recording_context,
    recover,
    spooled_recording_context,
)
from store.recordings import recording_key

BYTES_PER_TICK = 2
"""Caller's and agent's sample, one byte of mu-law each."""


@dataclass(frozen=True, slots=True)
class SealedRecording:
    """What could be read of a recording, whole and authentic, as it goes to the blobs."""

    sealed: bytearray
    samples: int
    """Ticks of 1/8000 s."""
    damaged: bool
    """Something in its middle is not authentic, so what follows is lost; the original is worth keeping."""


def read_recording(descriptor: int, *, data_key: bytes, tenant_id: str, session_id: str) -> SealedRecording | None:
    """What can be stored of a sealed recording; None when not even one chunk of it has been written whole.

    It was made in small chunks, of which a killed worker loses little, or by an older worker in the usual ones; it is
    kept in the usual ones. Its new salt is derived from the bytes that were found, so that doing it twice gives the
    same result twice, and no other content is ever sealed under that salt.
    """
    size = os.fstat(descriptor).st_size
    if size == 0:
        return None
    key, kept = recording_key(data_key), recording_context(tenant_id, session_id)
    made = ((spooled_recording_context(tenant_id, session_id), SPOOLED_CHUNK_BYTES), (kept, CHUNK_BYTES))
    with mmap.mmap(descriptor, size, prot=mmap.PROT_READ) as content:
        salt = hashlib.sha256(b"aitelier kept recording v1")
        salt.update(content)
        for context, chunk_bytes in made:
            sealer = ChunkSealer(key, kept, salt.digest()[:SALT_BYTES], AESGCM)
            with contextlib.suppress(ChunksDamagedError):  # then it was made the other way
                chunks = recover(key, context, content, AESGCM, chunk_bytes=chunk_bytes)
                return _sealed_anew(sealer, chunks, whole_bytes=_whole_chunks(size, chunk_bytes) * chunk_bytes)
        return _sealed_anew(sealer, iter(()), whole_bytes=size)


def _whole_chunks(size: int, chunk_bytes: int) -> int:
    return max(0, size - HEADER_BYTES) // (chunk_bytes + TAG_BYTES)


def _sealed_anew(sealer: ChunkSealer, chunks: Iterator[bytes], *, whole_bytes: int) -> SealedRecording | None:
    """`whole_bytes` is how much the chunks that were written whole must hold."""
    sealed, length = bytearray(sealer.header), 0
    for chunk in chunks:
        ticks = len(chunk) // BYTES_PER_TICK * BYTES_PER_TICK
        length += ticks
        sealed += sealer.update(chunk[:ticks])
    sealed += sealer.finish()
    damaged = length < whole_bytes
    return SealedRecording(sealed, length // BYTES_PER_TICK, damaged) if length or damaged else None
