"""A browser in front of a whole server, and what people do in it."""

import re
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from email import message_from_bytes, policy
from pathlib import Path
from typing import Any

import pyotp
from aiosmtpd.controller import Controller
from playwright.sync_api import Browser, Page, expect, sync_playwright

from scripts.ports import free_port
from tests.scripts.conftest import Server, until

CHROMIUM = "/usr/bin/chromium"
OWNER = "olga@harbour.example"
LINK = r"(http://[\w.]+:\d+/sign-in/link/[\w-]+)"
CODE = r"code: (\d{3} ?\d{3})"
ARGUMENTS = ["--no-sandbox", "--use-fake-device-for-media-stream", "--use-fake-ui-for-media-stream"]


@contextmanager
def chromium(*more: str) -> Iterator[Browser]:
    """Debian's browser, without a window."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=[*ARGUMENTS, *more])
        try:
            yield browser
        finally:
            browser.close()


@dataclass
class Authenticator:
    """An app that shows codes; none is given twice, as the server takes none twice."""

    secret: str
    used: set[str] = field(default_factory=set)

    def code(self) -> str:
        """The one of now, or the next one once this was used."""
        app = pyotp.TOTP(self.secret)
        while (code := app.now()) in self.used:
            time.sleep(0.5)
        self.used.add(code)
        return code


def new_page(browser: Browser, *, width: int = 1280, height: int = 900, dark: bool = False) -> Page:
    """A window of its own, with nobody signed in; a script that fails in it fails the test."""
    context = browser.new_context(
        viewport={"width": width, "height": height},
        color_scheme="dark" if dark else "light",
        permissions=["microphone"],
        timezone_id="Europe/Berlin",
        locale="en-GB",
    )
    page = context.new_page()
    page.set_default_timeout(15_000)
    return page


def first_owner(server: Server, page: Page) -> Authenticator:
    """Open the link that the server has printed, become the owner, and set up an authenticator app."""
    until(lambda: "Owner  " in server.text())
    found = re.search(r"Owner  (http\S+)", server.text())
    assert found is not None
    page.goto(found[1])
    page.get_by_label("Your mail address").fill(OWNER)
    page.get_by_role("button", name="Become the owner").click()
    return set_up_app(page)


def set_up_app(page: Page) -> Authenticator:
    """From the page that asks for a second factor to where one wanted to go."""
    page.get_by_role("button", name="Set up an app").click()
    page.get_by_text("Type it instead").click()
    app = Authenticator(page.locator("code").first.inner_text().replace(" ", ""))
    page.get_by_label("Code of the app").fill(app.code())
    page.get_by_role("button", name="Use this app").click()
    page.get_by_text("I have kept them").click()
    return app


class Mailbox:
    """A mail server that keeps what it is given."""

    def __init__(self) -> None:
        self.mails: list[str] = []
        self._controller = Controller(self, hostname="127.0.0.1", port=free_port())

    async def handle_DATA(self, _server: object, _session: object, envelope: Any) -> str:  # noqa: N802 - aiosmtpd's name
        """Take a mail."""
        mail = message_from_bytes(envelope.content, policy=policy.default)
        self.mails.append(mail.get_body().get_content())  # type: ignore[union-attr]  # ours have one
        return "250 OK"

    @property
    def url(self) -> str:
        """For AITELIER_SMTP_URL."""
        return f"smtp://127.0.0.1:{self._controller.port}"

    @contextmanager
    def open(self) -> Iterator["Mailbox"]:
        """Take mails for the length of a block."""
        self._controller.start()
        try:
            yield self
        finally:
            self._controller.stop()

    def newest(self, what: str, after: int) -> str:
        """What matches in the mails behind the first so many, once it has come."""
        found: list[str] = []

        def there() -> bool:
            found[:] = [match[1] for mail in self.mails[after:] for match in re.finditer(what, mail)]
            return bool(found)

        until(there, 30)
        return found[-1]


def sign_in(server: Server, page: Page, mailbox: Mailbox, address: str, *, origin: str = "") -> None:
    """Have a code mailed to the address, and type it."""
    after = len(mailbox.mails)
    page.goto(f"{origin or server.admin}/sign-in?next=/account/security")
    page.get_by_label("Your mail address").fill(address)
    page.get_by_role("button", name="Mail me a code").click()
    expect(page.get_by_role("heading", name="Look into your mail")).to_be_visible()
    page.get_by_label("Six-digit code").fill(mailbox.newest(CODE, after))
    page.get_by_role("button", name="Sign in").click()
    expect(page.get_by_text(address).first).to_be_visible()


def confirm(page: Page, app: Authenticator) -> None:
    """Show the second factor where it is asked for."""
    expect(page.get_by_role("heading", name="Confirm it is you")).to_be_visible()
    page.get_by_label(re.compile("Code of your authenticator app")).fill(app.code())
    page.get_by_role("button", name="Confirm").click()


def ring(server: Server, *said: str, caller: str = "+442079460123", keys: str = "1") -> str:
    """A real call by telephone to the demo, from its beginning to its end; what the telephone has shown."""
    telephone = ringing(server, *said, caller=caller, keys=keys)
    shown, _ = telephone.communicate(timeout=150)
    assert telephone.returncode == 0, shown
    return shown


def ringing(server: Server, *said: str, caller: str = "+442079460124", keys: str = "1") -> "subprocess.Popen[str]":
    """The same, while it goes on."""
    words = [word for sentence in said for word in ("--say", sentence)]
    command = [sys.executable, "-P", "-c", "from scripts.cli import main; main()", "call", sip_uri(server)]
    return subprocess.Popen(
        [*command, "--key", keys, "--caller", caller, *words],
        cwd=Path(__file__).resolve().parents[2],
        env=dict(server.environment),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def sip_uri(server: Server) -> str:
    """Where the demo is reached."""
    host, port = server.sip
    return f"sip:demo@{host}:{port}"
