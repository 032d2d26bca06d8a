"""How much of what was said in calls a project lets its viewers see, and so how much of a call somebody reads."""

from uuid import UUID

import msgspec
from sqlmodel import select

from policies.access import Reader, Visibility
from store.scope import TenantStore
from store.tables.calls import SessionTable
from store.tables.setup import ProjectTable


class KeptFromViewersError(Exception):
    """The project keeps this from its viewers."""

    def __init__(self) -> None:
        super().__init__("This project does not let its viewers hear calls. Ask an owner or editor of it")


async def visibility_of(store: TenantStore, session_id: UUID, reader: Reader) -> Visibility:
    """How much of this call; nothing of one that this tenant does not have."""
    statement = select(ProjectTable.id, ProjectTable.viewers_see).where(
        ProjectTable.id == SessionTable.project_id, SessionTable.id == session_id
    )
    for project_id, viewers_see in await store.rows(statement):
        return reader.visibility(project_id, msgspec.convert(viewers_see, Visibility))
    return "none"
