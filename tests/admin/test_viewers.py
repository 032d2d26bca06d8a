"""What a viewer gets of a call over HTTP, by what the project lets viewers see."""

from uuid import UUID

import pytest

from policies.access import Visibility
from policies.audit_tags import OPERATOR
from store import projects
from tests.admin.world import World, add_call

pytestmark = pytest.mark.asyncio(loop_scope="module")

SAID = ("Anna", "Schmidt", "901820")
"""What of the call tells who it was. The number that called is no part of what was said, and is withheld here."""
SEEN: list[tuple[str, Visibility, bool, bool]] = [
    ("vera", "all", True, True),
    ("vera", "redacted", False, False),
    ("vera", "none", False, False),
    ("edgar", "none", True, True),
    ("ada", "none", True, True),
    ("olga", "redacted", True, True),
    ("all", "none", True, True),
]


async def everything(world: World, who: str, call: UUID) -> tuple[str, int]:
    """All that the API and the pages say of the call, and how its sound is answered."""
    params = {"tenant_id": str(world.bakery.tenant_id)}
    texts = []
    for path in ("", "/transcript", "/events", "/messages", "/consent"):
        url = f"/api/v1/sessions/{call}{path}"
        answer = await world.client.get(url, params=params, headers=world.program(who))
        assert answer.status < 500
        texts.append(await answer.text())
    if who in world.people:
        for path in (f"/calls/{call}", f"/calls/{call}/transcript.txt", "/calls", "/calls.csv"):
            page = await world.client.get(world.tenant + path, headers=world.browser(who))
            assert page.status < 500
            texts.append(await page.text())
    url = f"/api/v1/sessions/{call}/recording"
    sound = await world.client.get(url, params=params, headers=world.program(who))
    return "\n".join(texts), sound.status


@pytest.mark.parametrize(("who", "viewers_see", "reads", "hears"), SEEN)
async def test_what_is_seen_of_a_call(
    world: World, who: str, viewers_see: Visibility, *, reads: bool, hears: bool
) -> None:
    """No word that tells who it was reaches a viewer who may not know, on whatever way; others see it all."""
    call = await add_call(world, world.bakery, caller=None)
    async with world.services.database.tenant(world.bakery.tenant_id) as store:
        changes = projects.Changes(viewers_see=viewers_see)
        await projects.change(store, world.bakery.project_id, changes, actor=OPERATOR)
    text, sound = await everything(world, who, call)
    assert [word for word in SAID if word in text] == (list(SAID) if reads else [])
    assert str(call) in text
    assert sound == (200 if hears else 403)
    if who == "vera":
        assert ("[name]" in text) is (viewers_see == "redacted")
