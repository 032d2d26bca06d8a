"""A call's page and the overview in Chromium: what their scripts add, and what is there without them."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
import pytest_asyncio
from playwright.async_api import Browser, Page, async_playwright, expect

from policies.audit_tags import Tag
from store.audit.log import entries
from tests.admin.chromium import ARGUMENTS, CHROMIUM
from tests.admin.whole_call import add_whole_call
from tests.admin.world import World

pytestmark = [
    pytest.mark.asyncio(loop_scope="module"),
    pytest.mark.skipif(not Path(CHROMIUM).exists(), reason="NOT TESTED: apt-get install chromium libatomic1"),
]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def chromium() -> AsyncIterator[Browser]:
    """One for all."""
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(
            executable_path=CHROMIUM, args=[*ARGUMENTS, "--autoplay-policy=no-user-gesture-required"]
        )
        yield browser
        await browser.close()


@asynccontextmanager
async def window(world: World, chromium: Browser, *, scripts: bool = True) -> AsyncIterator[tuple[Page, list[str]]]:
    """A window of Olga's in Berlin, and what its console complains of."""
    context = await chromium.new_context(
        java_script_enabled=scripts, timezone_id="Europe/Berlin", locale="en-GB", base_url=base(world)
    )
    cookies = world.people["olga"].cookies
    await context.add_cookies([{"name": key, "value": value, "url": base(world)} for key, value in cookies.items()])
    page = await context.new_page()
    complaints: list[str] = []
    page.on("console", lambda line: complaints.append(line.text) if line.type in {"error", "warning"} else None)
    page.on("pageerror", lambda error: complaints.append(str(error)))
    try:
        yield page, complaints
    finally:
        await context.close()


def base(world: World) -> str:
    """Where the server is."""
    return str(world.client.make_url("/")).rstrip("/")


async def test_the_transcript_plays_from_where_it_is_clicked_and_follows(world: World, chromium: Browser) -> None:
    """Both sides are drawn; a turn's time starts the sound there and lights up; the log has one playing."""
    call = await add_whole_call(world, world.bakery)
    async with window(world, chromium) as (page, complaints):
        await page.goto(f"{world.tenant}/calls/{call}")
        await expect(page.locator("[data-wave-here] canvas").first).to_be_attached()
        assert await page.locator("[data-wave-here] canvas").count() >= 2
        await page.locator("[data-turns] .turn-caller [data-seek]").click()
        await expect(page.locator(".turn-caller.is-spoken")).to_be_visible()
        at = await page.locator("audio").evaluate("audio => audio.currentTime")
        assert 4.5 <= at < 9
        await page.locator("audio").evaluate("audio => { audio.currentTime = 9.8; }")
        await expect(page.locator(".turn-agent.is-spoken")).to_be_visible()
        await expect(page.locator(".turn-caller.is-spoken")).to_have_count(0)
        assert complaints == []
    async with world.services.database.tenant(world.bakery.tenant_id) as store:
        assert len(await entries(store, about=str(call), tag=Tag.RECORDING_PLAYED)) == 1


async def test_looking_at_a_call_is_no_listening(world: World, chromium: Browser) -> None:
    """The page with its wave asks for no sound, so the log says nothing of a playing."""
    call = await add_whole_call(world, world.bakery)
    async with window(world, chromium) as (page, _):
        await page.goto(f"{world.tenant}/calls/{call}")
        await expect(page.locator("[data-wave-here] canvas").first).to_be_attached()
        await page.wait_for_load_state("networkidle")
    async with world.services.database.tenant(world.bakery.tenant_id) as store:
        assert await entries(store, about=str(call), tag=Tag.RECORDING_PLAYED) == ()


async def test_pages_read_without_scripts(world: World, chromium: Browser) -> None:
    """Words, a player and times in UTC; figures as a table; boxes and a button to erase with."""
    call = await add_whole_call(world, world.bakery)
    async with window(world, chromium, scripts=False) as (page, _):
        await page.goto(f"{world.tenant}/calls/{call}")
        await expect(page.get_by_text("Ja, bis achtzehn Uhr.")).to_be_visible()
        await expect(page.locator("audio")).to_be_visible()
        assert "UTC" in await page.locator(".under-heading time").inner_text()
        await page.goto(f"{world.tenant}/")
        await page.get_by_text("As a table").click()
        await expect(page.locator(".as-table tbody tr").first).to_be_visible()
        await expect(page.get_by_role("link", name="Calls", exact=True)).to_be_visible()
        await page.goto(f"{world.tenant}/calls")
        await page.locator(f"input[value='{call}']").check()
        await page.get_by_role("button", name="Erase…").click()
        await expect(page.get_by_role("heading", name="Erase 1 call")).to_be_visible()


async def test_scripts_draw_choose_and_remember(world: World, chromium: Browser) -> None:
    """Charts are drawn, times are the viewer's, boxes are ticked at once, and the chosen look stays."""
    for _ in range(2):
        await add_whole_call(world, world.bakery)
    async with window(world, chromium) as (page, complaints):
        await page.goto(f"{world.tenant}/")
        await expect(page.locator("[data-chart] canvas")).to_have_count(2)
        await page.get_by_role("button", name="Light or dark").click()
        assert await page.evaluate("document.documentElement.dataset.theme") == "dark"
        await page.goto(f"{world.tenant}/calls")
        assert await page.evaluate("document.documentElement.dataset.theme") == "dark"
        assert "UTC" not in await page.locator("tbody time").first.inner_text()
        await page.get_by_label("Choose all calls of this page").check()
        rows = await page.locator("tbody tr").count()
        await expect(page.get_by_text(f"{rows} chosen")).to_be_visible()
        assert complaints == []
