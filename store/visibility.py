"""How much of what was said in calls a project lets its viewers see, and so how much of a call somebody reads.

Whoever opens words or sound asks here first. So what is locked here is locked for everybody, in every way.
"""

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


class LockedError(Exception):
    """The project is being deleted; says what to do."""

    problem = "The project of this call is being deleted, so nobody reads or hears its calls any more."
    remedy = "Take its deletion back first: on its page, or aitelier projects undelete"

    def __init__(self) -> None:
        super().__init__(f"{self.problem} {self.remedy}")


async def visibility_of(store: TenantStore, session_id: UUID, reader: Reader) -> Visibility:
    """How much of this call; nothing of one that this tenant does not have.

    Raises:
        LockedError: Its project is being deleted, and it is not read for the caller's own copy.
    """
    statement = select(ProjectTable.id, ProjectTable.viewers_see, ProjectTable.deletion_asked_at).where(
        ProjectTable.id == SessionTable.project_id, SessionTable.id == session_id
    )
    for project_id, viewers_see, deletion_asked_at in await store.rows(statement):
        if deletion_asked_at is not None and not reader.answers_caller:
            raise LockedError
        return reader.visibility(project_id, msgspec.convert(viewers_see, Visibility))
    return "none"
