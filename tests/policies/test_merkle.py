"""Merkle trees against the vectors of transparency-dev/merkle, and against themselves."""

import base64
import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from policies.merkle import (
    EMPTY_ROOT,
    Edge,
    consistency_holds,
    consistency_proof,
    inclusion_holds,
    inclusion_proof,
    leaf_hash,
    root_of,
)


def _bytes(text: str | None) -> bytes:
    return base64.b64decode(text) if text else b""


def test_inclusion_vectors(vectors: Path) -> None:
    """Each proof is accepted or refused as its authors say."""
    files = sorted((vectors / "merkle" / "testdata" / "inclusion").rglob("*.json"))
    assert len(files) > 50
    for file in files:
        case = json.loads(file.read_text())
        holds = inclusion_holds(
            index=int(case["leafIdx"]),
            size=int(case["treeSize"]),
            leaf=_bytes(case["leafHash"]),
            proof=[_bytes(part) for part in case["proof"] or []],
            root=_bytes(case["root"]),
        )
        assert holds is not case["wantErr"], f"{file.name}: {case['desc']}"


def test_consistency_vectors(vectors: Path) -> None:
    """The same for proofs that one tree continues another."""
    files = sorted((vectors / "merkle" / "testdata" / "consistency").rglob("*.json"))
    assert len(files) > 50
    for file in files:
        case = json.loads(file.read_text())
        holds = consistency_holds(
            first=int(case["size1"]),
            second=int(case["size2"]),
            first_root=_bytes(case["root1"]),
            second_root=_bytes(case["root2"]),
            proof=[_bytes(part) for part in case["proof"] or []],
        )
        assert holds is not case["wantErr"], f"{file.name}: {case['desc']}"


def _tree(size: int) -> list[bytes]:
    return [leaf_hash(str(number).encode()) for number in range(size)]


@given(st.integers(1, 200), st.data())
def test_what_is_proven_holds_and_nothing_else(size: int, data: st.DataObject) -> None:
    """Proofs made here hold, for the leaf and trees they are made for only."""
    leaves = _tree(size)
    index, first = data.draw(st.integers(0, size - 1)), data.draw(st.integers(1, size))
    root, proof = root_of(leaves), inclusion_proof(leaves, index, size)
    assert inclusion_holds(index=index, size=size, leaf=leaves[index], proof=proof, root=root)
    assert not inclusion_holds(index=index, size=size, leaf=leaf_hash(b"other"), proof=proof, root=root)
    older, path = root_of(leaves[:first]), consistency_proof(leaves, first, size)
    assert consistency_holds(first=first, second=size, first_root=older, second_root=root, proof=path)
    assert not consistency_holds(first=first, second=size, first_root=leaf_hash(b"other"), second_root=root, proof=path)


@given(st.integers(0, 300))
def test_an_edge_is_enough_to_go_on(size: int) -> None:
    """A tree continued from its packed edge has the root of the whole."""
    leaves = _tree(size + 3)
    edge = Edge()
    for leaf in leaves[:size]:
        edge = edge.appended(leaf)
    again = Edge.unpacked(size, edge.packed())
    for leaf in leaves[size:]:
        again = again.appended(leaf)
    assert again.root == root_of(leaves)
    assert Edge().root == EMPTY_ROOT
    with pytest.raises(ValueError, match="no edge"):
        Edge.unpacked(size + 1 if size.bit_count() != (size + 1).bit_count() else size + 2, edge.packed() + b"x")
