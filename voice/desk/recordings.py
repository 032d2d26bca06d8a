"""Checks the recording a call left behind, and saves what can be saved of one that was never finished."""

import hashlib
import mmap
import os
from dataclasses import dataclass

from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from policies.chunks import (
    CHUNK_BYTES,
    HEADER_BYTES,
    SALT_BYTES,
    TAG_BYTES,
    ChunkReader,
    ChunksDamagedError,
    ChunkSealer,
    recording_context,
    recover,
)
from store.recordings import recording_key

BYTES_PER_TICK = 2
"""Caller's and agent's sample, one byte of mu-law each."""
_CHECKED_AT_ONCE = 64 * CHUNK_BYTES


@dataclass(frozen=True, slots=True)
class SealedRecording:
    """A whole, authentic recording, as it goes to the blobs."""

    sealed: bytes
    samples: int
    """Ticks of 1/8000 s."""
    recovered: bool
    """The writer did not finish it; this is what it had written."""
    damaged: bool
    """Something in its middle is not authentic, so what follows is lost; the original is worth keeping."""


def read_recording(descriptor: int, *, data_key: bytes, tenant_id: str, session_id: str) -> SealedRecording | None:
    """What can be stored of a sealed recording; None when not even one chunk of it can be opened.

    A recording without its end is sealed anew. Its salt is derived from the bytes that were found, so that doing it
    twice gives the same result twice, and no other content is ever sealed under that salt.
    """
    size = os.fstat(descriptor).st_size
    if size == 0:
        return None
    key, context = recording_key(data_key), recording_context(tenant_id, session_id)
    with mmap.mmap(descriptor, size, prot=mmap.PROT_READ) as content:
        try:
            length = _checked_length(key, context, content, size)
        except ChunksDamagedError:
            return _recovered(key, context, content[:])
        return SealedRecording(content[:], length // BYTES_PER_TICK, recovered=False, damaged=False)


def _checked_length(key: bytes, context: bytes, content: mmap.mmap, size: int) -> int:
    reader = ChunkReader(key, context, lambda offset, count: content[offset : offset + count], size, AESGCM)
    for start in range(0, reader.length, _CHECKED_AT_ONCE):
        reader.read(start, _CHECKED_AT_ONCE)
    return reader.length


def _recovered(key: bytes, context: bytes, sealed: bytes) -> SealedRecording | None:
    whole_chunks = max(0, len(sealed) - HEADER_BYTES) // (CHUNK_BYTES + TAG_BYTES)
    try:
        plain = recover(key, context, sealed, AESGCM)
    except ChunksDamagedError:
        plain = b""
    damaged = len(plain) < whole_chunks * CHUNK_BYTES
    plain = plain[: len(plain) // BYTES_PER_TICK * BYTES_PER_TICK]
    if not plain and not damaged:
        return None
    salt = hashlib.sha256(b"aitelier recovered recording v1" + sealed).digest()[:SALT_BYTES]
    sealer = ChunkSealer(key, context, salt, AESGCM)
    again = sealer.header + sealer.update(plain) + sealer.finish()
    return SealedRecording(again, len(plain) // BYTES_PER_TICK, recovered=True, damaged=damaged)
