"""Projects: one receptionist each, with the rules that hold for all its calls."""

import re
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import Final
from uuid import UUID
from zoneinfo import ZoneInfo

import msgspec
from sqlmodel import col, select, update
from uuid_utils.compat import uuid7

from policies.access import Visibility
from policies.audit_tags import Actor, Tag
from policies.numbers import is_country
from policies.residency import ANYWHERE, Bounds, Residency
from policies.retention import Wishes, may_set
from policies.verdict import Deny
from store.audit.log import record
from store.scope import TenantStore
from store.tables.setup import ProjectTable

_JURISDICTION: Final = re.compile(r"([A-Z]{2})(-[A-Z0-9]{1,3})?")
_LANGUAGE: Final = re.compile(r"[a-z]{2,3}(-[A-Za-z0-9]{2,8})*")


class ProjectRefusedError(ValueError):
    """A project cannot be so; names the field, and says why."""

    def __init__(self, field: str, why: str) -> None:
        super().__init__(why)
        self.field = field


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
    """Since when it is being deleted: it answers no calls, and nobody reads those it had (`store.erasure.projects`)."""
    viewers_see: Visibility = "all"
    """How much of transcripts viewers see."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Changes:
    """What shall be otherwise about a project; None stays as it is."""

    name: str | None = None
    business_name: str | None = None
    jurisdiction: str | None = None
    language: str | None = None
    time_zone: str | None = None
    viewers_see: Visibility | None = None


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
    """A new project of this tenant.

    Raises:
        ProjectRefusedError: It cannot be so.
    """
    check_place(jurisdiction=jurisdiction, language=language, time_zone=time_zone)
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


async def change(store: TenantStore, project_id: UUID, changes: Changes, *, actor: Actor) -> Project | None:
    """The project as it is from now on; None where the tenant has none of this id.

    Raises:
        ProjectRefusedError: It cannot be so, or the law of another place asks for shorter times first.
    """
    project = await find(store, project_id)
    if project is None:
        return None
    wished = {name: value for name, value in asdict(changes).items() if value is not None}
    wished = {name: value for name, value in wished.items() if value != getattr(project, name)}
    if not wished:
        return project
    check_place(
        jurisdiction=wished.get("jurisdiction"), language=wished.get("language"), time_zone=wished.get("time_zone")
    )
    if "jurisdiction" in wished:
        _check_times(project, wished["jurisdiction"])
    await store.change(update(ProjectTable).where(col(ProjectTable.id) == project_id).values(**wished))
    # What a business calls itself may be somebody's name, so only that it was changed is said.
    told = {name: value for name, value in wished.items() if name not in {"name", "business_name"}}
    await record(
        store,
        actor,
        Tag.PROJECT_CHANGED,
        objects={"project": str(project_id)},
        facts={"changed": sorted(wished), **told},
    )
    return await find(store, project_id)


def check_place(*, jurisdiction: str | None = None, language: str | None = None, time_zone: str | None = None) -> None:
    """Make sure that these exist. Raises `ProjectRefusedError`."""
    if jurisdiction is not None:
        found = _JURISDICTION.fullmatch(jurisdiction)
        if found is None or not is_country(found[1]):
            raise ProjectRefusedError("jurisdiction", "Give a country's two letters, such as DE, or US-CA for a state")
    if language is not None and not _LANGUAGE.fullmatch(language):
        raise ProjectRefusedError("language", "Give a language as BCP 47 writes it, such as de or pt-BR")
    if time_zone is not None and not _is_time_zone(time_zone):
        raise ProjectRefusedError("time_zone", "Give a time zone by its IANA name, such as Europe/Berlin")


def _is_time_zone(name: str) -> bool:
    try:
        ZoneInfo(name)
    except (KeyError, ValueError, OSError):  # none of this name, no name at all, a folder
        return False
    return True


def _check_times(project: Project, jurisdiction: str) -> None:
    wishes = Wishes(
        jurisdiction=jurisdiction,
        recording_days=project.recording_days,
        transcript_days=project.transcript_days,
        legal_basis=project.retention_basis,
    )
    verdict = may_set(wishes, datetime.now(UTC).date())
    if isinstance(verdict, Deny):
        raise ProjectRefusedError("jurisdiction", f"{verdict.reason} Shorten the project's retention first.")


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
        msgspec.convert(row.viewers_see, Visibility),
    )
