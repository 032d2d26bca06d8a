"""Receipts: what was erased, and the proof that it was. Nothing in one is about a person.

The SHA-256 of a receipt is an act in the tenant's audit log. So whoever holds the receipt, the text of that leaf, its
path in the tree and a signed checkpoint can check all of it offline, with nothing but the log's public key.
"""

import hashlib
from collections.abc import Mapping, Sequence
from typing import Any, Final
from uuid import UUID

import msgspec
import rfc8785
from sqlmodel import select

from policies.audit_tags import Actor, Tag
from policies.merkle import inclusion_holds, inclusion_proof, leaf_hash
from store.audit.checkpoints import checkpoint
from store.audit.export import leaf_hashes
from store.audit.log import record
from store.audit.notes import Note, NoteError, VerifierKey
from store.engine import Database
from store.scope import TenantStore
from store.tables.audit import AuditLeafTable

_ACTOR: Final = Actor("system", "receipts")
_PROOF: Final = "proof"


async def sign_receipt(store: TenantStore, facts: Mapping[str, Any], leaf: int) -> dict[str, Any]:
    """The receipt of these facts, which the audit log of the tenant holds at `leaf`.

    It is proven by a leaf of its own from this transaction on; `hand_out` adds the signature.
    """
    receipt = {"tenant": str(store.tenant_id), **facts, "audit_leaf": leaf}
    index = await record(store, _ACTOR, Tag.RECEIPT_SIGNED, facts={"sha256": _digest(receipt)})
    written = await store.first(select(AuditLeafTable).where(AuditLeafTable.idx == index))
    if written is None:
        raise AssertionError("what was just written is there")
    # The text is kept here, because the log lets go of it after seven years.
    return {**receipt, _PROOF: {"leaf": written.leaf, "index": index}}


async def hand_out(database: Database, tenant_id: UUID, receipt: Mapping[str, Any]) -> dict[str, Any]:
    """The receipt with a path to a signed checkpoint, for somebody who does not have to believe us."""
    signed = await checkpoint(database, tenant_id)
    index = receipt[_PROOF]["index"]
    if signed is None or signed.size <= index:
        raise LookupError("the audit log does not hold this receipt")
    async with database.tenant(tenant_id) as store:
        hashes = await leaf_hashes(store, signed.size)
    path = [part.hex() for part in inclusion_proof(hashes, index, signed.size)]
    return {**receipt, _PROOF: {**receipt[_PROOF], "path": path, "checkpoint": signed.note}}


def problems_of(receipt: Mapping[str, Any], keys: Sequence[VerifierKey]) -> tuple[str, ...]:
    """What is wrong with a receipt that was handed out; nothing, when it is proven. Needs no server.

    `keys` are the public keys of the tenant's log, got another way than the receipt.
    """
    facts = {name: value for name, value in receipt.items() if name != _PROOF}
    try:
        proof = receipt[_PROOF]
        text, index = proof["leaf"], int(proof["index"])
        path = [bytes.fromhex(part) for part in proof["path"]]
        note = Note.parsed(proof["checkpoint"])
        said = msgspec.json.decode(text)
        tree = note.proven_by(keys)
        held = inclusion_holds(index=index, size=tree.size, leaf=leaf_hash(text.encode()), proof=path, root=tree.root)
        if not held:
            return ("the log that was signed does not hold this leaf",)
        if said["tag"] != str(Tag.RECEIPT_SIGNED) or said["tenant"] != facts.get("tenant"):
            return ("the leaf is about something else",)
        if said["facts"]["sha256"] != _digest(facts):
            return ("the receipt says something else than what was signed",)
    except NoteError as error:
        return (f"the checkpoint: {error}",)
    except (KeyError, TypeError, ValueError, AttributeError, msgspec.MsgspecError) as error:
        return (f"the receipt is not of this format ({type(error).__name__})",)
    return ()


def _digest(receipt: Mapping[str, Any]) -> str:
    """SHA-256 of its canonical JSON (RFC 8785), in hex."""
    return hashlib.sha256(rfc8785.dumps(dict(receipt))).hexdigest()
