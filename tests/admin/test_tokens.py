"""Access tokens: what is not exactly one of ours, for this server, now, by a key of this server, is nobody's."""

import base64
import hmac
import json
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from uuid_utils.compat import uuid7

from admin.auth.identify import now_of
from admin.auth.tokens import LIFE_S, AccessToken, Tokens
from store.house import open_house
from store.people.token_keys import renew_token_key, token_seeds
from tests.admin.world import World

pytestmark = pytest.mark.asyncio(loop_scope="module")
_USER, _DEVICE = uuid7(), uuid7()


async def _good(world: World) -> str:
    return await Tokens().sign(world.services, user_id=_USER, device_id=_DEVICE)


async def _read(world: World, token: str) -> AccessToken | None:
    return await Tokens().read(world.services, token)


async def _key(world: World) -> tuple[str, Ed25519PrivateKey]:
    """The key that signs now, and its id."""
    async with open_house(world.services.database) as house:
        key_id, seed = next(iter((await token_seeds(house, now_of(world.services))).items()))
    return key_id, Ed25519PrivateKey.from_private_bytes(seed)


def _parts(token: str) -> list[dict[str, Any]]:
    return [json.loads(base64.urlsafe_b64decode(part + "==")) for part in token.split(".")[:2]]


def _encoded(part: object) -> str:
    return base64.urlsafe_b64encode(json.dumps(part).encode()).decode().rstrip("=")


async def test_a_token_says_who_and_nothing_more(world: World) -> None:
    """Its claims are those of RFC 9068 that name somebody: no role, no tenant, no address."""
    token = await _good(world)
    header, claims = _parts(token)
    assert header == {"alg": "EdDSA", "kid": (await _key(world))[0], "typ": "at+jwt"}
    assert claims.keys() == {"iss", "aud", "sub", "sid", "jti", "iat", "nbf", "exp"}
    assert claims["exp"] - claims["iat"] == LIFE_S == 900
    assert await _read(world, token) == AccessToken(_USER, _DEVICE)


Attack = Callable[[dict[str, Any], dict[str, Any], Ed25519PrivateKey], str]
"""Header and claims of a good token, and the key, which an attacker has not."""


def _signed(header: Mapping[str, Any] = {}, **claims: Any) -> Attack:
    """A token that the right key has signed, with other things in it; None takes one out."""

    def make(good_header: dict[str, Any], good: dict[str, Any], key: Ed25519PrivateKey) -> str:
        both = [
            {name: value for name, value in {**old, **new}.items() if value is not None}
            for old, new in ((good_header, header), (good, claims))
        ]
        text = f"{_encoded(both[0])}.{_encoded(both[1])}"
        return f"{text}.{base64.urlsafe_b64encode(key.sign(text.encode())).decode().rstrip('=')}"

    return make


def _none(header: dict[str, Any], claims: dict[str, Any], _key: Ed25519PrivateKey) -> str:
    return f"{_encoded({**header, 'alg': 'none'})}.{_encoded(claims)}."


def _confused(header: dict[str, Any], claims: dict[str, Any], key: Ed25519PrivateKey) -> str:
    """HMAC with the public key, which anybody may know, as the secret."""
    public = key.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)
    text = f"{_encoded({**header, 'alg': 'HS256'})}.{_encoded(claims)}"
    mac = hmac.digest(public, text.encode(), "sha256")
    return f"{text}.{base64.urlsafe_b64encode(mac).decode().rstrip('=')}"


def _by_another_key(header: dict[str, Any], claims: dict[str, Any], _key: Ed25519PrivateKey) -> str:
    return _signed()(header, claims, Ed25519PrivateKey.generate())


def _by_the_key_within(header: dict[str, Any], claims: dict[str, Any], _key: Ed25519PrivateKey) -> str:
    own = Ed25519PrivateKey.generate()
    raw = own.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)
    within = {"kty": "OKP", "crv": "Ed25519", "x": base64.urlsafe_b64encode(raw).decode().rstrip("=")}
    return _signed({"jwk": within})(header, claims, own)


_FAR = 4_000_000_000
ATTACKS: dict[str, Attack] = {
    "no signature": _none,
    "no signature, NONE": lambda header, claims, _: f"{_encoded({**header, 'alg': 'NONE'})}.{_encoded(claims)}.",
    "an empty signature": lambda header, claims, _: f"{_encoded(header)}.{_encoded(claims)}.",
    "HMAC with the public key": _confused,
    "another key": _by_another_key,
    "a key of its own in the header": _by_the_key_within,
    "the address of a key (jku)": _signed({"jku": "https://evil.example/keys.json"}),
    "the address of a certificate (x5u)": _signed({"x5u": "https://evil.example/cert.pem"}),
    "a certificate (x5c)": _signed({"x5c": ["AAAA"]}),
    "what must be understood (crit)": _signed({"crit": ["exp"]}),
    "an unencoded payload (b64)": _signed({"b64": False}),
    "no kid": _signed({"kid": None}),
    "a kid that is a path": _signed({"kid": "../../../../dev/null"}),
    "a kid that is SQL": _signed({"kid": "x' UNION SELECT 'AAAA"}),
    "a kid that is no text": _signed({"kid": 7}),
    "a kid that is a list": _signed({"kid": ["a"]}),
    "another algorithm's name": _signed({"alg": "Ed25519ph"}),
    "an ID token": _signed({"typ": "JWT"}),
    "no type": _signed({"typ": None}),
    "expired": _signed(exp=1_700_000_000),
    "no end": _signed(exp=None),
    "an end that is a text": _signed(exp="never"),
    "an end that is a list": _signed(exp=[_FAR]),
    "not yet": _signed(nbf=_FAR),
    "another server's": _signed(iss="https://evil.example"),
    "no issuer": _signed(iss=None),
    "for another audience": _signed(aud="another"),
    "for many audiences": _signed(aud=["aitelier", "another"]),
    "for nobody": _signed(aud=None),
    "of nobody": _signed(sub=None),
    "of somebody who is no id": _signed(sub="admin"),
    "of a number": _signed(sub=1),
    "of no device": _signed(sid=None),
    "of a device that is a list": _signed(sid=["a"]),
    "without a name of its own": _signed(jti=None),
}


@pytest.mark.parametrize("name", ATTACKS)
async def test_attacks(world: World, name: str) -> None:
    """Each is refused, even those that the right key has signed; and what they are made from is good."""
    token = await _good(world)
    header, claims = _parts(token)
    _, key = await _key(world)
    assert await _read(world, _signed()(header, claims, key)) == AccessToken(_USER, _DEVICE)
    assert await _read(world, ATTACKS[name](header, claims, key)) is None


async def test_other_ways_to_write_a_token(world: World) -> None:
    """Padding, blanks, another alphabet, more parts, a turned bit: there is one way to write one."""
    token = await _good(world)
    head, body, signature = token.split(".")
    others = [
        "", ".", "..", token + "=", token + " ", " " + token, token + "\n", token + ".", token.upper(),
        f"{head}.{body}", f"{head}.{body}.{signature}.{signature}", f"{head}=.{body}.{signature}",
        f"{head}.{body}=.{signature}", f"{head}.{body}\n.{signature}", "a" * 100_000,
        f"{head}.{'a' * 100_000}.{signature}",
        f"{head}.{body}.{'é' * 86}", f"{head}.{body}.{signature[:-2]}",
    ]  # fmt: skip  # one after the other
    for index in range(0, len(signature) - 1, 7):
        turned = "A" if signature[index] != "A" else "B"
        others.append(f"{head}.{body}.{signature[:index]}{turned}{signature[index + 1 :]}")
    for other in others:
        assert await _read(world, other) is None, other[:40]


async def test_wycheproof(world: World, vectors: Path) -> None:
    """None of its signed texts is one of ours; and the library beneath takes no wrong signature for a right one."""
    groups = json.loads((vectors / "wycheproof" / "json_web_signature_test.json").read_text())["testGroups"]
    wrongly = []
    for group in groups:
        key = group.get("public") or group["private"]
        for case in group["tests"]:
            text = case["jws"] if isinstance(case["jws"], str) else json.dumps(case["jws"])
            assert await _read(world, text) is None, case["tcId"]
            try:
                loaded = jwt.PyJWK(key).key
                jwt.api_jws.PyJWS().decode(text, loaded, algorithms=[key.get("alg") or "RS256"])
            except (jwt.PyJWTError, ValueError, TypeError):
                continue
            if case["result"] == "invalid":
                wrongly.append((case["tcId"], group.get("comment"), case["comment"]))
    # HS256 texts in other base64, which our own pattern refuses; and keys for other uses, of which we have none.
    assert len(wrongly) <= 6, wrongly


async def test_a_token_ends_after_a_quarter_of_an_hour(world: World) -> None:
    """To the second, by the server's clock; and a clock that was put back makes none good that is not yet."""
    token = await _good(world)
    began = int(_parts(token)[1]["iat"])
    for at, is_good in ((began, True), (began + LIFE_S - 1, True), (began + LIFE_S, False), (began - 1, False)):
        services = replace(world.services, unix_time=lambda at=at: float(at))
        assert (await Tokens().read(services, token) is not None) == is_good


async def test_keys_are_renewed_without_throwing_anybody_out(world: World) -> None:
    """What the old key has signed stays good; a process that does not know the new one looks for it."""
    old_process = Tokens()
    old = await old_process.sign(world.services, user_id=_USER, device_id=_DEVICE)
    async with open_house(world.services.database) as house:
        await renew_token_key(house, now_of(world.services) + timedelta(seconds=1))
    new_process = Tokens()
    new = await new_process.sign(world.services, user_id=_USER, device_id=_DEVICE)
    assert _parts(old)[0]["kid"] != _parts(new)[0]["kid"]
    assert await new_process.read(world.services, old) == AccessToken(_USER, _DEVICE)
    old_process._looked_at -= 2  # two seconds later
    assert await old_process.read(world.services, new) == AccessToken(_USER, _DEVICE)
