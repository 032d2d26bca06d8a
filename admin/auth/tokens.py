"""Access tokens: for a quarter of an hour they say who somebody is, and never what they may do.

A JWT (RFC 7519) of the type `at+jwt` (RFC 9068), signed with Ed25519 (RFC 8037). What a person may do, and whether
their sign-in still goes on, is read from the store with every request.
"""

import re
import secrets
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final
from uuid import UUID

import jwt
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from jwt.types import Options

from admin.services import Services
from store.house import open_house
from store.people.token_keys import token_seeds

LIFE_S: Final = 900
"""Fifteen minutes."""
_TYPE: Final = "at+jwt"
_ALGORITHM: Final = "EdDSA"
_AUDIENCE: Final = "aitelier"
_HEADER: Final = frozenset({"alg", "kid", "typ"})
"""Nothing else may stand there: no key or address of one (`jwk`, `jku`, `x5u`), nothing that we would have to heed."""
_TOKEN: Final = re.compile(r"[A-Za-z0-9_-]{1,400}\.[A-Za-z0-9_-]{1,1200}\.[A-Za-z0-9_-]{86}", re.ASCII)
_OPTIONS: Final[Options] = {
    "require": ["iss", "aud", "sub", "sid", "jti", "iat", "nbf", "exp"],
    "strict_aud": True,
    # By our own clock, below: the library has only the machine's.
    "verify_exp": False,
    "verify_nbf": False,
    "verify_iat": False,
}
_REMEMBERED_S: Final = 60.0
_LOOK_AGAIN_S: Final = 1.0


@dataclass(frozen=True, slots=True)
class AccessToken:
    """What a good token says."""

    user_id: UUID
    device_id: UUID


class Tokens:
    """Signs and checks, with the server's keys; one for each process."""

    def __init__(self) -> None:
        self._keys: dict[str, Ed25519PrivateKey] = {}
        """The one that signs first."""
        self._looked_at = float("-inf")
        """Monotonic seconds."""

    async def sign(self, services: Services, *, user_id: UUID, device_id: UUID) -> str:
        """A new access token."""
        if time.monotonic() > self._looked_at + _REMEMBERED_S:
            await self._look(services)
        key_id, key = next(iter(self._keys.items()))
        now = int(services.unix_time())
        claims = {
            "iss": services.base_url,
            "aud": _AUDIENCE,
            "sub": str(user_id),
            "sid": str(device_id),
            "jti": secrets.token_urlsafe(16),
            "iat": now,
            "nbf": now,
            "exp": now + LIFE_S,
        }
        return jwt.encode(claims, key, algorithm=_ALGORITHM, headers={"kid": key_id, "typ": _TYPE})

    async def read(self, services: Services, token: str) -> AccessToken | None:
        """What the token says; None for one that is not ours, or is over."""
        if _TOKEN.fullmatch(token) is None:
            return None
        try:
            header = jwt.get_unverified_header(token)
            if header.keys() != _HEADER or header["typ"] != _TYPE or not isinstance(header["kid"], str):
                return None
            key = await self._key(services, header["kid"])
            if key is None:
                return None
            claims = jwt.decode(
                token,
                key.public_key(),
                algorithms=[_ALGORITHM],
                issuer=services.base_url,
                audience=_AUDIENCE,
                options=_OPTIONS,
            )
            if not int(claims["nbf"]) <= services.unix_time() < int(claims["exp"]):
                return None
            return AccessToken(UUID(claims["sub"]), UUID(claims["sid"]))
        except (jwt.InvalidTokenError, ValueError, TypeError, AttributeError):
            return None

    async def _key(self, services: Services, key_id: str) -> Ed25519PrivateKey | None:
        """Another machine may have begun to sign with a new one; strangers' inventions are looked for once a second."""
        looked_s_ago = time.monotonic() - self._looked_at
        if looked_s_ago > (_REMEMBERED_S if key_id in self._keys else _LOOK_AGAIN_S):
            await self._look(services)
        return self._keys.get(key_id)

    async def _look(self, services: Services) -> None:
        at = datetime.fromtimestamp(services.unix_time(), UTC)
        async with open_house(services.database) as house:
            seeds = await token_seeds(house, at)
        self._keys = {key_id: Ed25519PrivateKey.from_private_bytes(seed) for key_id, seed in seeds.items()}
        self._looked_at = time.monotonic()
