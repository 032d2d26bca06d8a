"""Pictures of every page, of a server that is new and of one that has had calls, wide and narrow, light and dark.

Run by `scripts/screenshots FOLDER`. The server, its calls and what is in it are real.
"""

import re
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from playwright.sync_api import Browser, Page

from tests.admin.chromium import chromium, first_owner, new_page, pages_of, ring, ringing
from tests.scripts.conftest import Server, served

SIZES = {"wide": (1280, 900), "narrow": (360, 740)}


def main(folder: Path) -> None:
    """Take them all."""
    with served({}, "--drain-seconds", "2") as server, chromium() as browser:
        page = new_page(browser)
        first_owner(server, page)
        page.wait_for_url(re.compile(r"/t/[0-9a-f-]+/$"))
        home = page.url.removeprefix(server.admin).rstrip("/")
        take_open(server, browser, folder / "open")
        take(server, page, home, folder / "empty")
        fill(server, page, home)
        with live_call(server):
            take(server, page, home, folder / "data")


def take(server: Server, page: Page, home: str, folder: Path) -> None:
    """Every page that can be reached from the menu."""
    folder.mkdir(parents=True, exist_ok=True)
    for kind, path in pages_of(page, server.admin, home).items():
        name = (kind.removeprefix(home).strip("/") or "overview").replace("/", "-").replace("*", "one")
        for size, (width, height) in SIZES.items():
            for scheme in ("light", "dark") if size == "wide" else ("light",):
                page.set_viewport_size({"width": width, "height": height})
                page.emulate_media(color_scheme="dark" if scheme == "dark" else "light")
                shoot(page, f"{server.admin}{path}", folder / f"{name}.{size}.{scheme}.png")
    page.set_viewport_size({"width": 1280, "height": 900})
    page.emulate_media(color_scheme="light")


def take_open(server: Server, browser: Browser, folder: Path) -> None:
    """What somebody sees who is not signed in."""
    folder.mkdir(parents=True, exist_ok=True)
    for size, (width, height) in SIZES.items():
        page = new_page(browser, width=width, height=height)
        for path in ("/sign-in", "/sign-in/link/over", "/nowhere"):
            name = path.strip("/").replace("/", "-")
            shoot(page, f"{server.admin}{path}", folder / f"{name}.{size}.png")
        page.context.close()


def shoot(page: Page, url: str, target: Path) -> None:
    """One picture of the whole page, once it has come to rest."""
    page.goto(url)
    page.wait_for_timeout(350)
    page.screenshot(path=target, full_page=True, animations="disabled")
    sys.stdout.write(f"{target}\n")


def fill(server: Server, page: Page, home: str) -> None:
    """Calls, and one of everything that a list can hold."""
    for caller, said in (
        ("+442079460123", ("What are your opening hours?", "Goodbye.")),
        ("+442079460777", ("I want to book an appointment.", "On Monday.", "Goodbye.")),
        ("+4930901820", ("Can I leave a message?", "Please call me back.", "Goodbye.")),
    ):
        ring(server, *said, caller=caller)
    ring(server, "Goodbye.", caller="+442079460555", keys="2")
    submit(page, f"{server.admin}{home}/keys/new", "Nightly export")
    submit(page, f"{server.admin}{home}/trunks/new", "Carrier in Berlin")
    page.goto(f"{server.admin}{home}/requests/new")
    page.get_by_label("Telephone number").fill("+44 20 7946 0123")
    page.get_by_role("button", name="Take it down").click()
    page.goto(f"{server.admin}{home}/scenarios")
    page.get_by_role("link", name="Front desk").first.click()
    page.get_by_label("First words after the disclosure").fill("Greet the caller, and ask what they need.")
    page.get_by_role("button", name="Save the draft").click()


def submit(page: Page, url: str, name: str) -> None:
    """A form with a name and whatever else it needs, as far as this can be guessed; what fails is seen in a picture."""
    page.goto(url)
    page.locator("main input[type=text], main input:not([type])").first.fill(name)
    for label, value in (("Networks", "192.0.2.0/24"), ("Addresses", "192.0.2.0/24")):
        found = page.get_by_label(re.compile(label, re.IGNORECASE))
        if found.count():
            found.first.fill(value)
    boxes = page.locator("main input[type=checkbox]:not(:checked)")
    if boxes.count():
        boxes.first.check()
    page.locator("main form button").last.click()


@contextmanager
def live_call(server: Server) -> Iterator[None]:
    """A call that is up meanwhile."""
    telephone = ringing(server, *["What are your opening hours?"] * 30)
    try:
        time.sleep(6)
        yield
    finally:
        telephone.kill()
        telephone.wait()


if __name__ == "__main__":
    main(Path(sys.argv[1]))
