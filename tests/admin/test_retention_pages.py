"""How long things are kept and what is held: seen before it is changed, changed, and kept from going."""

import base64
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING
from uuid import UUID

import pytest

from policies.audit_tags import Tag
from store import postgres
from store.audit.log import entries
from store.erasure.expiry import expire
from store.settings import StoreSettings
from tests.admin.speaking import api, look, rows_of, send
from tests.admin.world import World, add_call
from tests.database import connected

if TYPE_CHECKING:
    import psycopg

pytestmark = pytest.mark.asyncio(loop_scope="module")


def age(connection: "psycopg.Connection[tuple[object, ...]]", call: UUID, days: int) -> None:
    """Let a call have happened that long ago."""
    connection.execute(
        "UPDATE sessions SET planned_at = planned_at - %(age)s, started_at = started_at - %(age)s,"
        " ended_at = ended_at - %(age)s WHERE id = %(call)s",
        {"age": timedelta(days=days), "call": call},
    )
    connection.commit()


async def test_a_change_shows_what_it_would_delete_and_that_is_what_goes(
    world: World, world_settings: StoreSettings, database_home: Path
) -> None:
    """Preview, page and the nightly run agree; what is held stays."""
    shop = world.bakery_second
    calls = [await add_call(world, shop) for _ in range(3)]
    with connected(world_settings, database_home, postgres.SUPERUSER) as connection:
        for call in calls:
            age(connection, call, 20)
    path = f"/projects/{shop.project_id}/retention"
    status, preview = await api(world, "GET", f"{path}/preview", recording_days=10, transcript_days=15)
    assert (status, preview["recordings"], preview["calls"], preview["recordings_anyway"]) == (200, 3, 3, 0)
    hold = {
        "project_id": str(shop.project_id),
        "session_id": str(calls[0]),
        "reason": "1 O 23/26",
        "expires_at": (datetime.now(UTC) + timedelta(days=9)).isoformat(),
    }
    status, held = await api(world, "POST", "/holds", body=hold)
    assert (status, held["reason"]) == (201, "1 O 23/26")
    _, preview = await api(world, "GET", f"{path}/preview", recording_days=10, transcript_days=15)
    assert (preview["recordings"], preview["calls"]) == (2, 2)
    status, text = await look(world, f"/retention/{shop.project_id}?recording_days=10&transcript_days=15&legal_basis=")
    assert (status, "Tonight 2 recordings and the words of 2 calls go" in text) == (200, True)
    wish = {"recording_days": "10", "transcript_days": "15", "legal_basis": ""}
    status, text, _ = await send(world, f"/retention/{shop.project_id}", wish)
    assert (status, "Tonight 2 recordings" in text, "confirmation-error" in text) == (422, True, True)
    assert (await api(world, "GET", path))[1]["recording_days"] == 90
    status, _, where = await send(world, f"/retention/{shop.project_id}", wish | {"confirmation": "change"})
    assert (status, where) == (303, f"{world.tenant}/retention")
    status, released = await api(world, "GET", f"/holds/{held['id']}/preview")
    assert (status, released["calls_held"], released["recordings"], released["calls"]) == (200, 1, 1, 1)
    status, text = await look(world, f"/holds/{held['id']}/release")
    assert (status, "Tonight 1 recording and the words of 1 call go" in text) == (200, True)
    tomorrow = datetime.now(UTC) + timedelta(days=1)
    await expire(world.services.database, world.services.blobs, shop.tenant_id, tomorrow, seller_country="DE")
    async with world.services.database.tenant(shop.tenant_id) as store:
        left = await store.keys.data_keys(store, calls)
        changed = await entries(store, tag=Tag.RETENTION_CHANGED, limit=1)
    assert set(left) == {calls[0]}
    assert changed[0].facts["recording_days_before"] == 90


async def test_the_law_comes_first(world: World) -> None:
    """Longer than the law allows is refused with the law's name, in the preview and when it is set."""
    path = f"/projects/{world.bakery.project_id}/retention"
    _, now = await api(world, "GET", path)
    wish = {"recording_days": 4000, "transcript_days": 365}
    _, preview = await api(world, "GET", f"{path}/preview", **wish)
    assert (preview["allowed"], bool(preview["reason"])) == (False, True)
    status, refused = await api(world, "PUT", path, body=wish)
    assert (status, refused["field"], refused["detail"]) == (422, "recording_days", preview["reason"])
    assert (await api(world, "GET", path))[1] == now
    status, text = await look(world, f"/retention/{world.bakery.project_id}?recording_days=4000&transcript_days=365")
    assert (status, 'role="alert"' in text, "Save these rules" in text) == (200, True, False)
    status, text = await look(world, f"/retention/{world.bakery.project_id}?recording_days=many&transcript_days=1")
    assert (status, 'aria-invalid="true"' in text) == (422, True)


async def test_holds_are_placed_listed_and_released_on_the_page(world: World) -> None:
    """Who placed one stands beside it; without a reason, or with an end in the past, none is placed."""
    project = str(world.bakery.project_id)
    until = (datetime.now(UTC) + timedelta(days=30)).date().isoformat()
    status, text, _ = await send(world, "/holds", {"project_id": project, "reason": " ", "until": until})
    assert (status, "aria-invalid" in text) == (422, True)
    status, text, _ = await send(world, "/holds", {"project_id": project, "reason": "x", "until": "2020-01-01"})
    assert (status, "until-error" in text) == (422, True)
    status, _, where = await send(world, "/holds", {"project_id": project, "reason": "=2 O 7/26", "until": until})
    assert (status, where) == (303, f"{world.tenant}/retention#holds")
    status, text = await look(world, "/retention")
    assert ("=2 O 7/26" in text, "olga@bakery.example" in text) == (True, True)
    assert "'=2 O 7/26" in {row[3] for row in await rows_of(world, "/holds.csv")}
    _, found = await api(world, "GET", "/holds", project_id=project)
    (hold_id,) = [one["id"] for one in found["items"] if one["reason"] == "=2 O 7/26"]
    release = f"/holds/{hold_id}/release"
    status, text, _ = await send(world, release, {"confirmation": "relase"})
    assert (status, "confirmation-error" in text, "=2 O 7/26" in text) == (422, True, True)
    assert (await send(world, release, {"confirmation": "release"}))[0] == 303
    assert (await send(world, release, {"confirmation": "release"}))[0] == 404


async def test_placing_a_hold_says_how_many_calls_it_keeps(world: World) -> None:
    """Those of the project, and of no other."""
    for shop in (world.bakery, world.bakery, world.bakery_second):
        await add_call(world, shop)
    until = (datetime.now(UTC) + timedelta(days=30)).date().isoformat()
    form = {"project_id": str(world.bakery.project_id), "reason": "3 O 9/26", "until": until}
    async with world.client.post(
        f"{world.tenant}/holds", data=form, headers=world.browser("olga"), allow_redirects=False
    ) as answer:
        shown = base64.urlsafe_b64decode(answer.cookies["notice"].value).decode()
    assert "2 calls are held" in shown
    _, found = await api(world, "GET", "/holds", project_id=str(world.bakery.project_id))
    (hold_id,) = [one["id"] for one in found["items"] if one["reason"] == "3 O 9/26"]
    _, preview = await api(world, "GET", f"/holds/{hold_id}/preview", "edgar")
    assert (preview["calls_held"], preview["recordings"], preview["calls"]) == (2, 0, 0)
    assert (await api(world, "GET", f"/holds/{hold_id}/preview", "stranger"))[0] == 404
    assert (await send(world, f"/holds/{hold_id}/release", {"confirmation": "release"}))[0] == 303


async def test_an_editor_reads_the_rules_of_their_project_and_changes_none(world: World) -> None:
    """Edgar sees one project and its holds, and is offered no change; Vera sees nothing of it."""
    wish = {"recording_days": 1, "transcript_days": 1}
    own, other = (f"/projects/{shop.project_id}/retention" for shop in (world.bakery, world.bakery_second))
    assert (await api(world, "GET", own, "edgar"))[0] == 200
    assert (await api(world, "GET", other, "edgar"))[0] == 404
    assert (await api(world, "PUT", own, "edgar", wish))[0] == 403
    assert (await api(world, "GET", own, "vera"))[0] == 403
    status, text = await look(world, "/retention", "edgar")
    assert (status, "Café" in text, f"/retention/{world.bakery.project_id}" in text) == (200, False, False)
    _, held = await api(world, "GET", "/holds", "edgar")
    assert {one["project_id"] for one in held["items"]} <= {str(world.bakery.project_id)}
