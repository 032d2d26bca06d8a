"""What a tenant's projects and scenarios are called: pages that show an id show a name instead."""

from collections.abc import Mapping
from dataclasses import dataclass
from uuid import UUID

from store.scope import TenantStore

_NAMES = """
SELECT p.id AS project_id, p.name AS project, s.id AS scenario_id, s.name AS scenario
FROM projects p LEFT JOIN scenarios s ON s.tenant_id = :tenant_id AND s.project_id = p.id
WHERE p.tenant_id = :tenant_id
ORDER BY p.id, s.id
"""


@dataclass(frozen=True, slots=True)
class NamesOfProject:
    """A project's own name, and those of its scenarios by id."""

    name: str
    scenarios: Mapping[UUID, str]


async def names_of_projects(store: TenantStore) -> Mapping[UUID, NamesOfProject]:
    """All of the tenant's by id, oldest first."""
    found: dict[UUID, NamesOfProject] = {}
    scenarios: dict[UUID, dict[UUID, str]] = {}
    for row in await store.fixed(_NAMES):
        of_project = scenarios.setdefault(row.project_id, {})
        found.setdefault(row.project_id, NamesOfProject(row.project, of_project))
        if row.scenario_id is not None:
            of_project[row.scenario_id] = row.scenario
    return found
