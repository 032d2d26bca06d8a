"""Sealing of single values: AES-256-GCM in Tink's wire format, bound to the place where the value lies.

Wire format: 0x01, key id (4 bytes), nonce (12), ciphertext, tag (16). Any Tink library with the same key, id and
associated data opens it. A value moved to another tenant, table, column or row does not open.
"""

import hmac
import os
import struct
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

VERSION = b"\x01"
_PREFIX_BYTES = 5
_NONCE_BYTES = 12
_TAG_BYTES = 16
_INDEX_BYTES = 16
_LENGTH = struct.Struct(">I")


class SealBrokenError(Exception):
    """The value was altered, moved from another place, or sealed under another key."""


def derive(key: bytes, label: str, length: int = 32) -> bytes:
    """A key of its own for one use: HKDF-SHA-256 (RFC 5869) with the label as info."""
    return HKDF(hashes.SHA256(), length, None, label.encode()).derive(key)


def key_id(key: bytes) -> bytes:
    """Four bytes that name a key without telling anything of it."""
    return derive(key, "aitelier key id v1", 4)


def tag_of(key: bytes, text: bytes) -> bytes:
    """16 bytes that only who has the key can compute: HMAC-SHA-256 (RFC 2104), cut to its first half (RFC 4868)."""
    return hmac.digest(key, text, "sha256")[:_INDEX_BYTES]


def framed(*parts: bytes) -> bytes:
    """The parts, each behind its length, so that no two lists of parts look alike."""
    return b"".join([_LENGTH.pack(len(part)) + part for part in parts])


@dataclass(frozen=True, slots=True)
class Place:
    """Where a sealed value lies."""

    tenant_id: str
    table: str
    column: str
    row: tuple[str, ...]
    """The primary key without the tenant."""

    @property
    def associated_data(self) -> bytes:
        """What binds the value to this place."""
        parts = (self.tenant_id, self.table, self.column, *self.row)
        return framed(b"aitelier column v1", *[part.encode() for part in parts])


class Sealer:
    """Seals and opens values under one key."""

    def __init__(self, key: bytes) -> None:
        self.key_id = key_id(key)
        self._cipher = AESGCM(key)

    def seal(self, plain: bytes, associated_data: bytes) -> bytes:
        """The value, readable only with the key and the same associated data."""
        nonce = os.urandom(_NONCE_BYTES)
        return VERSION + self.key_id + nonce + self._cipher.encrypt(nonce, plain, associated_data)

    def open(self, sealed: bytes, associated_data: bytes) -> bytes:
        """The value that was sealed.

        Raises:
            SealBrokenError: It does not authenticate here.
        """
        if len(sealed) < _PREFIX_BYTES + _NONCE_BYTES + _TAG_BYTES or sealed[:_PREFIX_BYTES] != VERSION + self.key_id:
            raise SealBrokenError("the value is not sealed under this key")
        nonce, rest = sealed[_PREFIX_BYTES : _PREFIX_BYTES + _NONCE_BYTES], sealed[_PREFIX_BYTES + _NONCE_BYTES :]
        try:
            return self._cipher.decrypt(nonce, rest, associated_data)
        except InvalidTag as error:
            raise SealBrokenError("the value does not authenticate in its place") from error


@lru_cache(maxsize=1024)
def sealer_of(key: bytes) -> Sealer:
    """The sealer of a tenant's key: a page of values is opened by one, and making its cipher takes as long as that."""
    return Sealer(key)


def column_key(key: bytes) -> bytes:
    """The key that seals columns, made from that of a tenant or a call."""
    return derive(key, "aitelier columns v1")


class Columns:
    """Seals personal columns under one of several keys, each value bound to its place."""

    def __init__(
        self, tenant_id: object, sealers: Sequence[Sealer], sealed: Callable[[bytes], None] = lambda _: None
    ) -> None:
        """The first sealer seals, and `sealed` is told its key's id each time; each opens what it sealed."""
        self._sealers = sealers
        self._sealed = sealed
        self._tenant_id = str(tenant_id)

    def seal(self, text: str, table: str, column: str, *row: object) -> bytes:
        """`text` for this column of this row; `row` is the primary key without the tenant."""
        self._sealed(self._sealers[0].key_id)
        return self._sealers[0].seal(text.encode(), self._place(table, column, row))

    def open(self, sealed: bytes, table: str, column: str, *row: object) -> str:
        """The text of this column of this row.

        Raises:
            SealBrokenError: It was altered, belongs elsewhere, or its key is gone.
        """
        number = sealed[1:_PREFIX_BYTES]
        sealer = next((sealer for sealer in self._sealers if sealer.key_id == number), self._sealers[0])
        return sealer.open(sealed, self._place(table, column, row)).decode()

    def _place(self, table: str, column: str, row: tuple[object, ...]) -> bytes:
        return Place(self._tenant_id, table, column, tuple(str(part) for part in row)).associated_data


class CallColumns(Columns):
    """Columns of one call, all under the call's data key, so that deleting the key shreds them."""

    def __init__(self, data_key: bytes, tenant_id: object) -> None:
        super().__init__(tenant_id, (Sealer(column_key(data_key)),))
