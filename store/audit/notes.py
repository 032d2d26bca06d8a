"""Signed statements about a log, as others verify them too: C2SP signed-note, tlog-checkpoint, tlog-cosignature.

Each checkpoint is signed twice: with Ed25519, which every verifier knows, and with ML-DSA-44 (FIPS 204), because what
it proves has to last for years in which quantum computers may come. Needs nothing but `cryptography`.
"""

import base64
import hashlib
import re
import struct
from collections.abc import Sequence
from dataclasses import dataclass, field

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.mldsa import MLDSA44PrivateKey, MLDSA44PublicKey
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from policies.merkle import HASH_BYTES

ED25519 = 0x01
ML_DSA_44 = 0x06
_ED25519_KEY_BYTES = 32
_ML_DSA_KEY_BYTES = 1312
_KEY_BYTES = {ED25519: _ED25519_KEY_BYTES, ML_DSA_44: _ML_DSA_KEY_BYTES}
_COSIGNED = b"subtree/v1\n\0"
_MARK = "— "
_SIZE = re.compile("0|[1-9][0-9]{0,17}")


class NoteError(Exception):
    """A note, key or checkpoint that is not well formed."""


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """A tree of so many leaves has this root."""

    origin: str
    size: int
    root: bytes

    @property
    def text(self) -> str:
        """What is signed (c2sp.org/tlog-checkpoint)."""
        return f"{self.origin}\n{self.size}\n{base64.b64encode(self.root).decode()}\n"

    @classmethod
    def parsed(cls, text: str) -> "Checkpoint":
        """The reverse of `text`. Raises `NoteError`."""
        lines = text.split("\n")
        try:
            origin, size, root = lines[0], lines[1], decoded(lines[2])
        except (IndexError, ValueError) as error:
            raise NoteError("not a checkpoint") from error
        if not origin or not _SIZE.fullmatch(size) or lines[-1]:
            raise NoteError("not a checkpoint")
        if len(root) != HASH_BYTES:
            raise NoteError("the root of a checkpoint has 32 bytes")
        return cls(origin, int(size), root)


@dataclass(frozen=True, slots=True)
class VerifierKey:
    """A public key and the name it signs under (c2sp.org/signed-note, "verifier keys")."""

    name: str
    kind: int
    key: bytes

    @property
    def number(self) -> bytes:
        """The four bytes by which a signature names its key."""
        return hashlib.sha256(self.name.encode() + b"\n" + bytes([self.kind]) + self.key).digest()[:4]

    def __str__(self) -> str:
        return f"{self.name}+{self.number.hex()}+{base64.b64encode(bytes([self.kind]) + self.key).decode()}"

    @classmethod
    def parsed(cls, text: str) -> "VerifierKey":
        """The reverse of `str`. Raises `NoteError`."""
        try:
            name, number, encoded = text.strip().split("+", 2)
            material = decoded(encoded)
            found = cls(name, material[0], material[1:])
        except (ValueError, IndexError) as error:
            raise NoteError("a public key looks like name+12345678+base64") from error
        if len(found.key) != _KEY_BYTES.get(found.kind, -1) or found.number.hex() != number:
            raise NoteError("the public key is damaged, or of a kind unknown here")
        return found

    def signed(self, checkpoint: Checkpoint, text: str, signature: bytes) -> bool:
        """Whether this key signed the note, whose parsed text is `checkpoint`."""
        try:
            if self.kind == ED25519:
                Ed25519PublicKey.from_public_bytes(self.key).verify(signature, text.encode())
            else:
                (seconds,) = struct.unpack_from(">Q", signature)
                message = _cosigned(self.name, seconds, checkpoint)
                MLDSA44PublicKey.from_public_bytes(self.key).verify(signature[8:], message)
        except (InvalidSignature, struct.error):
            return False
        return True


class Signer:
    """The server's signing keys, under the name of one log."""

    def __init__(self, seed: bytes, name: str) -> None:
        """`seed` has 32 bytes; both keys are derived from it, and the same for every log of the server."""
        self.name = name
        self._ed25519 = Ed25519PrivateKey.from_private_bytes(_derived(seed, "aitelier audit ed25519 v1"))
        self._ml_dsa = MLDSA44PrivateKey.from_seed_bytes(_derived(seed, "aitelier audit ml-dsa-44 v1"))

    @property
    def public(self) -> tuple[VerifierKey, VerifierKey]:
        """What a verifier needs: either key suffices, both are better."""
        return (
            VerifierKey(self.name, ED25519, self._ed25519.public_key().public_bytes_raw()),
            VerifierKey(self.name, ML_DSA_44, self._ml_dsa.public_key().public_bytes_raw()),
        )

    def sign(self, checkpoint: Checkpoint, seconds: int) -> str:
        """The signed note; `seconds` since the epoch is when, and stands in the second signature."""
        text = checkpoint.text
        classic, lasting = self.public
        stamped = struct.pack(">Q", seconds) + self._ml_dsa.sign(_cosigned(self.name, seconds, checkpoint))
        lines = (
            _line(self.name, classic.number + self._ed25519.sign(text.encode())),
            _line(self.name, lasting.number + stamped),
        )
        return text + "\n" + "".join(lines)


@dataclass(frozen=True, slots=True)
class Note:
    """A note, taken apart."""

    text: str
    signatures: tuple[tuple[str, bytes, bytes], ...]
    """Name, number of the key, signature."""
    checkpoint: Checkpoint = field(repr=False)

    @classmethod
    def parsed(cls, note: str) -> "Note":
        """Raises `NoteError`."""
        text, found, tail = note.rpartition("\n\n")
        if not found or not tail.endswith("\n"):
            raise NoteError("a note has its signatures behind an empty line")
        text += "\n"
        signatures = []
        for line in tail.removesuffix("\n").split("\n"):
            parts = line.removeprefix(_MARK).split(" ")
            if not line.startswith(_MARK) or len(parts) != 2:
                raise NoteError("a signature is a line of its own")
            try:
                raw = decoded(parts[1])
            except ValueError as error:
                raise NoteError("a signature is in base64") from error
            signatures.append((parts[0], raw[:4], raw[4:]))
        return cls(text, tuple(signatures), Checkpoint.parsed(text))

    def proven_by(self, keys: Sequence[VerifierKey]) -> Checkpoint:
        """The checkpoint, if of each kind of these keys one has signed it, and signs for the log that it names.

        Raises:
            NoteError: It is not signed so, or a signature that names one of the keys is not its own.
        """
        signers = [key for key in keys if key.name == self.checkpoint.origin and self._signed_by(key)]
        if not signers or {key.kind for key in signers} != {key.kind for key in keys}:
            raise NoteError(f"that of {self.checkpoint.size} entries is not signed by the given keys")
        return self.checkpoint

    def _signed_by(self, key: VerifierKey) -> bool:
        named = [signed for name, number, signed in self.signatures if (name, number) == (key.name, key.number)]
        if not all(key.signed(self.checkpoint, self.text, signature) for signature in named):
            raise NoteError("a signature is forged")
        return bool(named)


def _derived(seed: bytes, label: str) -> bytes:
    return HKDF(hashes.SHA256(), 32, None, label.encode()).derive(seed)


def decoded(text: str) -> bytes:
    """Of base64 as we write it, so that no two texts mean the same. Raises `ValueError`."""
    found = base64.b64decode(text, validate=True)
    if base64.b64encode(found).decode() != text:
        raise ValueError("base64 with bits to spare")
    return found


def _line(name: str, signature: bytes) -> str:
    return f"{_MARK}{name} {base64.b64encode(signature).decode()}\n"


def _cosigned(name: str, seconds: int, checkpoint: Checkpoint) -> bytes:
    """`cosigned_message` of c2sp.org/tlog-cosignature, for a whole tree."""
    parts = [_COSIGNED]
    parts += [struct.pack(">B", len(name.encode())), name.encode(), struct.pack(">Q", seconds)]
    parts += [struct.pack(">B", len(checkpoint.origin.encode())), checkpoint.origin.encode()]
    parts += [struct.pack(">QQ", 0, checkpoint.size), checkpoint.root]
    return b"".join(parts)
