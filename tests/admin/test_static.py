"""What browsers load besides pages, and what of it others have written."""

import hashlib
import re
from pathlib import Path

import pytest

from admin.assets import FOLDER, asset_url
from admin.pages import navigation
from admin.pages.render import content_security_policy
from admin.routes import ROUTES
from tests.admin.world import World

pytestmark = pytest.mark.asyncio(loop_scope="module")
VENDORED = FOLDER / "vendor"
TEMPLATES = Path(__file__).parents[2] / "admin/templates"


async def test_a_file_is_kept_for_a_year_under_a_name_made_from_its_content(world: World) -> None:
    """Anyone gets it, zipped where the browser takes that; under another hash there is nothing."""
    url = asset_url("app.css")
    async with world.client.get(url, headers={"Accept-Encoding": "gzip"}) as answer:
        text = await answer.text()
        assert answer.status == 200
        assert answer.headers["Cache-Control"] == "public, max-age=31536000, immutable"
        assert answer.headers["Content-Encoding"] == "gzip"
        assert answer.headers["X-Content-Type-Options"] == "nosniff"
        assert answer.content_type == "text/css"
    digest = hashlib.sha256(text.encode()).hexdigest()
    assert url == f"/static/app.{digest[:12]}.css"
    async with world.client.get(url, headers={"Accept-Encoding": "identity"}) as answer:
        assert "Content-Encoding" not in answer.headers
        assert await answer.text() == text
    async with world.client.get("/static/app.000000000000.css") as answer:
        assert answer.status == 404


@pytest.mark.parametrize("name", ["..%2fapp.py", "%2e%2e%2f%2e%2e%2fpyproject.toml", "VERSIONS", "app.css"])
async def test_nothing_but_the_listed_files_is_served(world: World, name: str) -> None:
    """No path leads out of the folder, and no name without its hash into it."""
    async with world.client.get(f"/static/{name}") as answer:
        assert answer.status == 404


async def test_vendored_files_are_what_the_list_says() -> None:
    """Each file that others wrote is listed with package, version, licence and SHA-256, and lies beside its licence."""
    listed = {}
    for line in (VENDORED / "VERSIONS").read_text().splitlines():
        if not line.startswith("#"):
            package, version, licence, path, digest = line.split(" ")
            listed[path] = digest
            assert package
            assert re.fullmatch(r"\d+\.\d+\.\d+", version)
            assert licence in {"0BSD", "MIT", "BSD-3-Clause"}
            assert (VENDORED / path).parent.joinpath("LICENSE").is_file()
    found = {
        path.relative_to(VENDORED).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in VENDORED.rglob("*")
        if path.suffix in {".js", ".css"}
    }
    assert found == listed


async def test_no_file_lies_there_that_no_page_loads() -> None:
    """Each is named by a template, or is part of the one style sheet."""
    built_in = {"vendor/pico/pico.min.css", "vendor/uplot/uPlot.min.css"}
    named = {name for path in TEMPLATES.rglob("*.html") for name in re.findall(r'asset\("([^"]+)"\)', path.read_text())}
    there = {
        path.relative_to(FOLDER).as_posix() for path in FOLDER.rglob("*") if path.suffix in {".css", ".js", ".svg"}
    }
    assert there == named | built_in


async def test_no_template_holds_a_style_or_a_script_of_its_own() -> None:
    """The policy would refuse them in the browser, silently for whoever looks at the page."""
    for path in TEMPLATES.rglob("*.html"):
        text = re.sub(r"\{[%#].*?[%#]\}", "", path.read_text(), flags=re.DOTALL)
        assert not re.search(r"\sstyle=\"|<style|javascript:|\son[a-z]+=\"", text), path.name
        for script in re.findall(r"<script[^>]*>", text):
            assert 'nonce="{{ nonce }}"' in script, (path.name, script)


async def test_a_page_carries_a_policy_with_the_nonce_of_its_own_scripts(world: World) -> None:
    """Two loads have two nonces, and each script of a page has that page's."""
    seen = set()
    for _ in range(2):
        async with world.client.get(f"{world.tenant}/calls", headers=world.browser("vera")) as answer:
            text = await answer.text()
            (nonce,) = set(re.findall(r'<script nonce="([^"]+)"', text))
            assert answer.headers["Content-Security-Policy"] == content_security_policy(nonce)
            seen.add(nonce)
    assert len(seen) == 2


async def test_the_menu_leads_to_pages_that_are_there() -> None:
    """Each section is a route; what is not one would be left out without anybody noticing."""
    paths = {route.path for route in ROUTES if route.method == "GET"}
    assert {section.path for section in navigation.MENU} <= paths


async def test_the_menu_shows_what_somebody_may_open(world: World) -> None:
    """A viewer of one receptionist is shown no keys; an owner is."""
    async with world.client.get(f"{world.tenant}/calls", headers=world.browser("vera")) as answer:
        viewer = await answer.text()
    async with world.client.get(f"{world.tenant}/calls", headers=world.browser("olga")) as answer:
        owner = await answer.text()
    link = f'href="{world.tenant}/keys"'
    assert link in owner
    assert link not in viewer
    assert 'aria-current="page"' in viewer


@pytest.mark.parametrize(
    "path", ["/account/security", "/invitations/{tenant_id}/over", "{tenant}/calls", "{tenant}/calls/over"]
)
async def test_every_page_of_who_is_signed_in_has_the_way_out(world: World, path: str) -> None:
    """With a tenant's menu and without, also where something is wrong: in the frame, before what the page is about."""
    place = path.format(tenant=world.tenant, tenant_id=world.bakery.tenant_id)
    headers = world.browser("olga") | {"Accept": "text/html"}
    async with world.client.get(place, headers=headers) as answer:
        frame, _, _ = (await answer.text()).partition('<main id="main"')
    assert 'action="/sign-out"' in frame
