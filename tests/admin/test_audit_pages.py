"""The audit log: read by whoever may, exported, and proven without the server."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from typer.testing import CliRunner

from admin.ask import ENROL, STEP_UP
from admin.routes import PAGES
from policies.audit_tags import Actor, Tag
from scripts.cli_audit import app as audit_commands
from store import postgres
from store.audit.check import check, newest_check
from store.audit.log import entries, record, size_of
from store.settings import StoreSettings
from tests.admin.matrix_ids import make_ids
from tests.admin.speaking import api, look, rows_of, send
from tests.admin.test_matrix import address
from tests.admin.world import World, add_call
from tests.database import connected

pytestmark = pytest.mark.asyncio(loop_scope="module")


async def test_acts_are_found_by_what_who_when_and_on_what(world: World) -> None:
    """Each filter keeps what it names; people and keys are named while they are there."""
    call = await add_call(world, world.bakery)
    olga = Actor("user", str(world.people["olga"].user_id))
    async with world.services.database.tenant(world.bakery.tenant_id) as store:
        await record(store, olga, Tag.RECORDING_PLAYED, objects={"session": str(call)})
        await record(store, olga, Tag.PHI_READ, facts={"what": "caller", "sessions": [str(call)]})
    status, found = await api(world, "GET", "/audit", about=str(call))
    assert (status, [one["tag"] for one in found["items"]]) == (200, [Tag.PHI_READ, Tag.RECORDING_PLAYED])
    assert found["items"][0]["by"] == {"kind": "user", "id": olga.id, "name": "olga@bakery.example"}
    _, found = await api(world, "GET", "/audit", tag="session:recording:", actor=olga.id)
    assert {one["tag"] for one in found["items"]} == {Tag.RECORDING_PLAYED}
    later = (datetime.now(UTC) + timedelta(hours=1)).isoformat()
    _, found = await api(world, "GET", "/audit", since=later)
    assert found == {"items": [], "next_cursor": None}
    await api(world, "POST", "/audit/check")
    _, found = await api(world, "GET", "/audit", tag=Tag.AUDIT_CHECKED, limit=1)
    assert found["items"][0]["by"]["name"] == "Of a test"


async def test_pages_of_the_list_have_each_act_once(world: World) -> None:
    """Newest first, by cursor, to the very first act."""
    seen: list[int] = []
    cursor: dict[str, int] = {}
    while True:
        _, found = await api(world, "GET", "/audit", limit=7, **cursor)
        seen += [one["index"] for one in found["items"]]
        if found["next_cursor"] is None:
            break
        cursor = {"cursor": found["next_cursor"]}
    assert seen == sorted(seen, reverse=True)
    assert seen == list(range(seen[0], -1, -1))


async def test_an_export_is_proven_by_the_command_line(world: World, tmp_path: Path) -> None:
    """What Olga downloads is whole, has her download as its last act, and one altered letter is found."""
    status, content = await api(world, "POST", "/audit/export", "olga")
    assert status == 200
    _, published = await look(world, "/audit/keys")
    _, shown = await api(world, "GET", "/audit/keys")
    assert published.splitlines() == shown["public_keys"]
    file, keys = tmp_path / "audit.jsonl", tmp_path / "keys"
    file.write_bytes(content)
    keys.write_text(published)
    proven = CliRunner().invoke(audit_commands, ["verify", str(file), "--key", str(keys)])
    assert (proven.exit_code, "Proven." in proven.output) == (0, True), proven.output
    assert "knows this one" in proven.output
    assert str(world.people["olga"].user_id).encode() in content
    file.write_bytes(content.replace(b"project:created", b"project:creates", 1))
    assert CliRunner().invoke(audit_commands, ["verify", str(file), "--key", str(keys)]).exit_code == 1


async def test_only_owners_read_and_an_export_wants_a_fresh_second_factor(world: World) -> None:
    """Editors get a 403, strangers a 404; a factor of an hour ago sends to the place where it is shown again."""
    for who, status in (("edgar", 403), ("ada", 403), ("vera", 403), ("stan", 404)):
        assert (await api(world, "GET", "/audit", who))[0] == status
    world.clock.ahead_s = 16 * 60
    try:
        person = await world.sign_in("olga@bakery.example")
        headers = {"Authorization": f"Bearer {person.access_token}"}
        path = f"/api/v1/audit/export?tenant_id={world.bakery.tenant_id}"
        async with world.client.post(path, headers=headers) as answer:
            assert answer.status == 403
            assert (await answer.json(content_type=None))["type"] in {STEP_UP, ENROL}
    finally:
        world.clock.ahead_s = 0


async def test_a_list_that_is_taken_as_a_file_is_written_down(world: World) -> None:
    """Every one of them, once, with who took it and which list it was."""
    ids = await make_ids(world, world.bakery)
    paths = [address(route, ids, world) for route in PAGES if route.path.endswith(".csv")]
    assert len(paths) > 10
    for path in paths:
        async with world.services.database.tenant(world.bakery.tenant_id) as store:
            before = await size_of(store)
        await rows_of(world, path.removeprefix(world.tenant))
        async with world.services.database.tenant(world.bakery.tenant_id) as store:
            taken = await entries(store, limit=await size_of(store) - before)
        taken = tuple(act for act in taken if act.tag in {Tag.LIST_EXPORTED, Tag.SESSIONS_EXPORTED, Tag.AUDIT_EXPORTED})
        assert [act.actor.id for act in taken] == [str(world.people["olga"].user_id)], path
        assert taken[0].facts["list"], path


async def test_the_log_as_a_list_is_an_export_too(world: World) -> None:
    """It wants a second factor of the last quarter of an hour, and the scope of an export; then the log knows."""
    assert (await look(world, "/audit.csv", "ada"))[0] == 403
    olga = await world.sign_in("olga@bakery.example", second_factor=True)
    world.people = {**world.people, "olga lately": olga}
    world.clock.ahead_s = 16 * 60
    try:
        status, text = await look(world, "/audit.csv", "olga lately")
        assert ((await look(world, "/audit", "olga lately"))[0], status, text) == (200, 303, "")
    finally:
        world.clock.ahead_s = 0
    assert len(await rows_of(world, "/audit.csv", "olga lately")) > 1
    async with world.services.database.tenant(world.bakery.tenant_id) as store:
        (act,) = await entries(store, tag=Tag.AUDIT_EXPORTED, limit=1)
    assert (act.actor.id, act.facts) == (str(olga.user_id), {"list": "audit"})


async def test_the_page_shows_acts_state_and_proof(world: World) -> None:
    """Who and what in words, the newest checkpoint, a check on the spot; what is filtered can be linked and saved."""
    status, _, where = await send(world, "/audit/check", {})
    assert (status, where) == (303, f"{world.tenant}/audit#proof")
    status, text = await look(world, "/audit?tag=tenant%3Aaudit&actor=&about=&since=&until=")
    assert (status, "olga@bakery.example" in text, "All well" in text) == (200, True, True)
    assert "aitelier audit verify" in text
    rows = await rows_of(world, "/audit.csv?tag=tenant%3Aaudit")
    assert {row[5].rpartition(":")[0] for row in rows[1:]} == {"tenant:audit"}
    status, text = await look(world, "/audit?about=nothing")
    assert (status, "No such acts" in text) == (200, True)


async def test_a_check_finds_what_other_hands_have_changed(
    world: World, world_settings: StoreSettings, database_home: Path
) -> None:
    """One entry altered in the database, past every lock: the next check says so, and so does the page."""
    tenant_id = world.stranger.tenant_id
    database = world.services.database
    async with database.tenant(tenant_id) as store:
        assert await check(store, actor=Actor("system", "test"))
    with connected(world_settings, database_home, postgres.SUPERUSER) as connection:
        connection.execute("ALTER TABLE audit_leaves DISABLE TRIGGER audit_stays")
        connection.execute("UPDATE audit_leaves SET actor_id = 'nobody' WHERE tenant_id = %s AND idx = 1", (tenant_id,))
        connection.execute("ALTER TABLE audit_leaves ENABLE TRIGGER audit_stays")
        connection.commit()
    async with database.tenant(tenant_id) as store:
        assert not await check(store, actor=Actor("system", "test"))
        found = await newest_check(store)
    assert found is not None
    assert (found.sound, found.entries > 1) == (False, True)
