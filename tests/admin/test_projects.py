"""Projects: begun, changed, bounded, and ended; by the API and on pages."""

from datetime import UTC, datetime
from pathlib import Path
from uuid import UUID

import pytest

from policies.audit_tags import Tag
from policies.retention import cap_on_recordings
from policies.subprocessors import Place
from store.audit.checkpoints import public_keys
from store.erasure.projects import carry_out
from store.erasure.receipts import problems_of
from store.settings import StoreSettings
from store.transfers import Transfer, write_transfers
from tests.admin.speaking import api, look, rows_of, send
from tests.admin.world import World, add_call, open_world

pytestmark = pytest.mark.asyncio(loop_scope="module")

FORM = {
    "name": "Bistro",
    "business_name": "Bistro Brot",
    "jurisdiction": "FR",
    "language": "fr",
    "time_zone": "Europe/Paris",
}


async def begun(world: World, name: str) -> str:
    """The id of a new project."""
    status, made = await api(world, "POST", "/projects", body={**FORM, "name": name})
    assert status == 201, made
    return str(made["id"])


async def test_a_project_is_begun_and_changed_and_the_log_says_so(world: World) -> None:
    """What was typed is there; what is changed is told without what the business is called."""
    status, _, where = await send(world, "/projects", FORM)
    assert status == 303
    path = where.removeprefix(world.tenant)
    status, _, where = await send(world, path, {**FORM, "language": "de", "viewers_see": "redacted"})
    assert (status, where) == (303, world.tenant + path)
    _, found = await api(world, "GET", path)
    assert (found["business_name"], found["language"], found["viewers_see"]) == ("Bistro Brot", "de", "redacted")
    _, acts = await api(world, "GET", "/audit", about=found["id"], tag=Tag.PROJECT_CHANGED)
    assert acts["items"][0]["facts"] == {
        "changed": ["language", "viewers_see"],
        "language": "de",
        "viewers_see": "redacted",
    }
    assert "Bistro" in {row[1] for row in await rows_of(world, "/projects.csv")}


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("jurisdiction", "Germany"),
        ("jurisdiction", "ZZ"),
        ("language", "german!"),
        ("time_zone", "Berlin"),
        ("time_zone", "../../etc/passwd"),
        ("name", " "),
        ("business_name", ""),
    ],
)
async def test_what_cannot_be_is_named(world: World, field: str, value: str) -> None:
    """422 with the field, by the API and on the page, where the rest stays as it was typed."""
    status, refused = await api(world, "POST", "/projects", body={**FORM, field: value})
    assert (status, refused["field"]) == (422, field)
    status, text, _ = await send(world, "/projects", {**FORM, field: value})
    assert (status, f'id="{field}-error"' in text) == (422, True)
    assert 'value="Bistro Brot"' in text or field == "business_name"


async def test_a_place_with_shorter_times_comes_after_shorter_times(world: World) -> None:
    """A project does not move to where the law forbids how long it keeps recordings, before they are kept shorter."""
    project_id = await begun(world, "Mover")
    path = f"/projects/{project_id}"
    await api(world, "PATCH", path, body={"jurisdiction": "BR"})
    days = {place: cap_on_recordings(place, datetime.now(UTC).date()) for place in ("BR", "FR")}
    assert days["FR"].firm
    wish = {"recording_days": days["FR"].days + 1, "transcript_days": 365, "legal_basis": "A law"}
    assert (await api(world, "PUT", f"{path}/retention", body=wish))[0] == 200
    status, refused = await api(world, "PATCH", path, body={"jurisdiction": "FR"})
    assert (status, refused["field"]) == (422, "jurisdiction")
    await api(world, "PUT", f"{path}/retention", body={**wish, "recording_days": days["FR"].days})
    assert (await api(world, "PATCH", path, body={"jurisdiction": "FR"}))[0] == 200


async def test_who_may_do_what(world: World) -> None:
    """An editor of one project changes it, begins none and ends none; a viewer looks; others find nothing."""
    own, other = f"/projects/{world.bakery.project_id}", f"/projects/{world.bakery_second.project_id}"
    for who, path, status in (("edgar", own, 200), ("edgar", other, 404), ("vera", own, 200), ("stan", own, 404)):
        assert (await api(world, "GET", path, who))[0] == status
    assert (await api(world, "PATCH", own, "vera", {"language": "de"}))[0] == 403
    assert (await api(world, "PATCH", own, "edgar", {"language": "de"}))[0] == 200
    assert (await api(world, "POST", "/projects", "edgar", FORM))[0] == 403
    assert (await api(world, "POST", "/projects", "ada", {**FORM, "name": "Of Ada"}))[0] == 201
    assert (await api(world, "POST", f"{own}/deletion", "edgar", {"name": "Bakery"}))[0] == 403
    _, found = await api(world, "GET", "/projects", "edgar")
    assert [one["id"] for one in found["items"]] == [str(world.bakery.project_id)]


async def test_the_end_of_a_project_is_typed_taken_back_and_proven(world: World) -> None:
    """Locked with the typed name only; taken back; ended again, gone, with a receipt that others can check."""
    project_id = await begun(world, "Ending")
    path = f"/projects/{project_id}"
    status, text, _ = await send(world, f"{path}/delete", {"confirmation": "ending"})
    assert (status, "This is not what was asked for" in text) == (422, True)
    assert (await api(world, "POST", f"{path}/deletion", body={"name": "ending"}))[0] == 422
    assert (await send(world, f"{path}/delete", {"confirmation": "Ending"}))[0] == 303
    status, text = await look(world, path)
    assert (status, "Take it back" in text) == (200, True)
    assert (await send(world, f"{path}/take-back", {}))[0] == 303
    assert (await api(world, "GET", path))[1]["deletion_asked_at"] is None
    assert (await api(world, "GET", f"{path}/deletion"))[0] == 404
    status, deletion = await api(world, "POST", f"{path}/deletion", body={"name": "Ending"})
    assert (status, deletion["state"]) == (202, "locked")
    assert (await api(world, "POST", f"{path}/deletion", body={"name": "Ending"}))[0] == 409
    assert (await api(world, "GET", f"{path}/deletion/receipt"))[0] == 409
    services, tenant_id = world.services, world.bakery.tenant_id
    await carry_out(services.database, services.blobs, tenant_id, UUID(project_id))
    assert (await api(world, "DELETE", f"{path}/deletion"))[0] == 409
    _, deletion = await api(world, "GET", f"{path}/deletion")
    assert deletion["state"] == "gone"
    status, receipt = await api(world, "GET", f"{path}/deletion/receipt")
    assert (status, problems_of(receipt, await public_keys(services.database, tenant_id))) == (200, ())
    status, text = await look(world, path)
    assert (status, "Download the receipt" in text) == (200, True)


async def test_deletions_are_listed_in_pages(world: World) -> None:
    """Each once, with its state; of a project that somebody may not see, none."""
    begun_ids = [await begun(world, f"Over {number}") for number in range(3)]
    for number, project_id in enumerate(begun_ids):
        path = f"/projects/{project_id}/deletion"
        assert (await api(world, "POST", path, body={"name": f"Over {number}"}))[0] == 202
    seen: list[str] = []
    cursor: dict[str, str] = {}
    while True:
        status, found = await api(world, "GET", "/deletions", limit=2, **cursor)
        assert status == 200
        seen += [one["project_id"] for one in found["items"]]
        if found["next_cursor"] is None:
            break
        cursor = {"cursor": found["next_cursor"]}
    assert len(seen) == len(set(seen))
    assert [one for one in seen if one in begun_ids] == begun_ids[::-1]
    assert (await api(world, "GET", "/deletions", "edgar"))[1] == {"items": [], "next_cursor": None}


async def test_bounds_are_set_and_what_cannot_be_kept_is_refused(world: World) -> None:
    """EU only and health care are switches, and whoever may get nothing of the project is told of on the page."""
    project_id = await begun(world, "Clinic")
    status, _, where = await send(world, f"/data-flows/{project_id}/residency", {"residency": "eu_only"})
    assert (status, where) == (303, f"{world.tenant}/data-flows")
    assert (await send(world, f"/data-flows/{project_id}/hipaa", {"on": "yes"}))[0] == 303
    _, found = await api(world, "GET", f"/projects/{project_id}")
    assert (found["residency"], found["hipaa"]) == ("eu_only", True)
    _, settings = await api(world, "GET", "/settings")
    assert settings["second_factor_forced"] is True
    _, listed = await api(world, "GET", "/subprocessors")
    assert all(project_id in one["refused_by"] for one in listed["items"])
    await send(world, f"/data-flows/{project_id}/hipaa", {"on": "no"})
    await api(world, "PUT", f"/projects/{project_id}/residency", body={"residency": "anywhere"})
    assert (await look(world, f"/data-flows/{project_id}", "vera"))[0] == 404


async def test_what_the_server_cannot_keep_to_is_refused(store_settings: StoreSettings, tmp_path: Path) -> None:
    """With objects kept in the United States, no project becomes EU-only: 409 with the reason, and nothing changes."""

    async def kept_at() -> list[Place]:
        return [Place("objects.example", "own", ("US",))]

    async with open_world(store_settings, tmp_path, kept_at=kept_at) as elsewhere:
        path = f"/data-flows/{elsewhere.bakery.project_id}"
        status, text, _ = await send(elsewhere, f"{path}/residency", {"residency": "eu_only"})
        assert (status, "objects.example" in text) == (409, True)
        _, found = await api(elsewhere, "GET", f"/projects/{elsewhere.bakery.project_id}")
        assert found["residency"] == "anywhere"
        status, text = await look(elsewhere, "/data-flows")
        assert (status, "objects.example" in text) == (200, True)


async def test_data_flows_add_up_what_left(world: World) -> None:
    """What calls sent away is added up by place, said plainly on the page, and nobody else's is in it."""
    call = await add_call(world, world.bakery)
    sent = Transfer(
        host="api.openai.com", purpose="model", whose="OpenAI OpCo, LLC", data=("sound of the call",),
        countries=("US",), in_eu=False, transfer="Clauses", sent_bytes=2_000_000, received_bytes=3_000_000,
    )  # fmt: skip  # one transfer
    async with world.services.database.tenant(world.bakery.tenant_id) as store:
        await write_transfers(store, call, [sent])
    status, report = await api(world, "GET", "/transfers")
    assert status == 200
    (line,) = report["items"]
    assert (line["calls"], line["sent_bytes"], line["in_eu"]) == (1, 2_000_000, False)
    _, other = await api(world, "GET", "/transfers", project_id=str(world.bakery_second.project_id))
    assert other["items"] == []
    _, past = await api(world, "GET", "/transfers", since="2026-01-01", until="2026-01-31")
    assert past["items"] == []
    assert (await api(world, "GET", "/transfers", since="2026-02-01", until="2026-01-31"))[0] == 422
    status, text = await look(world, "/data-flows")
    assert (status, "Calls sent data out of the European Union" in text, "2.0 MB" in text) == (200, True, True)
    assert (await rows_of(world, "/data-flows.csv"))[1][0] == "api.openai.com"
    status, text = await look(world, "/data-flows?since=2026-01-01&until=2026-01-31")
    assert (status, "Nothing left this machine" in text) == (200, True)


async def test_usage_is_added_up_by_month_and_project(world: World) -> None:
    """Minutes of calls, of the months and projects that are asked for."""
    await add_call(world, world.bakery_second)
    month = datetime.now(UTC).strftime("%Y-%m")
    _, found = await api(world, "GET", "/usage", project_id=str(world.bakery_second.project_id))
    assert {
        "month": month,
        "project_id": str(world.bakery_second.project_id),
        "kind": "call_ms",
        "quantity": 60_000,
        "calls": 1,
    } in (found["items"])
    _, other = await api(world, "GET", "/usage", since="2025-01", until="2025-12")
    assert other["items"] == []
    _, mine = await api(world, "GET", "/usage", "edgar")
    assert {one["project_id"] for one in mine["items"]} <= {str(world.bakery.project_id)}
    assert (await api(world, "GET", "/usage", since="2026-13"))[0] == 422
    status, text = await look(world, "/usage")
    assert (status, "Café" in text, month in text) == (200, True, True)
    assert [month, "Café", "call_ms", "60000", "1"] in await rows_of(world, "/usage.csv")


async def test_settings_and_secrets(world: World) -> None:
    """The name and the second factor of everyone are changed; a secret goes in, shows four letters, and goes."""
    status, _, where = await send(world, "/settings", {"name": "Bakery & Sons", "second_factor_for_all": "on"})
    assert (status, where) == (303, f"{world.tenant}/settings")
    _, found = await api(world, "GET", "/settings")
    assert (found["name"], found["second_factor_for_all"]) == ("Bakery & Sons", True)
    await api(world, "PATCH", "/settings", body={"name": "Bakery", "second_factor_for_all": False})
    secret = "canary-secret-0123456789wxyz"
    assert (await send(world, "/settings/secrets", {"name": "plugin/calendar", "value": secret}))[0] == 303
    status, text = await look(world, "/settings")
    assert (status, "…wxyz" in text, "canary" in text) == (200, True, False)
    status, text, _ = await send(world, "/settings/secrets", {"name": "No Name", "value": secret})
    assert (status, "secret_name-error" in text, "canary" in text) == (422, True, False)
    _, listed = await api(world, "GET", "/secrets")
    assert [one["name"] for one in listed["items"]] == ["plugin/calendar"]
    confirmed = {"name": "plugin/calendar", "confirmation": "remove"}
    assert (await send(world, "/settings/secrets/remove", confirmed | {"confirmation": "no"}))[0] == 422
    assert (await send(world, "/settings/secrets/remove", confirmed))[0] == 303
    assert (await api(world, "DELETE", "/secrets", name="plugin/calendar"))[0] == 404
    for who, status in (("edgar", 403), ("ada", 403), ("stan", 404)):
        assert (await api(world, "GET", "/settings", who))[0] == status
