"""What projects and scenarios are called, for pages that name them; only those that whoever asks may know of."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from uuid import UUID

from admin.ask import Ask
from store.names import NamesOfProject, names_of_projects


@dataclass(frozen=True, slots=True)
class Names:
    """By id. What is not there any more goes by the end of its id."""

    projects: Mapping[UUID, str]
    scenarios: Mapping[UUID, str]

    def project(self, project_id: UUID) -> str:
        """What the project is called."""
        return self.projects.get(project_id, f"…{str(project_id)[-6:]}")

    def scenario(self, scenario_id: UUID) -> str:
        """What the scenario is called."""
        return self.scenarios.get(scenario_id, f"…{str(scenario_id)[-6:]}")

    @property
    def project_options(self) -> Sequence[tuple[str, str]]:
        """For a field that asks which one."""
        return [("", "All"), *((str(key), name) for key, name in self.projects.items())]

    @property
    def scenario_options(self) -> Sequence[tuple[str, str]]:
        """For a field that asks which one."""
        return [("", "All"), *((str(key), name) for key, name in self.scenarios.items())]


async def names_for(ask: Ask) -> Names:
    """The names of all that the scope of the route is granted on."""
    async with ask.store() as store:
        everyone = await names_of_projects(store)
    known = {key: one for key, one in everyone.items() if ask.projects is None or key in ask.projects}
    return Names({key: one.name for key, one in known.items()}, _scenarios(known.values()))


def _scenarios(known: Collection[NamesOfProject]) -> Mapping[UUID, str]:
    """With the project's name before it, where there are several."""
    return {
        key: f"{project.name}: {name}" if len(known) > 1 else name
        for project in known
        for key, name in project.scenarios.items()
    }
