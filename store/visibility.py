"""How much of what was said in calls a project lets its viewers see, and so how much of a call somebody reads."""

from uuid import UUID

import msgspec
from sqlmodel import col, select, update

from policies.access import Reader, Visibility
from policies.audit_tags import Actor, Tag
from store.audit.log import record
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


async def what_viewers_see(store: TenantStore, project_id: UUID) -> Visibility:
    """Of the calls of this project; nothing where there is none."""
    found = await store.first(select(ProjectTable.viewers_see).where(ProjectTable.id == project_id))
    return msgspec.convert(found or "none", Visibility)


async def let_viewers_see(store: TenantStore, project_id: UUID, visibility: Visibility, *, actor: Actor) -> bool:
    """Decide it for a project, from the next reading on; False when it is so already, or there is no such project."""
    statement = update(ProjectTable).where(
        col(ProjectTable.id) == project_id, col(ProjectTable.viewers_see) != visibility
    )
    if not await store.change(statement.values(viewers_see=visibility)):
        return False
    objects = {"project": str(project_id)}
    await record(store, actor, Tag.PROJECT_CHANGED, objects=objects, facts={"viewers_see": visibility})
    return True
