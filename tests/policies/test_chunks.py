"""Chunks against the vectors of Wycheproof and against what an attacker or a power cut does to a file."""

import hashlib
import json
import zlib
from dataclasses import dataclass
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from policies.chunks import (
    CHUNK_BYTES,
    HEADER_BYTES,
    TAG_BYTES,
    ChunkOpener,
    ChunkReader,
    ChunksDamagedError,
    ChunkSealer,
    recording_context,
    recover,
)

KEY = bytes(range(32))
SALT = bytes(range(100, 124))
CONTEXT = recording_context("tenant", "session")
SEALED_CHUNK = CHUNK_BYTES + TAG_BYTES


@dataclass(frozen=True)
class Vector:
    number: int
    key: bytes
    context: bytes
    sealed: bytes
    valid: bool
    plain_length: int
    """Of the whole message when valid, else of its longest authentic beginning."""
    plain_sha512: str
    flags: tuple[str, ...]

    def matches(self, plain: bytes) -> bool:
        return len(plain) == self.plain_length and hashlib.sha512(plain).hexdigest() == self.plain_sha512


@pytest.fixture(scope="module")
def wycheproof(vectors: Path) -> list[Vector]:
    path = vectors / "wycheproof" / "c2sp_chunked_encryption_aes_256_gcm_test.json"
    file = json.loads(path.read_text())
    found = [
        Vector(
            number=test["tcId"],
            key=bytes.fromhex(test["key"]),
            context=bytes.fromhex(test["ctx"]),
            sealed=zlib.decompress(bytes.fromhex(test["ct"])),
            valid=test["result"] == "valid",
            plain_length=test.get("msgLength", 0),
            plain_sha512=test.get("msgSha512", hashlib.sha512(b"").hexdigest()),
            flags=tuple(test["flags"]),
        )
        for group in file["testGroups"]
        for test in group["tests"]
    ]
    assert len(found) == file["numberOfTests"] == 35
    return found


def text(length: int) -> bytes:
    return hashlib.shake_128(b"sound").digest(length)


def seal(plain: bytes, *, piece: int = 320, context: bytes = CONTEXT, salt: bytes = SALT) -> bytes:
    sealer = ChunkSealer(KEY, context, salt, AESGCM)
    pieces = [sealer.update(plain[at : at + piece]) for at in range(0, len(plain), piece)]
    return sealer.header + b"".join(pieces) + sealer.finish()


def reader_of(sealed: bytes, *, key: bytes = KEY, context: bytes = CONTEXT) -> ChunkReader:
    return ChunkReader(key, context, lambda offset, count: sealed[offset : offset + count], len(sealed), AESGCM)


def read_whole(sealed: bytes) -> bytes:
    reader = reader_of(sealed)
    return reader.read(0, reader.length)


def stream_whole(sealed: bytes, *, piece: int = 1_000) -> bytes:
    opener = ChunkOpener(KEY, CONTEXT, AESGCM)
    pieces = [opener.update(sealed[at : at + piece]) for at in range(0, len(sealed), piece)]
    return b"".join(pieces) + opener.finish()


@pytest.mark.parametrize("piece", [1_000, 100_000, 10_000_000])
def test_vectors_streamed(wycheproof: list[Vector], piece: int) -> None:
    """Streaming yields each valid message, and of an invalid one its authentic beginning before it fails for good."""
    for vector in wycheproof:
        opener = ChunkOpener(vector.key, vector.context, AESGCM)
        plain = bytearray()
        failed = False
        try:
            for at in range(0, len(vector.sealed), piece):
                plain += opener.update(vector.sealed[at : at + piece])
            plain += opener.finish()
        except ChunksDamagedError:
            failed = True
            with pytest.raises(ChunksDamagedError):
                opener.update(b"more")
            with pytest.raises(ChunksDamagedError):
                opener.finish()
        assert failed is not vector.valid, vector.number
        assert vector.matches(bytes(plain)), vector.number


def test_vectors_at_random(wycheproof: list[Vector]) -> None:
    """Random access opens each valid message and refuses each invalid one, most before a byte is asked for."""
    for vector in wycheproof:
        try:
            reader = reader_of(vector.sealed, key=vector.key, context=vector.context)
        except ChunksDamagedError:
            assert not vector.valid, vector.number
            assert "ValidFinalChunk" not in vector.flags, vector.number
            continue
        assert vector.valid or "ValidFinalChunk" in vector.flags, vector.number
        if vector.valid:
            assert vector.matches(reader.read(0, reader.length)), vector.number
        else:
            with pytest.raises(ChunksDamagedError):
                reader.read(0, reader.length)


def test_vectors_recovered(wycheproof: list[Vector]) -> None:
    """Recovery yields exactly the longest authentic beginning that each vector names."""
    for vector in wycheproof:
        if "HeaderFailure" in vector.flags and len(vector.sealed) >= HEADER_BYTES:
            with pytest.raises(ChunksDamagedError):
                list(recover(vector.key, vector.context, vector.sealed, AESGCM))
        else:
            plain = b"".join(recover(vector.key, vector.context, vector.sealed, AESGCM))
            assert vector.matches(plain), vector.number


@pytest.mark.parametrize("length", [0, 1, 319, CHUNK_BYTES - 1, CHUNK_BYTES, CHUNK_BYTES + 1, 3 * CHUNK_BYTES, 70_001])
@pytest.mark.parametrize("piece", [320, 7_777, 1 << 20])
def test_what_is_sealed_opens(length: int, piece: int) -> None:
    """A message of any length, sealed in pieces of any size, opens whole both ways, and has its one right length."""
    plain = text(length)
    sealed = seal(plain, piece=piece)
    assert len(sealed) == HEADER_BYTES + length + TAG_BYTES * (length // CHUNK_BYTES + 1)
    assert stream_whole(sealed) == plain
    assert read_whole(sealed) == plain
    assert b"".join(recover(KEY, CONTEXT, sealed, AESGCM)) == plain


@pytest.mark.parametrize(
    ("start", "count"),
    [
        (0, 0),
        (0, 1),
        (CHUNK_BYTES - 1, 2),
        (CHUNK_BYTES, CHUNK_BYTES),
        (5, 50_000),
        (49_999, 1),
        (50_000, 1),
        (60_000, 5),
        (0, 99_999),
    ],
)
def test_any_part_can_be_read(start: int, count: int) -> None:
    """A read returns what a slice of the plaintext would, also across chunks and past the end."""
    plain = text(50_000)
    assert reader_of(seal(plain)).read(start, count) == plain[start : start + count]


def test_a_read_fetches_only_its_chunks() -> None:
    """Seeking in a long recording costs the header, the last chunk and the chunk wanted, nothing more."""
    sealed = seal(text(50 * CHUNK_BYTES))
    fetched: list[tuple[int, int]] = []

    def read_at(offset: int, count: int) -> bytes:
        fetched.append((offset, count))
        return sealed[offset : offset + count]

    ChunkReader(KEY, CONTEXT, read_at, len(sealed), AESGCM).read(20 * CHUNK_BYTES + 5, 10)
    assert fetched == [
        (0, HEADER_BYTES),
        (HEADER_BYTES + 50 * SEALED_CHUNK, TAG_BYTES),
        (HEADER_BYTES + 20 * SEALED_CHUNK, SEALED_CHUNK),
    ]


@pytest.mark.parametrize(("start", "count"), [(-1, 5), (0, -1)])
def test_a_read_before_the_start_is_a_mistake(start: int, count: int) -> None:
    """Negative positions raise instead of reading from the end."""
    with pytest.raises(ValueError, match="beginning"):
        reader_of(seal(b"sound")).read(start, count)


def test_a_stream_cut_at_any_byte_is_recovered() -> None:
    """Cut anywhere, a recording gives all its whole chunks and never a byte that was not said."""
    plain = text(2 * CHUNK_BYTES + 40)
    sealed = seal(plain)
    near_edges = {
        edge + step
        for edge in (0, HEADER_BYTES, HEADER_BYTES + SEALED_CHUNK, HEADER_BYTES + 2 * SEALED_CHUNK, len(sealed))
        for step in range(-70, 71)
    }
    for cut in sorted({*near_edges, *range(0, len(sealed), 211)} & set(range(len(sealed)))):
        whole_chunks = max(0, cut - HEADER_BYTES) // SEALED_CHUNK
        assert b"".join(recover(KEY, CONTEXT, sealed[:cut], AESGCM)) == plain[: whole_chunks * CHUNK_BYTES], cut
        with pytest.raises(ChunksDamagedError):
            read_whole(sealed[:cut])
        with pytest.raises(ChunksDamagedError):
            stream_whole(sealed[:cut])


def chunks_of(sealed: bytes) -> list[bytes]:
    body = sealed[HEADER_BYTES:]
    return [body[at : at + SEALED_CHUNK] for at in range(0, len(body), SEALED_CHUNK)]


ORIGINAL = seal(text(2 * CHUNK_BYTES + 40))
FIRST, SECOND, LAST = chunks_of(ORIGINAL)
OTHER_CALL = seal(text(2 * CHUNK_BYTES + 40), context=recording_context("tenant", "other"))
OTHER_SALT = seal(text(2 * CHUNK_BYTES + 40), salt=bytes(24))


@pytest.mark.parametrize(
    "forged",
    [
        pytest.param(ORIGINAL[:HEADER_BYTES] + SECOND + FIRST + LAST, id="swapped"),
        pytest.param(ORIGINAL[:HEADER_BYTES] + FIRST + FIRST + LAST, id="repeated"),
        pytest.param(ORIGINAL[:HEADER_BYTES] + FIRST + LAST, id="one dropped"),
        pytest.param(ORIGINAL[:HEADER_BYTES] + FIRST + SECOND, id="end dropped"),
        pytest.param(ORIGINAL + LAST, id="end repeated"),
        pytest.param(ORIGINAL + b"\0", id="one byte too many"),
        pytest.param(bytes([ORIGINAL[0] ^ 1]) + ORIGINAL[1:], id="other salt"),
        pytest.param(ORIGINAL[:HEADER_BYTES] + chunks_of(OTHER_CALL)[0] + SECOND + LAST, id="chunk of another call"),
        pytest.param(ORIGINAL[:HEADER_BYTES] + chunks_of(OTHER_SALT)[0] + SECOND + LAST, id="chunk of another run"),
        pytest.param(OTHER_CALL, id="another call's recording"),
        pytest.param(b"", id="empty"),
    ],
)
def test_forgeries_fail(forged: bytes) -> None:
    """Whatever is swapped, dropped, repeated, added or brought from elsewhere, both ways of opening refuse it."""
    with pytest.raises(ChunksDamagedError):
        read_whole(forged)
    with pytest.raises(ChunksDamagedError):
        stream_whole(forged)


def test_recovery_needs_the_right_place() -> None:
    """A cut recording of one call is not recovered as that of another."""
    with pytest.raises(ChunksDamagedError):
        list(recover(KEY, CONTEXT, OTHER_CALL[:-100], AESGCM))


def test_a_sealer_is_used_once() -> None:
    """After the end nothing can be added, which would break the rule that only the last chunk is short."""
    sealer = ChunkSealer(KEY, CONTEXT, SALT, AESGCM)
    sealer.finish()
    with pytest.raises(ValueError, match="finished"):
        sealer.update(b"more")
    with pytest.raises(ValueError, match="finished"):
        sealer.finish()


def test_sizes_are_checked() -> None:
    """A short salt or key is refused instead of weakening the seal."""
    with pytest.raises(ValueError, match="salt"):
        ChunkSealer(KEY, CONTEXT, b"short", AESGCM)
    with pytest.raises(ChunksDamagedError, match="key"):
        ChunkSealer(KEY[:16], CONTEXT, SALT, AESGCM)


def test_a_message_is_not_endless() -> None:
    """The counter stops at 2^38 chunks, as the specification demands."""
    sealer = ChunkSealer(KEY, CONTEXT, SALT, AESGCM)
    sealer._number = 1 << 38
    with pytest.raises(ChunksDamagedError, match="at most"):
        sealer.finish()


def test_contexts_never_look_alike() -> None:
    """Moving letters between tenant and session changes the context."""
    assert recording_context("ab", "c") != recording_context("a", "bc")
