"""Merkle trees as RFC 9162 defines them, section 2.1: hashing, proofs, and their verification.

A tree is never held whole. `Edge` is what appending needs: the roots of the perfect subtrees that make up a tree, left
to right, one for each bit of its size.
"""

import hashlib
import hmac
from collections.abc import Sequence
from dataclasses import dataclass

HASH_BYTES = 32
EMPTY_ROOT = hashlib.sha256(b"").digest()
"""Root of a tree without leaves."""


def leaf_hash(leaf: bytes) -> bytes:
    """Hash of one leaf, 32 bytes."""
    return hashlib.sha256(b"\0" + leaf).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    """Hash of an inner node, 32 bytes."""
    return hashlib.sha256(b"\1" + left + right).digest()


@dataclass(frozen=True, slots=True)
class Edge:
    """The right edge of a tree: enough to append to it and to know its root."""

    size: int = 0
    """Leaves."""
    hashes: tuple[bytes, ...] = ()
    """Roots of its perfect subtrees, the largest first."""

    def appended(self, leaf: bytes) -> "Edge":
        """With one more leaf, given by its hash."""
        hashes, last, size = list(self.hashes), leaf, self.size
        while size & 1:
            last = node_hash(hashes.pop(), last)
            size >>= 1
        return Edge(self.size + 1, (*hashes, last))

    @property
    def root(self) -> bytes:
        """Root of the tree, 32 bytes."""
        if not self.hashes:
            return EMPTY_ROOT
        *rest, root = self.hashes
        for left in reversed(rest):
            root = node_hash(left, root)
        return root

    def packed(self) -> bytes:
        """The hashes one behind the other."""
        return b"".join(self.hashes)

    @classmethod
    def unpacked(cls, size: int, packed: bytes) -> "Edge":
        """The reverse of `packed`.

        Raises:
            ValueError: It cannot be the edge of a tree of this size.
        """
        if size < 0 or len(packed) != HASH_BYTES * size.bit_count():
            raise ValueError("no edge of a tree of this size")
        return cls(size, tuple(packed[at : at + HASH_BYTES] for at in range(0, len(packed), HASH_BYTES)))


def root_of(leaves: Sequence[bytes]) -> bytes:
    """Root of the tree with these leaf hashes."""
    edge = Edge()
    for leaf in leaves:
        edge = edge.appended(leaf)
    return edge.root


def inclusion_proof(leaves: Sequence[bytes], index: int, size: int) -> tuple[bytes, ...]:
    """Proof that leaf `index` is in the tree of the first `size` leaf hashes (RFC 9162, 2.1.3.1)."""
    if not 0 <= index < size <= len(leaves):
        raise ValueError("no such leaf in a tree of this size")

    def path(start: int, stop: int) -> tuple[bytes, ...]:
        if stop - start == 1:
            return ()
        middle = start + _split(stop - start)
        if index < middle:
            return (*path(start, middle), root_of(leaves[middle:stop]))
        return (*path(middle, stop), root_of(leaves[start:middle]))

    return path(0, size)


def consistency_proof(leaves: Sequence[bytes], first: int, second: int) -> tuple[bytes, ...]:
    """Proof that the tree of `first` leaves is the beginning of that of `second` (RFC 9162, 2.1.4.1)."""
    if not 0 < first <= second <= len(leaves):
        raise ValueError("no such trees")

    def path(start: int, stop: int, wanted: int, *, whole: bool) -> tuple[bytes, ...]:
        if wanted == stop:
            return () if whole else (root_of(leaves[start:stop]),)
        middle = start + _split(stop - start)
        if wanted <= middle:
            return (*path(start, middle, wanted, whole=whole), root_of(leaves[middle:stop]))
        return (*path(middle, stop, wanted, whole=False), root_of(leaves[start:middle]))

    return path(0, second, first, whole=True)


def _split(size: int) -> int:
    """The largest power of two smaller than `size`."""
    return 1 << (size - 1).bit_length() - 1


def inclusion_holds(*, index: int, size: int, leaf: bytes, proof: Sequence[bytes], root: bytes) -> bool:
    """Whether the proof shows this leaf hash at `index` of the tree with this root (RFC 9162, 2.1.3.2)."""
    if not 0 <= index < size or len(leaf) != HASH_BYTES or len(root) != HASH_BYTES:
        return False
    at, last, result = index, size - 1, leaf
    for part in proof:
        if last == 0 or len(part) != HASH_BYTES:
            return False
        if at & 1 or at == last:
            result = node_hash(part, result)
            while not at & 1 and at:
                at >>= 1
                last >>= 1
        else:
            result = node_hash(result, part)
        at >>= 1
        last >>= 1
    return last == 0 and hmac.compare_digest(result, root)


def consistency_holds(
    *, first: int, second: int, first_root: bytes, second_root: bytes, proof: Sequence[bytes]
) -> bool:
    """Whether the proof shows that the first tree is the beginning of the second (RFC 9162, 2.1.4.2)."""
    if not 0 < first <= second:
        return False
    if first == second:
        return not proof and hmac.compare_digest(first_root, second_root)
    path = list(proof)
    if first & (first - 1) == 0:
        path.insert(0, first_root)
    if len(proof) == 0 or any(len(part) != HASH_BYTES for part in path):
        return False
    at, last = first - 1, second - 1
    while at & 1:
        at >>= 1
        last >>= 1
    old = new = path[0]
    for part in path[1:]:
        if last == 0:
            return False
        if at & 1 or at == last:
            old, new = node_hash(part, old), node_hash(part, new)
            while not at & 1 and at:
                at >>= 1
                last >>= 1
        else:
            new = node_hash(new, part)
        at >>= 1
        last >>= 1
    return last == 0 and hmac.compare_digest(old, first_root) and hmac.compare_digest(new, second_root)
