"""Whether somebody looks into a call again, or for the first time: of one reading the audit log tells once."""

from datetime import timedelta
from typing import Final
from uuid import UUID

from admin.ask import Ask
from policies.audit_tags import Tag
from store.audit.log import entries, record
from store.scope import TenantStore

ONE_READING: Final = timedelta(minutes=10)
"""Within this time, what one person asks for of one call is one reading: players fetch sound in pieces."""


async def note_reading(ask: Ask, store: TenantStore, session_id: UUID, tag: Tag) -> None:
    """Write down that somebody hears or reads what a call holds, unless they began to within the last ten minutes."""
    known = await entries(
        store, about=str(session_id), tag=tag, actor_id=ask.actor.id, since=ask.now - ONE_READING, limit=1
    )
    if not known:
        await record(store, ask.actor, tag, objects={"session": str(session_id)}, at=ask.now)
