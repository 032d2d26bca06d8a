"""A call from a real browser, whose microphone plays a file, to a whole server; watched and ended on another page."""

import asyncio
import base64
import wave
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit
from uuid import UUID

import numpy as np
import pytest
from playwright.async_api import BrowserContext, Page, async_playwright, expect

from admin.services import Services
from policies.access import READS_ALL
from policies.audit_tags import OPERATOR
from scripts.cli_call import speaker
from scripts.master_key import master_key_of
from store import conversation, recordings, sessions, tenants
from store.blobs import FolderBlobs
from store.engine import Database
from store.people.memberships import grant_role
from store.settings import StoreSettings
from tests.admin.people import signed_in
from tests.admin.world import Clock, desk_away
from tests.scripts.conftest import Server, served

CHROMIUM = Path("/usr/bin/chromium")
SILENCE_S = 5
QUESTION = "What are your opening hours?"

pytestmark = [
    pytest.mark.skipif(not CHROMIUM.exists(), reason="NOT TESTED: no Chromium at /usr/bin/chromium"),
    pytest.mark.timeout(180),
]


@dataclass
class Scene:
    """A server, its books, and a signed-in owner's browser."""

    server: Server
    database: Database
    tenant_id: UUID
    context: BrowserContext

    async def page(self, name: str) -> Page:
        page = await self.context.new_page()
        page.on("console", lambda message: print("console:", message.text))  # noqa: T201 - shown where a test fails
        page.on("pageerror", lambda error: print("error:", error))  # noqa: T201 - as above
        await page.goto(f"{self.server.admin}/t/{self.tenant_id}/{name}")
        return page


async def microphone(folder: Path) -> Path:
    """A question, after some silence, again and again."""
    async with speaker() as speak:
        spoken = await speak(QUESTION)
    pause = bytes(2 * 8000 * SILENCE_S)
    samples = np.repeat(np.frombuffer(pause + spoken + pause, np.int16), 6)
    target = folder / "microphone.wav"
    with wave.open(str(target), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(48_000)
        file.writeframes(samples.tobytes())
    return target


@asynccontextmanager
async def opened(folder: Path) -> AsyncIterator[Scene]:
    """All of it."""
    starting = served({}, "--drain-seconds", "1")
    server = await asyncio.to_thread(starting.__enter__)
    try:
        master_key = base64.b64decode(master_key_of(server.home).reveal())
        database = await Database.open(StoreSettings(None, server.home, master_key))
        try:
            async with database.platform() as platform:
                (tenant,) = [one for one in await tenants.all_tenants(platform) if one.max_calls]
            services = Services(
                database=database,
                blobs=FolderBlobs(server.home / "blobs"),
                ask_desk=desk_away,
                base_url=server.admin,
                is_public=False,
                unix_time=Clock(),
            )
            olga = await signed_in(services, "olga@bakery.example", second_factor=True)
            async with database.tenant(tenant.id) as store:
                await grant_role(store, olga.user_id, "owner", actor=OPERATOR)
            async with async_playwright() as playwright:
                chromium = await playwright.chromium.launch(
                    executable_path=str(CHROMIUM),
                    args=[
                        "--no-sandbox",
                        "--use-fake-device-for-media-stream",
                        "--use-fake-ui-for-media-stream",
                        f"--use-file-for-fake-audio-capture={await microphone(folder)}",
                        "--autoplay-policy=no-user-gesture-required",
                    ],
                )
                context = await chromium.new_context()
                host = urlsplit(server.admin).hostname or ""
                await context.add_cookies(
                    [
                        {"name": name, "value": value, "domain": host, "path": "/"}
                        for name, value in olga.cookies.items()
                    ]
                )
                try:
                    yield Scene(server, database, tenant.id, context)
                finally:
                    await chromium.close()
        finally:
            await database.close()
    except AssertionError as error:
        error.add_note(server.text()[-6000:])
        raise
    finally:
        await asyncio.to_thread(starting.__exit__, None, None, None)


@pytest.mark.long
async def test_a_call_from_the_browser_is_a_call_like_any_other(tmp_path: Path) -> None:
    """Answered, told, asked, understood, watched live, hung up by somebody else, recorded, transcribed."""
    async with opened(tmp_path) as scene:
        caller = await scene.page("try")
        await caller.get_by_role("button", name="Call", exact=True).click()
        await expect(caller.locator("[data-try-state]")).to_have_text("In a call", timeout=20_000)
        watcher = await scene.page("live")
        card = watcher.locator("[data-session]")
        await expect(card).to_have_count(1)
        session_id = UUID(await card.get_attribute("data-session") or "")
        await expect(caller.locator("[data-turns] li").first).to_contain_text("AI", timeout=20_000)
        await caller.get_by_role("button", name="1", exact=True).click()
        said = watcher.locator("[data-turns] li.said-caller")
        await expect(said.first).to_contain_text("hours", timeout=40_000, ignore_case=True)
        await expect(caller.locator("[data-turns] li.said-caller").first).to_contain_text("hours", ignore_case=True)
        for fact in ("answer", "network", "buffer"):
            await expect(caller.locator(f"[data-try-{fact}]")).to_contain_text("ms", timeout=20_000)
        assert await caller.locator("#try-theirs").evaluate("meter => meter.value") is not None
        await watcher.get_by_role("button", name="Hang up").click()
        await watcher.get_by_role("button", name="End the call").click()
        await expect(caller.locator("[data-try-state]")).to_have_text("The other side hung up", timeout=20_000)
        await expect(caller.locator("[data-try-over] a")).to_have_attribute(
            "href", f"{scene.server.admin}/t/{scene.tenant_id}/calls/{session_id}"
        )
        await _is_kept(scene, session_id)


async def _is_kept(scene: Scene, session_id: UUID) -> None:
    async with asyncio.timeout(20):
        while True:
            async with scene.database.tenant(scene.tenant_id) as store:
                session = await sessions.find_session(store, session_id, actor=OPERATOR)
            assert session is not None
            if session.heard_samples is not None:
                break
            await asyncio.sleep(0.1)
    assert (session.trunk, session.end_reason) == ("browser", "operator_hung_up")
    async with scene.database.tenant(scene.tenant_id) as store:
        kinds = [event.kind for event in await conversation.consent_of(store, session_id)]
        assert kinds.index("disclosure_played") < kinds.index("gate_opened")
        recording = await recordings.open_recording(
            store, FolderBlobs(scene.server.home / "blobs"), session_id, reader=READS_ALL
        )
        assert recording is not None
        sound = await recording.read(0, recording.samples)
    assert len(set(sound[0::2])) > 50, "the caller's side of the recording is silent"
    assert len(set(sound[1::2])) > 50, "the agent's side of the recording is silent"
