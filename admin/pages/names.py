"""What projects and scenarios are called, for pages that name them; only those that whoever asks may know of."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from uuid import UUID

from admin.ask import Ask
from store import projects, scenarios
from store.scenarios import ScenarioSummary


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
        everyone = await projects.all_projects(store)
        written = await scenarios.all_scenarios(store)
    known = {one.id: one.name for one in everyone if ask.projects is None or one.id in ask.projects}
    return Names(known, _names(written, known))


def _names(written: Sequence[ScenarioSummary], known: Mapping[UUID, str]) -> Mapping[UUID, str]:
    """With the project's before it, where there are several."""
    return {
        one.id: f"{known[one.project_id]}: {one.name}" if len(known) > 1 else one.name
        for one in written
        if one.project_id in known
    }
