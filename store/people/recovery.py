"""Recovery codes: ten, each of which stands in for a second factor once. Shown when they are made, and never again.

A code is 23 characters of base32, 115 bits: more than can be guessed, so that a plain hash keeps it (OWASP ASVS 6.5.2
asks for 112 bits) and no count of wrong ones is needed.
"""

import hashlib
import secrets
from collections.abc import Sequence
from typing import Final
from uuid import UUID

from sqlmodel import col, delete, func, select

from policies.audit_tags import Actor, Tag
from store.audit.log import record
from store.people.factor_letters import CODES_MADE, tell
from store.scope import TenantStore
from store.tables.factors import RecoveryCodeTable

HOW_MANY: Final = 10
_LETTERS: Final = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567"
"""Base32 (RFC 4648 section 6): no 0, 1, 8 or 9, which are read as O, I, B or g."""
_LENGTH: Final = 23


async def new_recovery_codes(house: TenantStore, user_id: UUID, *, actor: Actor) -> Sequence[str]:
    """Ten new codes to be shown once; those from before are worth nothing any more."""
    await house.change(delete(RecoveryCodeTable).where(col(RecoveryCodeTable.user_id) == user_id))
    codes = ["".join(secrets.choice(_LETTERS) for _ in range(_LENGTH)) for _ in range(HOW_MANY)]
    await house.put(RecoveryCodeTable, [{"user_id": user_id, "code_hash": _hash(code)} for code in codes])
    await record(house, actor, Tag.RECOVERY_CODES_MADE, objects={"user": str(user_id)}, facts={"codes": HOW_MANY})
    await tell(house, user_id, CODES_MADE)
    return [_grouped(code) for code in codes]


async def use_recovery_code(house: TenantStore, user_id: UUID, typed: str) -> bool:
    """Whether this is one of the codes; it is used up by that."""
    code = _plain(typed)
    if len(code) != _LENGTH:
        return False
    used = delete(RecoveryCodeTable).where(
        col(RecoveryCodeTable.user_id) == user_id, col(RecoveryCodeTable.code_hash) == _hash(code)
    )
    return await house.change(used) == 1


async def recovery_codes_left(house: TenantStore, user_id: UUID) -> int:
    """How many are unused."""
    left = select(func.count()).select_from(RecoveryCodeTable).where(col(RecoveryCodeTable.user_id) == user_id)
    return await house.first(left) or 0


async def forget_recovery_codes(house: TenantStore, user_id: UUID) -> None:
    """With the last factor go the codes that stand in for one."""
    await house.change(delete(RecoveryCodeTable).where(col(RecoveryCodeTable.user_id) == user_id))


def _hash(code: str) -> bytes:
    return hashlib.sha256(f"aitelier recovery code v1 {code}".encode()).digest()


def _plain(typed: str) -> str:
    """As it was made, however it was typed."""
    return "".join(typed.upper().replace("-", " ").split())


def _grouped(code: str) -> str:
    """In groups of six that the eye can follow: ABCDEF-GHIJKL-MNOPQR-STUVW."""
    return "-".join(code[start : start + 6] for start in range(0, len(code), 6))
