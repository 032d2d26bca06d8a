"""Who read what of a project for health care: an entry in the tenant's log for each reading (45 CFR 164.312(b)).

The functions that open what was said, heard, or by whom, call this in the transaction that reads: where the entry
cannot be made, nothing is read.
"""

from collections import defaultdict
from collections.abc import Collection
from typing import Literal
from uuid import UUID

from sqlmodel import col, select

from policies.audit_tags import Actor, Tag
from policies.hipaa import handling
from store.audit.log import record
from store.scope import TenantStore
from store.tables.calls import SessionTable
from store.tables.setup import ProjectTable

Content = Literal["caller", "transcript", "messages", "events", "recording"]


async def note_reading(store: TenantStore, what: Content, session_ids: Collection[UUID], *, actor: Actor) -> None:
    """Say in the log who reads this of these calls, as far as their projects ask for that; one entry for a project."""
    if not session_ids:
        return
    rows = await store.rows(select(ProjectTable.id, ProjectTable.hipaa))
    watched = [project_id for project_id, hipaa in rows if handling(hipaa=hipaa).reads_audited]
    if not watched:
        return
    read: defaultdict[UUID, list[str]] = defaultdict(list)
    statement = select(SessionTable.project_id, SessionTable.id).where(
        col(SessionTable.id).in_(session_ids), col(SessionTable.project_id).in_(watched)
    )
    for project_id, session_id in await store.rows(statement.order_by(col(SessionTable.id))):
        read[project_id].append(str(session_id))
    for project_id, sessions in read.items():
        await record(
            store,
            actor,
            Tag.PHI_READ,
            objects={"project": str(project_id), **({"session": sessions[0]} if len(sessions) == 1 else {})},
            facts={"what": what, "sessions": list(sessions)},
        )
