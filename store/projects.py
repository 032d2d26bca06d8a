"""Projects: one receptionist each, with the rules that hold for all its calls."""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

import msgspec
from sqlmodel import col, select
from uuid_utils.compat import uuid7

from policies.audit_tags import Actor, Tag
from policies.residency import ANYWHERE, Bounds, Residency
from store.audit.log import record
from store.scope import TenantStore
from store.tables.setup import ProjectTable


@dataclass(frozen=True, slots=True)
class Project:
    """One receptionist."""

    id: UUID
    name: str
    business_name: str
    """As callers hear it."""
    jurisdiction: str
    """Where the business sits: ISO 3166-1 alpha-2, or ISO 3166-2 where law is regional, such as "US-CA"."""
    language: str
    """BCP 47; of calls whose scenario names no other."""
    time_zone: str
    """IANA name."""
    recording_days: int
    """How long recordings are kept; 0: nothing is ever recorded."""
    transcript_days: int
    """How long transcripts and session data are kept; 0: nothing is ever written down."""
    bounds: Bounds = ANYWHERE
    """Where its data may go."""
    retention_basis: str | None = None
    """The law that asks this business to keep calls for more than a year."""
    deletion_asked_at: datetime | None = None
    """Since when it is being deleted and its numbers answer no calls; see `store.erasure.projects`."""


async def create(
    store: TenantStore,
    *,
    name: str,
    business_name: str,
    jurisdiction: str,
    language: str,
    time_zone: str = "UTC",
    recording_days: int = 90,
    transcript_days: int = 365,
    actor: Actor,
) -> Project:
    """A new project of this tenant."""
    project = Project(uuid7(), name, business_name, jurisdiction, language, time_zone, recording_days, transcript_days)
    await store.add(
        ProjectTable(
            tenant_id=store.tenant_id,
            id=project.id,
            name=name,
            business_name=business_name,
            jurisdiction=jurisdiction,
            language=language,
            time_zone=time_zone,
            recording_days=recording_days,
            transcript_days=transcript_days,
        )
    )
    await record(
        store,
        actor,
        Tag.PROJECT_CREATED,
        objects={"project": str(project.id)},
        facts={"jurisdiction": jurisdiction, "recording_days": recording_days, "transcript_days": transcript_days},
    )
    return project


async def find(store: TenantStore, project_id: UUID) -> Project | None:
    """The project, if this tenant has it."""
    row = await store.first(select(ProjectTable).where(ProjectTable.id == project_id))
    return None if row is None else _project(row)


async def all_projects(store: TenantStore) -> tuple[Project, ...]:
    """Every project of this tenant, oldest first."""
    return tuple(_project(row) for row in await store.all(select(ProjectTable).order_by(col(ProjectTable.id))))


def _project(row: ProjectTable) -> Project:
    return Project(
        row.id,
        row.name,
        row.business_name,
        row.jurisdiction,
        row.language,
        row.time_zone,
        row.recording_days,
        row.transcript_days,
        Bounds(msgspec.convert(row.residency, Residency), row.hipaa),
        row.retention_basis,
        row.deletion_asked_at,
    )
