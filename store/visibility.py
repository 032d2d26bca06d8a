"""How much of what was said in calls a project lets its viewers see, and so how much of a call somebody reads.

Whoever opens words or sound asks here first. So what is locked here is locked for everybody, in every way.
"""

from dataclasses import dataclass
from uuid import UUID

import msgspec

from policies.access import Reader, Visibility
from policies.hipaa import handling
from store.scope import TenantStore

# In one round trip: a page of a call asks this for each of its parts.
_SIGHT = """
SELECT p.id, p.viewers_see, p.deletion_asked_at, p.hipaa, k.wrapped
FROM sessions s
JOIN projects p ON p.tenant_id = :tenant_id AND p.id = s.project_id
LEFT JOIN keys.data_keys k ON k.tenant_id = :tenant_id AND k.session_id = s.id
WHERE s.tenant_id = :tenant_id AND s.id = :session_id
"""


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


@dataclass(frozen=True, slots=True)
class Sight:
    """How much of a call somebody may read, and what opens it."""

    visibility: Visibility
    """Nothing, of a call that this tenant does not have."""
    is_watched: bool
    """Its project has every reading written down (`store.phi`)."""
    wrapped_key: bytes | None
    """None once the call was erased."""


async def sight_of(store: TenantStore, session_id: UUID, reader: Reader) -> Sight:
    """What this reader gets to see of the call.

    Raises:
        LockedError: Its project is being deleted, and it is not read for the caller's own copy.
    """
    for project_id, viewers_see, deletion_asked_at, hipaa, wrapped in await store.fixed(_SIGHT, session_id=session_id):
        if deletion_asked_at is not None and not reader.answers_caller:
            raise LockedError
        visibility = reader.visibility(project_id, msgspec.convert(viewers_see, Visibility))
        return Sight(visibility, handling(hipaa=hipaa).reads_audited, wrapped)
    return Sight("none", is_watched=False, wrapped_key=None)


async def visibility_of(store: TenantStore, session_id: UUID, reader: Reader) -> Visibility:
    """How much of the call. Raises as `sight_of` does."""
    return (await sight_of(store, session_id, reader)).visibility
