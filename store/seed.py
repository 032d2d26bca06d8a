"""What an empty store gets, so that the first call is answered: one tenant, project, scenario and number."""

from dataclasses import dataclass
from uuid import UUID

from uuid_utils.compat import uuid7

from policies.audit_tags import Actor
from store import numbers, projects, scenarios, tenants
from store.engine import Database
from store.scenarios import ConsentWishes, Scenario

DEMO_NUMBER = "+442079460000"
"""From the range that Ofcom keeps for drama: it can never be somebody's."""
DEMO_USER = "demo"
"""The same receptionist for softphones, as in sip:demo@127.0.0.1."""

_SEED = Actor("system", "seed")


@dataclass(frozen=True, slots=True)
class Demo:
    """Where the demo lies."""

    tenant_id: UUID
    project_id: UUID
    scenario_id: UUID


async def seed_demo(database: Database) -> Demo | None:
    """Fill an empty store; None when somebody has been here before."""
    async with database.platform() as platform:
        if await tenants.all_tenants(platform):
            return None
    async with database.tenant(uuid7()) as store:
        await tenants.create(store, "Demo", max_calls=100, actor=_SEED)
        project = await projects.create(
            store,
            name="Demo",
            business_name="Harbour Dental",
            jurisdiction="GB",
            language="en",
            time_zone="Europe/London",
            actor=_SEED,
        )
        scenario = await scenarios.create(store, project_id=project.id, content=demo_scenario(), actor=_SEED)
        for called, label in ((DEMO_NUMBER, "Demo number"), (DEMO_USER, "Demo for softphones")):
            await numbers.create(
                store, project_id=project.id, scenario_id=scenario.scenario_id, called=called, label=label, actor=_SEED
            )
    return Demo(store.tenant_id, project.id, scenario.scenario_id)


def demo_scenario() -> Scenario:
    """A small practice that is open, takes messages and books days."""
    return Scenario(
        name="Front desk",
        instructions=(
            "You are the receptionist of Harbour Dental, a small dental practice. "
            "We are open from Monday to Friday, 8 to 17 o'clock, and closed at weekends. "
            "Answer questions about opening hours, offer to book a day for a check-up, and take a message for anything "
            "else. Keep answers to one or two short sentences."
        ),
        opening="Greet the caller with the name of the practice and ask how you can help.",
        consent=ConsentWishes(on_refusal="go_on_unrecorded"),
    )
