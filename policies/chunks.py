"""Cobblestone-256: a long secret message in chunks (c2sp.org/chunked-encryption with HKDF-SHA-512 and AES-256-GCM).

A sealed message is a salt of 24 bytes, a commitment of 32 bytes to key, salt and context, then chunks of 16 KiB of
plaintext, each with a tag of 16 bytes. The last chunk is always shorter than 16 KiB, possibly empty: that is how an end
is told from a cut. A chunk's nonce holds its number, so chunks can be neither swapped, dropped nor repeated, and any
chunk can be opened alone, which is what a player that seeks needs.

The cipher is passed in (`cryptography`'s `AESGCM` fits), because this room imports nothing but the standard library.
"""

import hashlib
import hmac
import struct
from collections.abc import Callable, Iterator
from mmap import mmap
from typing import Protocol

CHUNK_BYTES = 16_384
SPOOLED_CHUNK_BYTES = 4_096
"""Of a recording while it is made, a quarter of a second: what a killed worker had not filled up is lost."""
TAG_BYTES = 16
SALT_BYTES = 24
KEY_BYTES = 32
HEADER_BYTES = SALT_BYTES + 32
_SEALED_CHUNK_BYTES = CHUNK_BYTES + TAG_BYTES
_NONCE_BYTES = 12
_MOST_CHUNKS = 1 << 38
_INFO = b"c2sp.org/chunked-encryption@v1+AEAD_AES_256_GCM\0"
_LENGTH = struct.Struct(">I")


class ChunksDamagedError(Exception):
    """The message is not the one that was sealed: wrong key or context, altered, cut short, or longer than it was."""


class Aead(Protocol):
    """An AES-256-GCM cipher that has its key; `decrypt` raises whatever it likes when the tag does not fit."""

    def encrypt(self, nonce: bytes, data: bytes, associated_data: bytes | None) -> bytes:
        """Ciphertext with the tag of 16 bytes behind it."""

    def decrypt(self, nonce: bytes, data: bytes, associated_data: bytes | None) -> bytes:
        """The plaintext, authenticated."""


class _Cipher:
    """Seals and opens single chunks under the keys derived for one message."""

    def __init__(self, key: bytes, context: bytes, salt: bytes, aead: Callable[[bytes], Aead]) -> None:
        if len(key) != KEY_BYTES:
            raise ChunksDamagedError(f"a key has {KEY_BYTES} bytes, not {len(key)}")
        derived = _hkdf_expand(key, _INFO + salt + context, KEY_BYTES + _NONCE_BYTES + 32)
        self._aead = aead(derived[:KEY_BYTES])
        self._base_nonce = int.from_bytes(derived[KEY_BYTES : KEY_BYTES + _NONCE_BYTES], "big")
        self.commitment = derived[KEY_BYTES + _NONCE_BYTES :]

    def _nonce(self, number: int) -> bytes:
        if number >= _MOST_CHUNKS:
            raise ChunksDamagedError("a message has at most 2^38 chunks")
        return (self._base_nonce ^ number).to_bytes(_NONCE_BYTES, "big")

    def seal(self, number: int, plain: bytes) -> bytes:
        return self._aead.encrypt(self._nonce(number), plain, None)

    def open(self, number: int, sealed: bytes) -> bytes:
        nonce = self._nonce(number)
        try:
            return self._aead.decrypt(nonce, sealed, None)
        except Exception as error:  # which one it is depends on the cipher; for us they all mean the same
            raise ChunksDamagedError(f"chunk {number} is not authentic") from error


class ChunkSealer:
    """Seals a message while it is produced; holds back at most one chunk of plaintext.

    `salt` is 24 random bytes, never used twice with the same key. `context` binds the message to its place: opening it
    as any other thing fails. `chunk_bytes` says how much plaintext a chunk holds, and so how much is held back.
    """

    def __init__(
        self,
        key: bytes,
        context: bytes,
        salt: bytes,
        aead: Callable[[bytes], Aead],
        *,
        chunk_bytes: int = CHUNK_BYTES,
    ) -> None:
        if len(salt) != SALT_BYTES:
            raise ValueError(f"a salt has {SALT_BYTES} bytes, not {len(salt)}")
        self._chunk_bytes = chunk_bytes
        self._cipher = _Cipher(key, context, salt, aead)
        self._waiting = bytearray()
        self._number = 0
        self._finished = False
        self.header = salt + self._cipher.commitment
        """The first 56 bytes of the sealed message; write them before anything else."""

    def update(self, data: bytes) -> bytes:
        """Take more plaintext; returns the chunks that became full, sealed, to be written behind what came before."""
        if self._finished:
            raise ValueError("the message is finished")
        self._waiting += data
        sealed = bytearray()
        while len(self._waiting) >= self._chunk_bytes:
            sealed += self._cipher.seal(self._number, bytes(self._waiting[: self._chunk_bytes]))
            del self._waiting[: self._chunk_bytes]
            self._number += 1
        return bytes(sealed)

    def finish(self) -> bytes:
        """The last, short chunk, without which the message counts as cut. Once only."""
        if self._finished:
            raise ValueError("the message is finished")
        self._finished = True
        return self._cipher.seal(self._number, bytes(self._waiting))


class ChunkOpener:
    """Opens a message as it arrives from the start. Gives out authentic plaintext only; the end is proven by `finish`.

    Once it has raised `ChunksDamagedError` it goes on raising it.
    """

    def __init__(self, key: bytes, context: bytes, aead: Callable[[bytes], Aead]) -> None:
        self._secret = (key, context, aead)
        self._cipher: _Cipher | None = None
        self._waiting = bytearray()
        self._number = 0
        self._damage: ChunksDamagedError | None = None

    def update(self, sealed: bytes) -> bytes:
        """Take the next bytes of the sealed message; returns the plaintext of the chunks that are now whole."""
        self._refuse_after_damage()
        self._waiting += sealed
        plain = bytearray()
        try:
            if self._cipher is None and len(self._waiting) >= HEADER_BYTES:
                key, context, aead = self._secret
                self._cipher = _cipher_of(bytes(self._waiting[:HEADER_BYTES]), key, context, aead)
                del self._waiting[:HEADER_BYTES]
            while self._cipher is not None and len(self._waiting) >= _SEALED_CHUNK_BYTES:
                plain += self._cipher.open(self._number, bytes(self._waiting[:_SEALED_CHUNK_BYTES]))
                del self._waiting[:_SEALED_CHUNK_BYTES]
                self._number += 1
        except ChunksDamagedError as damage:
            self._damage = damage
            if not plain:
                raise
        return bytes(plain)

    def finish(self) -> bytes:
        """No more bytes follow: the plaintext of the last, short chunk."""
        self._refuse_after_damage()
        if self._cipher is None:
            self._damage = ChunksDamagedError("the message ends within its header")
            raise self._damage
        try:
            return self._cipher.open(self._number, bytes(self._waiting))
        except ChunksDamagedError as damage:
            self._damage = damage
            raise

    def _refuse_after_damage(self) -> None:
        if self._damage is not None:
            raise ChunksDamagedError(str(self._damage))


class ChunkReader:
    """Opens any part of a message that lies in a file or an object store.

    `read_at(offset, count)` fetches sealed bytes. The constructor checks the key and opens the last chunk, so that
    `length` is proven before anyone relies on it.
    """

    def __init__(
        self,
        key: bytes,
        context: bytes,
        read_at: Callable[[int, int], bytes],
        sealed_length: int,
        aead: Callable[[bytes], Aead],
    ) -> None:
        self._read_at = read_at
        self._sealed_length = sealed_length
        self._cipher = _cipher_of(read_at(0, HEADER_BYTES), key, context, aead)
        whole_chunks, rest = divmod(sealed_length - HEADER_BYTES, _SEALED_CHUNK_BYTES)
        if rest < TAG_BYTES:
            raise ChunksDamagedError("the message has been cut short")
        self.length = whole_chunks * CHUNK_BYTES + rest - TAG_BYTES
        """Bytes of plaintext."""
        self._chunk(whole_chunks)

    def read(self, start: int, count: int) -> bytes:
        """Plaintext from byte `start`, at most `count` bytes, fewer at the end. Opens only the chunks it touches."""
        if start < 0 or count < 0:
            raise ValueError("start and count count bytes from the message's beginning")
        end = min(start + count, self.length)
        if end <= start:
            return b""
        first = start // CHUNK_BYTES
        plain = b"".join(self._chunk(number) for number in range(first, (end - 1) // CHUNK_BYTES + 1))
        return plain[start - first * CHUNK_BYTES : end - first * CHUNK_BYTES]

    def _chunk(self, number: int) -> bytes:
        offset = HEADER_BYTES + number * _SEALED_CHUNK_BYTES
        count = min(_SEALED_CHUNK_BYTES, self._sealed_length - offset)
        return self._cipher.open(number, self._read_at(offset, count))


def recover(
    key: bytes,
    context: bytes,
    sealed: bytes | mmap,
    aead: Callable[[bytes], Aead],
    *,
    chunk_bytes: int = CHUNK_BYTES,
) -> Iterator[bytes]:
    """The longest authentic beginning of a message that its writer may not have finished, chunk by chunk.

    A file cut short gives all its whole chunks; a finished one gives everything; one cut within its header gives
    nothing. Raises `ChunksDamagedError` when the header is whole but the key or context is not the message's own.
    """
    if len(sealed) < HEADER_BYTES:
        return
    cipher = _cipher_of(sealed[:HEADER_BYTES], key, context, aead)
    step = chunk_bytes + TAG_BYTES
    for number, offset in enumerate(range(HEADER_BYTES, len(sealed), step)):
        try:
            plain = cipher.open(number, sealed[offset : offset + step])
        except ChunksDamagedError:
            return
        yield plain


def recording_context(tenant_id: str, session_id: str) -> bytes:
    """Binds a recording to its call."""
    return _bound_to(b"aitelier recording v1", tenant_id, session_id)


def copy_context(tenant_id: str, copy_id: str) -> bytes:
    """Binds a copy of everything held about a caller to its row."""
    return _bound_to(b"aitelier copy v1", tenant_id, copy_id)


def spooled_recording_context(tenant_id: str, session_id: str) -> bytes:
    """The same for a recording that is being made, in chunks of `SPOOLED_CHUNK_BYTES`."""
    return _bound_to(b"aitelier spooled recording v1", tenant_id, session_id)


def _bound_to(what: bytes, tenant_id: str, session_id: str) -> bytes:
    """The parts, each behind its length, so that no two lists of parts look alike."""
    parts = (what, tenant_id.encode(), session_id.encode())
    return b"".join(_LENGTH.pack(len(part)) + part for part in parts)


def _cipher_of(header: bytes, key: bytes, context: bytes, aead: Callable[[bytes], Aead]) -> _Cipher:
    if len(header) < HEADER_BYTES:
        raise ChunksDamagedError("the message ends within its header")
    cipher = _Cipher(key, context, header[:SALT_BYTES], aead)
    if not hmac.compare_digest(cipher.commitment, header[SALT_BYTES:]):
        raise ChunksDamagedError("the message was sealed under another key or for another place")
    return cipher


def _hkdf_expand(pseudorandom_key: bytes, info: bytes, length: int) -> bytes:
    """RFC 5869 section 2.3 with SHA-512."""
    output = block = b""
    counter = 1
    while len(output) < length:
        block = hmac.digest(pseudorandom_key, block + info + bytes([counter]), hashlib.sha512)
        output += block
        counter += 1
    return output[:length]
