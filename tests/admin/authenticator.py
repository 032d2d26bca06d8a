"""An authenticator in software, which can also be made to lie in every way that matters (WebAuthn level 3)."""

import base64
import hashlib
import json
import os
import struct
from dataclasses import dataclass, field

import cbor2
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec

_UP, _UV, _AT = 0x01, 0x04, 0x40


def encoded(value: bytes) -> str:
    """Base64 for URLs, without padding."""
    return base64.urlsafe_b64encode(value).decode().rstrip("=")


def decoded(text: str) -> bytes:
    """The other way."""
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


@dataclass
class Lies:
    """What differs from what an honest browser and authenticator say."""

    challenge: bytes | None = None
    origin: str | None = None
    party: str | None = None
    kind: str | None = None
    more: dict[str, object] = field(default_factory=dict)
    """Further members of the client data."""
    verified: bool = True
    count: int | None = None
    signature: bytes | None = None
    id: bytes | None = None


HONEST = Lies()


class Authenticator:
    """One key on one authenticator, in the browser of its owner."""

    def __init__(self, origin: str) -> None:
        self.id = os.urandom(32)
        self.count = 0
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._origin = origin

    def create(self, options: str, lies: Lies = HONEST) -> str:
        """The answer of `navigator.credentials.create`, as our script sends it."""
        wanted = json.loads(options)
        numbers = self._key.public_key().public_numbers()
        public = {1: 2, 3: -7, -1: 1, -2: numbers.x.to_bytes(32, "big"), -3: numbers.y.to_bytes(32, "big")}
        attested = bytes(16) + struct.pack(">H", len(self.id)) + self.id + cbor2.dumps(public)
        data = self._data(wanted["rp"]["id"], lies, _AT) + attested
        attestation = cbor2.dumps({"fmt": "none", "attStmt": {}, "authData": data})
        client = self._client("webauthn.create", wanted["challenge"], lies)
        return self._answer(
            lies,
            clientDataJSON=encoded(client),
            attestationObject=encoded(attestation),
            transports=["usb", "carrier pigeon"],
        )

    def get(self, options: str, lies: Lies = HONEST) -> str:
        """The answer of `navigator.credentials.get`, as our script sends it."""
        wanted = json.loads(options)
        self.count += 1
        data = self._data(wanted["rpId"], lies, 0)
        client = self._client("webauthn.get", wanted["challenge"], lies)
        signature = self._key.sign(data + hashlib.sha256(client).digest(), ec.ECDSA(hashes.SHA256()))
        return self._answer(
            lies,
            clientDataJSON=encoded(client),
            authenticatorData=encoded(data),
            signature=encoded(lies.signature or signature),
        )

    def _data(self, party: str, lies: Lies, flags: int) -> bytes:
        flags |= _UP | (_UV if lies.verified else 0)
        count = self.count if lies.count is None else lies.count
        return hashlib.sha256((lies.party or party).encode()).digest() + struct.pack(">BI", flags, count)

    def _client(self, kind: str, challenge: str, lies: Lies) -> bytes:
        return json.dumps(
            {
                "type": lies.kind or kind,
                "challenge": challenge if lies.challenge is None else encoded(lies.challenge),
                "origin": lies.origin or self._origin,
                "crossOrigin": False,
                **lies.more,
            }
        ).encode()

    def _answer(self, lies: Lies, **response: object) -> str:
        name = encoded(lies.id or self.id)
        return json.dumps({"id": name, "rawId": name, "type": "public-key", "response": response})
