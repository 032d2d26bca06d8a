"""Days begin where whoever looks at them is."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from admin.zones import last_days, midnight
from tests.admin.speaking import api, look
from tests.admin.world import World, add_call

pytestmark = pytest.mark.asyncio(loop_scope="module")


def elsewhere() -> ZoneInfo:
    """A zone in which it is another day now than in UTC."""
    return ZoneInfo("Pacific/Kiritimati" if datetime.now(UTC).hour >= 10 else "Pacific/Pago_Pago")


async def seen(world: World, path: str, zone: str | None) -> str:
    """A page as Olga's browser gets it in this zone."""
    headers = world.browser("olga") | {"Accept": "text/html"}
    if zone is not None:
        headers["Cookie"] += f"; zone={zone.replace('/', '%2F')}"
    async with world.client.get(world.tenant + path, headers=headers) as answer:
        assert answer.status == 200
        return await answer.text()


async def test_a_day_in_a_filter_is_the_viewers(world: World) -> None:
    """A call of now is found on the day that it is there; in UTC, and in a zone that is none, it was another day."""
    call = await add_call(world, world.bakery)
    zone = elsewhere()
    today = datetime.now(zone).date()
    for path, there in (("/calls", str(call)), ("/audit", "tenant:")):
        only = f"{path}?since={today}&until={today}"
        assert there in await seen(world, only, zone.key)
        for other in (None, "Nowhere/Land", "../../etc/hosts"):
            assert "No such" in await seen(world, only, other)


async def test_the_last_day_of_a_hold_is_the_viewers(world: World) -> None:
    """It ends with that day there, and is shown as that day."""
    zone = elsewhere()
    last = datetime.now(zone).date() + timedelta(days=30)
    form = {"project_id": str(world.bakery.project_id), "reason": "5 O 11/26", "until": last.isoformat()}
    headers = world.browser("olga")
    headers["Cookie"] += f"; zone={zone.key}"
    async with world.client.post(f"{world.tenant}/holds", data=form, headers=headers, allow_redirects=False) as answer:
        assert answer.status == 303
    _, found = await api(world, "GET", "/holds", project_id=world.bakery.project_id)
    (hold,) = found["items"]
    end = midnight(last + timedelta(days=1), zone)
    assert datetime.fromisoformat(hold["expires_at"]) == end
    assert f'datetime="{end - timedelta(seconds=1):%Y-%m-%dT%H:%M:%SZ}"' in (await look(world, "/retention"))[1]


async def test_the_overview_counts_by_days_of_the_zone(world: World) -> None:
    """The last day of the chart is the one that it is there, and the calls of now are in it; no zone is a 422."""
    await add_call(world, world.bakery)
    zone = elsewhere()
    status, figures = await api(world, "GET", "/overview", time_zone=zone.key)
    began = [datetime.fromisoformat(span["began"]) for span in figures["spans"]]
    assert (status, began) == (200, list(last_days(datetime.now(UTC), 7, zone)))
    assert figures["spans"][-1]["calls"] == figures["calls"] > 0
    assert f"Day ({zone.key})" in await seen(world, "/", zone.key)
    assert (await api(world, "GET", "/overview", time_zone="Nowhere/Land"))[1]["field"] == "time_zone"


async def test_a_day_on_which_clocks_change_is_a_day() -> None:
    """In Berlin the last Sunday of March 2026 had 23 hours, and that of October 25."""
    berlin = ZoneInfo("Europe/Berlin")
    for month, hours in ((3, 23), (10, 25)):
        sunday = {3: 29, 10: 25}[month]
        first, second, third = last_days(datetime(2026, month, sunday + 1, 12, tzinfo=UTC), 3, berlin)[-3:]
        assert (second - first, third - second) == (timedelta(days=1), timedelta(hours=hours))
