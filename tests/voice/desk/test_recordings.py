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
    TAG_BYTES,
    ChunkReader,
    ChunkSealer,
    recording_context,
)
from store.recordings import recording_key
from voice.call import recording_sink
from voice.desk.recordings import SealedRecording, read_recording

KEY = bytes(range(32))
TENANT, SESSION = "tenant", "session"
SECONDS = 5
PLAIN = os.urandom(16_000 * SECONDS)


def sealed(plain: bytes = PLAIN) -> bytes:
    sealer = ChunkSealer(recording_key(KEY), recording_context(TENANT, SESSION), os.urandom(SALT_BYTES), AESGCM)
    return sealer.header + sealer.update(plain) + sealer.finish()


SEALED = sealed()


def read(path: Path, content: bytes) -> SealedRecording | None:
    path.write_bytes(content)
    descriptor = os.open(path, os.O_RDONLY)
    try:
        return read_recording(descriptor, data_key=KEY, tenant_id=TENANT, session_id=SESSION)
    finally:
        os.close(descriptor)


def plaintext(recording: SealedRecording) -> bytes:
    content = recording.sealed
    reader = ChunkReader(
        recording_key(KEY), recording_context(TENANT, SESSION), lambda at, n: content[at : at + n], len(content), AESGCM
    )
    return reader.read(0, reader.length)


def test_both_sides_derive_the_same_key() -> None:
    """What a worker seals the desk can open."""
    assert recording_sink.recording_key(KEY) == recording_key(KEY)


def test_finished_recording_stays_as_it_is(tmp_path: Path) -> None:
    """Not one byte of a whole recording changes on its way to the blobs."""
    recording = read(tmp_path / "r", SEALED)
    assert recording == SealedRecording(SEALED, 8000 * SECONDS, recovered=False, damaged=False)


@given(cut=st.integers(0, len(SEALED) - 1))
def test_cut_recording_keeps_its_whole_chunks(tmp_path_factory: pytest.TempPathFactory, cut: int) -> None:
    """Wherever a killed worker stopped, every chunk it had written whole is saved, and saving twice changes nothing."""
    path = tmp_path_factory.getbasetemp() / "cut"
    recording = read(path, SEALED[:cut])
    whole = max(0, cut - HEADER_BYTES) // (CHUNK_BYTES + TAG_BYTES) * CHUNK_BYTES
    if whole == 0:
        assert recording is None
    else:
        assert recording is not None
        assert recording.recovered
        assert not recording.damaged
        assert plaintext(recording) == PLAIN[:whole]
        assert read(path, SEALED[:cut]) == recording


def test_damage_in_the_middle_is_told_apart(tmp_path: Path) -> None:
    """What stands before the damage is saved, and the recording is named damaged so that the original is kept."""
    content = bytearray(SEALED)
    content[HEADER_BYTES + 2 * (CHUNK_BYTES + TAG_BYTES) + 100] ^= 1
    recording = read(tmp_path / "r", bytes(content))
    assert recording is not None
    assert recording.damaged
    assert plaintext(recording) == PLAIN[: 2 * CHUNK_BYTES]


def test_another_calls_recording_is_damaged(tmp_path: Path) -> None:
    """A file that was sealed for another call gives no sound and is kept for a look."""
    sealer = ChunkSealer(recording_key(KEY), recording_context(TENANT, "other"), os.urandom(SALT_BYTES), AESGCM)
    recording = read(tmp_path / "r", sealer.header + sealer.update(PLAIN) + sealer.finish())
    assert recording is not None
    assert recording.damaged
    assert recording.samples == 0
