"""A second verifier of exported audit logs, written from the page in `store.audit` and from the standards it names.

It shares no code with ours and takes other ways: the tree is built level by level, and a path walked by halving.
"""

import base64
import hashlib
import hmac
import json
import struct
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.mldsa import MLDSA44PublicKey


def audit(file: str, keys: list[str], server_keys: list[str]) -> dict[str, Any]:
    """What the export proves. Raises `AssertionError`, or what reading rubbish raises, when it proves nothing."""
    lines = [json.loads(line) for line in file.splitlines()]
    head, *rest = lines
    assert head["format"] == "aitelier-audit/1"
    acts = [line for line in rest if "leaf" in line or "pruned" in line]
    hashes = [hash_of(line) for line in acts]
    entries = [json.loads(line["leaf"]) if "leaf" in line else None for line in acts]
    assert len(hashes) == head["size"]
    notes = [line["checkpoint"] for line in rest if "checkpoint" in line]
    sizes = [signed(note, head["origin"], keys, hashes) for note in notes]
    assert sizes == head["checkpoints"]
    assert sizes[-1] == len(hashes)
    opened = {}
    for opening in (line["personal"] for line in rest if "personal" in line):
        text = json.dumps(opening["personal"], sort_keys=True, separators=(",", ":"), ensure_ascii=False)
        digest = hmac.new(bytes.fromhex(opening["salt"]), text.encode(), hashlib.sha256).hexdigest()
        entry = entries[opening["index"]]
        assert entry is not None
        assert entry["personal"] == digest
        opened[opening["index"]] = opening["personal"]
    (server,) = (line["server"] for line in rest if "server" in line)
    said = json.loads(server["leaf"])
    assert (said["facts"]["size"], said["facts"]["root"]) == (len(hashes), tree(hashes).hex())
    text, signatures = parsed(server["checkpoint"])
    origin, size, root = fields(text)
    check(text, signatures, origin, server_keys)
    path = [bytes.fromhex(part) for part in server["proof"]]
    assert walked(hash_of(server), server["index"], size, path) == root
    return {"entries": entries, "opened": opened}


def hash_of(line: dict[str, Any]) -> bytes:
    return hashlib.sha256(b"\0" + line["leaf"].encode()).digest() if "leaf" in line else bytes.fromhex(line["pruned"])


def tree(hashes: list[bytes]) -> bytes:
    """MTH of RFC 9162, 2.1.1, level by level: whoever is last and alone goes up as it is."""
    level = hashes
    while len(level) > 1:
        pairs = [level[at : at + 2] for at in range(0, len(level), 2)]
        level = [hashlib.sha256(b"\1" + b"".join(pair)).digest() if len(pair) == 2 else pair[0] for pair in pairs]
    return level[0]


def walked(leaf: bytes, index: int, size: int, path: list[bytes]) -> bytes:
    """The root that a path leads to: PATH of RFC 9162, 2.1.3.1, read backwards."""
    if size == 1:
        assert not path
        return leaf
    left = 1
    while left * 2 < size:
        left *= 2
    if index < left:
        return hashlib.sha256(b"\1" + walked(leaf, index, left, path[:-1]) + path[-1]).digest()
    return hashlib.sha256(b"\1" + path[-1] + walked(leaf, index - left, size - left, path[:-1])).digest()


def signed(note: str, origin: str, keys: list[str], hashes: list[bytes]) -> int:
    """The size of a checkpoint that is signed and right."""
    text, signatures = parsed(note)
    named, size, root = fields(text)
    assert named == origin
    check(text, signatures, origin, keys)
    assert tree(hashes[:size]) == root
    return size


def parsed(note: str) -> tuple[str, dict[bytes, bytes]]:
    body, _, tail = note.rpartition("\n\n")
    found = {}
    for line in tail.strip("\n").split("\n"):
        dash, _, raw = line.split(" ")
        assert dash == "\N{EM DASH}"
        found[base64.b64decode(raw)[:4]] = base64.b64decode(raw)[4:]
    return body + "\n", found


def fields(text: str) -> tuple[str, int, bytes]:
    origin, size, root = text.rstrip("\n").split("\n")
    return origin, int(size), base64.b64decode(root)


def check(text: str, signatures: dict[bytes, bytes], origin: str, keys: list[str]) -> None:
    """Every key signed: c2sp.org/signed-note for the kind 1, c2sp.org/tlog-cosignature for the kind 6."""
    assert keys
    for key in keys:
        name, number, encoded = key.split("+", 2)
        material = base64.b64decode(encoded)
        assert name == origin
        assert hashlib.sha256(name.encode() + b"\n" + material).digest()[:4].hex() == number
        signature = signatures[bytes.fromhex(number)]
        if material[0] == 1:
            Ed25519PublicKey.from_public_bytes(material[1:]).verify(signature, text.encode())
        else:
            assert material[0] == 6
            _, size, root = fields(text)
            short = bytes([len(name)]) + name.encode()
            message = b"subtree/v1\n\0" + short + signature[:8] + short + struct.pack(">QQ", 0, size) + root
            MLDSA44PublicKey.from_public_bytes(material[1:]).verify(signature[8:], message)
