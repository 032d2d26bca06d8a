import os
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from hypothesis import given
from hypothesis import strategies as st

from policies.chunks import (
    CHUNK_BYTES,
    HEADER_BYTES,
    SALT_BYTES,
    SPOOLED_CHUNK_BYTES,
    TAG_BYTES,
    ChunkReader,
    ChunkSealer,
    recording_context,
    spooled_recording_context,
)
from store.recordings import recording_key
from voice.call import recording_sink
from voice.desk.recordings import SealedRecording, read_recording

KEY = bytes(range(32))
TENANT, SESSION = "tenant", "session"
SECONDS = 5
PLAIN = os.urandom(16_000 * SECONDS)
MADE = {
    "by a worker": (spooled_recording_context, SPOOLED_CHUNK_BYTES),
    "by a worker of the first versions": (recording_context, CHUNK_BYTES),
}
"""How a recording may have been made: what binds it to its call, and the size of its chunks."""


def sealed(how: str, session: str = SESSION) -> bytes:
    context, chunk_bytes = MADE[how]
    key, salt = recording_key(KEY), os.urandom(SALT_BYTES)
    sealer = ChunkSealer(key, context(TENANT, session), salt, AESGCM, chunk_bytes=chunk_bytes)
    return sealer.header + sealer.update(PLAIN) + sealer.finish()


SEALED = {how: sealed(how) for how in MADE}
made = pytest.mark.parametrize("how", MADE)


def read(path: Path, content: bytes) -> SealedRecording | None:
    path.write_bytes(content)
    descriptor = os.open(path, os.O_RDONLY)
    try:
        return read_recording(descriptor, data_key=KEY, tenant_id=TENANT, session_id=SESSION)
    finally:
        os.close(descriptor)


def plaintext(recording: SealedRecording) -> bytes:
    """As everyone reads it who plays it: proven to its end."""
    content = bytes(recording.sealed)
    reader = ChunkReader(
        recording_key(KEY), recording_context(TENANT, SESSION), lambda at, n: content[at : at + n], len(content), AESGCM
    )
    return reader.read(0, reader.length)


def test_both_sides_derive_the_same_key() -> None:
    """What a worker seals the desk can open."""
    assert recording_sink.recording_key(KEY) == recording_key(KEY)


@made
def test_finished_recording_is_kept_whole(tmp_path: Path, how: str) -> None:
    """Not one sample of a whole recording changes on its way to the blobs."""
    recording = read(tmp_path / "r", SEALED[how])
    assert recording is not None
    assert (recording.samples, recording.damaged) == (8000 * SECONDS, False)
    assert plaintext(recording) == PLAIN


@made
@given(share=st.floats(0, 0.9999))
def test_cut_recording_keeps_its_whole_chunks(tmp_path_factory: pytest.TempPathFactory, how: str, share: float) -> None:
    """Wherever a killed worker stopped, every chunk it had written whole is saved, and saving twice changes nothing."""
    path = tmp_path_factory.getbasetemp() / "cut"
    chunk_bytes = MADE[how][1]
    cut = int(len(SEALED[how]) * share)
    recording = read(path, SEALED[how][:cut])
    whole = max(0, cut - HEADER_BYTES) // (chunk_bytes + TAG_BYTES) * chunk_bytes
    if whole == 0:
        assert recording is None
    else:
        assert recording is not None
        assert not recording.damaged
        assert plaintext(recording) == PLAIN[:whole]
        assert read(path, SEALED[how][:cut]) == recording


@made
def test_damage_in_the_middle_is_told_apart(tmp_path: Path, how: str) -> None:
    """What stands before the damage is saved, and the recording is named damaged so that the original is kept."""
    chunk_bytes = MADE[how][1]
    content = bytearray(SEALED[how])
    content[HEADER_BYTES + 2 * (chunk_bytes + TAG_BYTES) + 100] ^= 1
    recording = read(tmp_path / "r", bytes(content))
    assert recording is not None
    assert recording.damaged
    assert plaintext(recording) == PLAIN[: 2 * chunk_bytes]


@made
def test_another_calls_recording_is_damaged(tmp_path: Path, how: str) -> None:
    """A file that was sealed for another call gives no sound and is kept for a look."""
    recording = read(tmp_path / "r", sealed(how, "other"))
    assert recording is not None
    assert recording.damaged
    assert recording.samples == 0
