"""The signatures under the audit log are what Wycheproof says that they are, edge cases and forgeries included."""

import json
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.mldsa import MLDSA44PublicKey

from store.audit.notes import ED25519, Checkpoint, VerifierKey

ANY = Checkpoint("example.org/log", 0, bytes(32))


def _cases(file: Path) -> Iterator[tuple[Any, Mapping[str, Any]]]:
    for group in json.loads(file.read_text())["testGroups"]:
        for case in group["tests"]:
            if "ctx" not in case:  # ours sign without a context
                yield group["publicKey"], case


def _holds(verify: Callable[[], object]) -> bool:
    try:
        verify()
    except (InvalidSignature, ValueError):
        return False
    return True


def test_ed25519(vectors: Path) -> None:
    """RFC 8032, by the library that we use and, where the message is a text as notes are, by our own verifier."""
    texts = 0
    for group, case in _cases(vectors / "wycheproof" / "ed25519_test.json"):
        key, message, signature = (bytes.fromhex(one) for one in (group["pk"], case["msg"], case["sig"]))
        valid = case["result"] == "valid"

        def verify(key: bytes = key, message: bytes = message, signature: bytes = signature) -> None:
            Ed25519PublicKey.from_public_bytes(key).verify(signature, message)

        assert _holds(verify) == valid, case["tcId"]
        try:
            text = message.decode()
        except UnicodeDecodeError:
            continue
        assert VerifierKey("example.org/log", ED25519, key).signed(ANY, text, signature) == valid, case["tcId"]
        texts += 1
    assert texts > 40


def test_ml_dsa_44(vectors: Path) -> None:
    """FIPS 204, by the library that we use."""
    tried = 0
    for group, case in _cases(vectors / "wycheproof" / "mldsa_44_verify_test.json"):
        key, message, signature = (bytes.fromhex(one) for one in (group, case["msg"], case["sig"]))

        def verify(key: bytes = key, message: bytes = message, signature: bytes = signature) -> None:
            MLDSA44PublicKey.from_public_bytes(key).verify(signature, message)

        assert _holds(verify) == (case["result"] == "valid"), case["tcId"]
        tried += 1
    assert tried > 100
