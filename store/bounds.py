"""What a project asks of every place that gets its data: where it may be, and whether it is health data."""

from collections.abc import Iterable
from uuid import UUID

import msgspec
from sqlmodel import col, select, update

from policies.audit_tags import Actor, Tag
from policies.residency import Bounds, Residency, may_receive
from policies.subprocessors import Place
from policies.verdict import Deny
from store.audit.log import record
from store.scope import TenantStore
from store.tables.setup import ProjectTable


class BoundsRefusedError(ValueError):
    """The server cannot keep to it; says why and what to do."""


class NoProjectError(LookupError):
    """The tenant has no such project."""


async def bounds_of(store: TenantStore, project_id: UUID) -> Bounds:
    """The project's bounds. Raises `NoProjectError`."""
    rows = await store.rows(select(ProjectTable.residency, ProjectTable.hipaa).where(ProjectTable.id == project_id))
    if not rows:
        raise NoProjectError(str(project_id))
    return Bounds(msgspec.convert(rows[0][0], Residency), rows[0][1])


async def strictest(store: TenantStore) -> Bounds:
    """What the strictest of the tenant's projects ask for, for what belongs to no single one, such as its members."""
    rows = await store.rows(select(ProjectTable.residency, ProjectTable.hipaa))
    eu_only = any(residency != "anywhere" for residency, _ in rows)
    return Bounds("eu_only" if eu_only else "anywhere", any(hipaa for _, hipaa in rows))


async def set_residency(
    store: TenantStore, project_id: UUID, residency: Residency, *, kept_at: Iterable[Place], actor: Actor
) -> None:
    """Say where the project's data may go, from the next call on.

    `kept_at`: where this server keeps everything: its database, its objects, and its mail.

    Raises:
        BoundsRefusedError: It is kept where this does not allow it.
        NoProjectError: The tenant has no such project.
    """
    before = await bounds_of(store, project_id)
    _refuse_unkeepable(kept_at, Bounds(residency, before.hipaa))
    await store.change(update(ProjectTable).where(col(ProjectTable.id) == project_id).values(residency=residency))
    await record(
        store,
        actor,
        Tag.RESIDENCY_CHANGED,
        objects={"project": str(project_id)},
        facts={"residency": residency, "before": before.residency},
    )


async def set_hipaa(store: TenantStore, project_id: UUID, *, on: bool, kept_at: Iterable[Place], actor: Actor) -> None:
    """Say whether the project is for health care, with all that this forces (`policies.hipaa`), from now on.

    Raises:
        BoundsRefusedError: It is kept by somebody without a business associate agreement.
        NoProjectError: The tenant has no such project.
    """
    before = await bounds_of(store, project_id)
    _refuse_unkeepable(kept_at, Bounds(before.residency, on))
    await store.change(update(ProjectTable).where(col(ProjectTable.id) == project_id).values(hipaa=on))
    await record(
        store,
        actor,
        Tag.HIPAA_CHANGED,
        objects={"project": str(project_id)},
        facts={"on": on, "before": before.hipaa},
    )


def _refuse_unkeepable(kept_at: Iterable[Place], bounds: Bounds) -> None:
    for place in kept_at:
        verdict = may_receive(place, bounds)
        if isinstance(verdict, Deny):
            raise BoundsRefusedError(
                f"This server keeps its data at {place.host}, and {verdict.reason}. Move it first, or correct the "
                "register: aitelier subprocessors list"
            )
