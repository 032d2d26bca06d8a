"""Sealed values open in their own place, under their own key, and nowhere else."""

import base64
import json
from dataclasses import replace
from pathlib import Path

import pytest
import tink
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from hypothesis import given
from hypothesis import strategies as st
from tink import aead, secret_key_access

from store.sealing import CallColumns, Place, SealBrokenError, Sealer, derive, framed, key_id, tag_of

aead.register()

KEY = bytes(range(32))
PLACE = Place("tenant", "turns", "text", ("call", "1"))


def test_aes_gcm_is_what_wycheproof_says(vectors: Path) -> None:
    """The cipher underneath takes every valid AES-256 vector with our nonce size, and refuses every other."""
    groups = json.loads((vectors / "wycheproof" / "aes_gcm_test.json").read_text())["testGroups"]
    tried = 0
    for group in groups:
        if (group["keySize"], group["ivSize"], group["tagSize"]) != (256, 96, 128):
            continue
        for case in group["tests"]:
            key, nonce, data, plain, sealed, tag = (
                bytes.fromhex(case[name]) for name in ("key", "iv", "aad", "msg", "ct", "tag")
            )
            # Our own code on the vector: put it into the wire format, under the id of its key.
            wire = b"\x01" + key_id(key) + nonce + sealed + tag
            if case["result"] == "valid":
                assert Sealer(key).open(wire, data) == plain, case["tcId"]
            else:
                with pytest.raises(SealBrokenError):
                    Sealer(key).open(wire, data)
            tried += 1
    assert tried >= 60


def test_hkdf_is_what_wycheproof_says(vectors: Path) -> None:
    """Keys are derived by HKDF-SHA-256 as others compute it, where the vector has no salt and a text as info."""
    groups = json.loads((vectors / "wycheproof" / "hkdf_sha256_test.json").read_text())["testGroups"]
    tried = 0
    for case in (case for group in groups for case in group["tests"] if not case["salt"] and case["result"] == "valid"):
        try:
            label = bytes.fromhex(case["info"]).decode()
        except UnicodeDecodeError:
            continue
        assert derive(bytes.fromhex(case["ikm"]), label, case["size"]).hex() == case["okm"], case["tcId"]
        tried += 1
    assert tried > 0


def test_hmac_is_what_wycheproof_says(vectors: Path) -> None:
    """Blind indexes are HMAC-SHA-256, cut to 128 bits, as others compute it."""
    groups = json.loads((vectors / "wycheproof" / "hmac_sha256_test.json").read_text())["testGroups"]
    tried = 0
    for case in (case for group in groups if group["tagSize"] == 128 for case in group["tests"]):
        ours = tag_of(bytes.fromhex(case["key"]), bytes.fromhex(case["msg"]))
        assert (ours.hex() == case["tag"]) == (case["result"] == "valid"), case["tcId"]
        tried += 1
    assert tried >= 60


def _tinks_own(key: bytes) -> aead.Aead:
    """Google's Tink with the same key under the same id: AesGcmKey of aes_gcm.proto, whose field 3 is the key."""
    number = int.from_bytes(key_id(key), "big")
    data = {
        "typeUrl": "type.googleapis.com/google.crypto.tink.AesGcmKey",
        "value": base64.b64encode(bytes([3 << 3 | 2, len(key)]) + key).decode(),
        "keyMaterialType": "SYMMETRIC",
    }
    keyset = {
        "primaryKeyId": number,
        "key": [{"keyData": data, "status": "ENABLED", "keyId": number, "outputPrefixType": "TINK"}],
    }
    handle = tink.json_proto_keyset_format.parse(json.dumps(keyset), secret_key_access.TOKEN)
    return handle.primitive(aead.Aead)


@given(st.binary(max_size=300), st.binary(max_size=40))
def test_tink_opens_ours_and_we_open_tinks(plain: bytes, data: bytes) -> None:
    """Version byte, four bytes of key id, nonce, ciphertext, tag: the real library and we read each other."""
    ours, theirs = Sealer(KEY), _tinks_own(KEY)
    assert theirs.decrypt(ours.seal(plain, data), data) == plain
    assert ours.open(theirs.encrypt(plain, data), data) == plain
    with pytest.raises(tink.TinkError):
        theirs.decrypt(ours.seal(plain, data), data + b"\0")


_WORD = st.text(st.sampled_from("ab/"), max_size=3)
_PLACE = st.builds(Place, _WORD, _WORD, _WORD, st.lists(_WORD, max_size=3).map(tuple))


@given(_PLACE, _PLACE)
def test_a_moved_value_does_not_open(here: Place, there: Place) -> None:
    """Put into another tenant's, table's, column's or row's place, a sealed value is refused; in its own it opens."""
    sealer = Sealer(KEY)
    sealed = sealer.seal(b"secret", here.associated_data)
    if here == there:
        assert sealer.open(sealed, there.associated_data) == b"secret"
    else:
        with pytest.raises(SealBrokenError):
            sealer.open(sealed, there.associated_data)


@pytest.mark.parametrize("part", ["tenant_id", "table", "column", "row"])
def test_each_part_of_a_place_counts(part: str) -> None:
    """A value is refused where only one of them is another."""
    sealed = Sealer(KEY).seal(b"secret", PLACE.associated_data)
    elsewhere = replace(PLACE, **{part: ("call", "2") if part == "row" else "other"})
    with pytest.raises(SealBrokenError):
        Sealer(KEY).open(sealed, elsewhere.associated_data)


@given(st.lists(st.binary(max_size=5), max_size=4), st.lists(st.binary(max_size=5), max_size=4))
def test_two_places_never_look_alike(some: list[bytes], others: list[bytes]) -> None:
    """Framing tells every two lists of parts apart, also where their concatenations are equal."""
    assert (framed(*some) == framed(*others)) == (some == others)


@given(st.binary(max_size=100), st.data())
def test_an_altered_value_does_not_open(plain: bytes, data: st.DataObject) -> None:
    """Changing any one byte, or cutting anything off, breaks the seal."""
    sealer = Sealer(KEY)
    sealed = sealer.seal(plain, b"here")
    assert sealer.open(sealed, b"here") == plain
    at = data.draw(st.integers(0, len(sealed) - 1))
    altered = sealed[:at] + bytes([sealed[at] ^ data.draw(st.integers(1, 255))]) + sealed[at + 1 :]
    for broken in (altered, sealed[:at]):
        with pytest.raises(SealBrokenError):
            sealer.open(broken, b"here")


def test_another_key_does_not_open() -> None:
    """A value sealed under one key is refused by another, even one that claims the same id."""
    sealed = Sealer(KEY).seal(b"secret", b"")
    other = bytes(32)
    with pytest.raises(SealBrokenError):
        Sealer(other).open(sealed, b"")
    with pytest.raises(SealBrokenError):
        Sealer(other).open(b"\x01" + key_id(other) + sealed[5:], b"")
    with pytest.raises(InvalidTag):
        AESGCM(other).decrypt(sealed[5:17], sealed[17:], b"")


def test_columns_of_a_call_do_not_mix() -> None:
    """Two turns of one call, and the same turn of two calls, cannot be exchanged."""
    columns = CallColumns(KEY, "tenant")
    sealed = columns.seal("Grüße", "turns", "text", "call", 1)
    assert columns.open(sealed, "turns", "text", "call", 1) == "Grüße"
    for place in (("turns", "text", "call", 2), ("messages", "text", "call", 1), ("turns", "text", "other", 1)):
        with pytest.raises(SealBrokenError):
            columns.open(sealed, *place)


def test_equal_values_look_different() -> None:
    """Sealing the same words twice gives two ciphertexts: nobody sees that they are the same."""
    sealer = Sealer(KEY)
    assert sealer.seal(b"yes", b"") != sealer.seal(b"yes", b"")
