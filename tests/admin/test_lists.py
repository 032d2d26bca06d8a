"""Lists: each can be narrowed, has an address and a next page, and comes as CSV as narrow as it is shown."""

import re
from datetime import UTC, datetime, timedelta
from html import unescape

import pytest

from policies.audit_tags import OPERATOR
from store import trunks
from store.erasure.holds import place_hold
from tests.admin.speaking import api, look, rows_of, send
from tests.admin.world import World, add_call

pytestmark = pytest.mark.asyncio(loop_scope="module")


def link(text: str, rel: str, world: World) -> str:
    """Where the link of this kind leads, below the Bakery."""
    found = re.search(rf'<a href="([^"]+)" {rel}', text)
    assert found is not None
    return unescape(found[1]).removeprefix(world.tenant)


async def test_a_long_list_goes_on_and_keeps_its_filter(world: World) -> None:
    """Of sixty holds fifty stand on a page; its next page and its CSV hold what was looked for, and nothing else."""
    until = datetime.now(UTC) + timedelta(days=9)
    async with world.services.database.tenant(world.bakery.tenant_id) as store:
        for number in range(61):
            reason = "7 O 3/26" if number else "8 O 4/26"
            await place_hold(store, project_id=world.bakery.project_id, reason=reason, expires_at=until, actor=OPERATOR)
    _, text = await look(world, "/retention")
    assert text.count("7 O 3/26") == 49
    assert link(text, 'rel="next"', world).startswith("/holds?cursor=")
    _, text = await look(world, "/holds?search=7+o+3&project_id=")
    assert (text.count("7 O 3/26"), text.count("8 O 4/26")) == (50, 0)
    _, text = await look(world, link(text, 'rel="next"', world))
    assert (text.count("7 O 3/26"), text.count("8 O 4/26")) == (10, 0)
    assert len(await rows_of(world, link(text, "download", world))) == 61
    assert "First page" in text
    _, text = await look(world, "/holds?search=nothing")
    assert f'<a href="{world.tenant}/holds">Show all' in text


async def test_people_are_found_by_address_role_and_project(world: World) -> None:
    """Whoever has a role on everything has it on each project."""
    cafe = world.bakery_second.project_id
    for query, expected in (
        ("", {"olga", "edgar", "vera", "ada"}),
        ("search=OLGA", {"olga"}),
        ("role=editor", {"edgar", "ada"}),
        (f"project_id={cafe}", {"olga", "ada"}),
        (f"role=viewer&project_id={cafe}", set()),
    ):
        _, text = await look(world, f"/people?{query}")
        assert set(re.findall(r">(olga|edgar|vera|ada)@", text)) == expected
        rows = await rows_of(world, f"/people.csv?{query}")
        assert {row[0].partition("@")[0] for row in rows[1:]} == expected


async def test_invitations_have_a_page_and_a_file(world: World) -> None:
    """By address and role."""
    for name, role in (("ines", "viewer"), ("igor", "editor")):
        form = {"email": f"{name}@new.example", "role": role, "project_id": ""}
        assert (await send(world, "/people/invitations", form))[0] == 303
    _, text = await look(world, "/people/invitations?role=editor")
    assert ("igor@new.example" in text, "ines@new.example" in text) == (True, False)
    rows = await rows_of(world, "/people/invitations.csv?search=ines")
    assert [row[:3] for row in rows[1:]] == [["ines@new.example", "viewer", "everything"]]


async def test_keys_trunks_and_projects_are_narrowed(world: World) -> None:
    """A key by its state, a trunk by an address of it, a project by what callers hear."""
    _, made = await api(world, "POST", "/keys", "olga", {"name": "Old one", "scopes": ["sessions:read"]})
    assert (await api(world, "DELETE", f"/keys/{made['id']}", "olga"))[0] == 204
    rows = await rows_of(world, "/keys.csv?state=over")
    assert [row[0] for row in rows[1:]] == ["Old one"]
    _, text = await look(world, "/keys?state=good&search=old")
    assert "Nothing like that" in text
    async with world.services.database.tenant(world.bakery.tenant_id) as store:
        for name, network in (("Carrier A", "192.0.2.0/28"), ("Carrier B", "198.51.100.0/28")):
            await trunks.create(store, name=name, networks=[network], actor=OPERATOR)
    for search, expected in (("192.0.2.9", ["Carrier A"]), ("carrier b", ["Carrier B"]), ("192.0.2.99", [])):
        assert [row[0] for row in (await rows_of(world, f"/trunks.csv?search={search}"))[1:]] == expected
        assert len(re.findall(">Carrier [AB]<", (await look(world, f"/trunks?search={search}"))[1])) == len(expected)
    rows = await rows_of(world, "/projects.csv?search=caf")
    assert [row[1] for row in rows[1:]] == ["Café"]
    assert len(await rows_of(world, "/retention.csv?search=caf")) == 2
    assert "Nothing like that" in (await look(world, "/projects?residency=eu_only"))[1]


async def test_erasures_are_narrowed_and_exported(world: World) -> None:
    """By whether they are done, and why."""
    call = await add_call(world, world.bakery_second)
    form = [("id", str(call)), ("confirmation", "erase")]
    status, _, place = await send(world, "/calls/erase", form)
    assert status == 303
    erasure_id = place.rpartition("/")[2]
    assert [row[0] for row in (await rows_of(world, "/erasures.csv?state=running"))[1:]] == [erasure_id]
    assert (await rows_of(world, "/erasures.csv?state=done"))[1:] == []
    assert (await rows_of(world, "/erasures.csv?reason=caller_asked"))[1:] == []
    assert erasure_id in (await look(world, "/erasures?reason=member_asked"))[1]


async def test_versions_are_narrowed_by_day_and_exported(world: World) -> None:
    """What was published today is not what was published until yesterday."""
    place = f"/scenarios/{world.bakery.scenario_id}/versions"
    today = datetime.now(UTC).date()
    assert len((await rows_of(world, f"{place}.csv?since={today}"))[1:]) >= 1
    assert (await rows_of(world, f"{place}.csv?until={today - timedelta(days=1)}"))[1:] == []
    assert "Nothing like that" in (await look(world, f"{place}?until={today - timedelta(days=1)}"))[1]


async def test_what_else_is_listed_comes_as_a_file(world: World) -> None:
    """Secrets by their names, without a character of them; deletions, sub-processors and refusals."""
    form = {"name": "plugin/calendar", "value": "canary-4711"}
    assert (await send(world, "/settings/secrets", form))[0] == 303
    rows = await rows_of(world, "/settings/secrets.csv")
    assert [row[0] for row in rows[1:]] == ["plugin/calendar"]
    assert "4711" not in str(rows)
    assert (await rows_of(world, "/subprocessors.csv"))[0][0] == "Who"
    assert (await rows_of(world, "/refusals.csv"))[1:] == []
    status, _ = await api(
        world, "POST", f"/projects/{world.bakery_second.project_id}/deletion", "olga", {"name": "Café"}
    )
    assert status == 202
    rows = await rows_of(world, "/deletions.csv?state=locked")
    assert [row[0] for row in rows[1:]] == [str(world.bakery_second.project_id)]
    assert "Nothing like that" in (await look(world, "/deletions?state=gone"))[1]
