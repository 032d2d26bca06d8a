"""What people do in Chromium, on a whole server with real calls. One test goes on where another ends."""

import json
import re
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import expect

from tests.admin.chromium import CHROMIUM, CODE, LINK, OWNER, confirm, new_page, ring, ringing, sign_in
from tests.admin.tour import CALLER, Visitor, visiting
from tests.scripts.conftest import until

pytestmark = [
    pytest.mark.long,
    pytest.mark.timeout(240),
    pytest.mark.skipif(not Path(CHROMIUM).exists(), reason="NOT TESTED: apt-get install chromium libatomic1"),
]
WORDING = "Welcome to Harbour Dental, where a purple computer that is an artificial intelligence answers."


@pytest.fixture(scope="module")
def house() -> Iterator[Visitor]:
    """One server and one browser for all of it, with two calls of before."""
    with visiting() as visitor:
        ring(visitor.server, "What are your opening hours?", "Goodbye.", caller=CALLER)
        ring(visitor.server, "Goodbye.", caller="+442079460777")
        yield visitor


def test_the_first_owner_sees_what_happens(house: Visitor) -> None:
    """Signed in by the printed link and with a second factor, the owner finds both calls, and what was said in one."""
    house.go("/calls")
    until(lambda: _rows(house) >= 2, 30)
    house.page.get_by_label("Caller's number").fill("020 7946 0123")
    house.page.get_by_role("button", name="Show").click()
    expect(house.page.locator("tbody tr")).to_have_count(1)
    house.page.locator("tbody a").first.click()
    expect(house.page.get_by_text(re.compile("opening hours|8 to 17", re.IGNORECASE)).first).to_be_visible()


def _rows(house: Visitor) -> int:
    house.page.reload()
    return house.page.locator("tbody tr").count()


def test_signing_in_by_code_and_by_link(house: Visitor) -> None:
    """A code that was mailed opens the browser that asked; the link opens it, too, and no other."""
    for way in ("code", "link"):
        after = len(house.mailbox.mails)
        page, other = new_page(house.browser), new_page(house.browser)
        page.goto(f"{house.server.admin}/sign-in?next=/account/confirm")
        page.get_by_label("Your mail address").fill(OWNER)
        page.get_by_role("button", name="Mail me a code").click()
        expect(page.get_by_role("heading", name="Look into your mail")).to_be_visible()
        if way == "code":
            code = house.mailbox.newest(CODE, after)
            page.get_by_label("Six-digit code").fill(code)
            page.get_by_role("button", name="Sign in").click()
        else:
            link = house.mailbox.newest(LINK, after)
            other.goto(link)
            expect(other.get_by_role("heading", name="This is another browser")).to_be_visible()
            page.goto(link)
            page.get_by_role("button", name="Sign in").click()
        page.goto(f"{house.server.admin}/account/security")
        expect(page.get_by_text(OWNER)).to_be_visible()
        page.context.close()
        other.context.close()


def test_a_device_that_is_signed_out_is_cut_off(house: Visitor) -> None:
    """From My security another browser is signed out, and its next click leads to the sign-in."""
    after = len(house.mailbox.mails)
    stolen = new_page(house.browser)
    stolen.goto(f"{house.server.admin}/sign-in")
    stolen.get_by_label("Your mail address").fill(OWNER)
    stolen.get_by_role("button", name="Mail me a code").click()
    link = house.mailbox.newest(LINK, after)
    stolen.goto(link)
    stolen.get_by_role("button", name="Sign in").click()
    stolen.goto(f"{house.server.admin}/account/security")
    expect(stolen.get_by_text(OWNER)).to_be_visible()
    house.page.goto(f"{house.server.admin}/account/security")
    house.page.get_by_role("button", name="Sign out everywhere else").click()
    if "confirm" in house.page.url:
        confirm(house.page, house.app)
        house.page.get_by_role("button", name="Sign out everywhere else").click()
    expect(house.page.get_by_role("heading", name="My security")).to_be_visible()
    stolen.reload()
    expect(stolen.get_by_role("heading", name="Sign in")).to_be_visible()
    stolen.context.close()


def test_a_wording_that_is_published_is_heard_in_the_next_call(house: Visitor) -> None:
    """The disclosure in one's own words, saved and published in the browser, opens the next call."""
    house.go("/scenarios")
    house.page.get_by_role("link", name="Front desk").first.click()
    house.page.get_by_label("First sentence, in your words").fill(WORDING)
    house.page.get_by_role("button", name="Save and publish").click()
    expect(house.page.get_by_text("Version 2 answers calls")).to_be_visible()
    shown = ring(house.server, "Goodbye.", caller=CALLER)
    assert "purple computer" in shown


def test_a_live_call_is_watched_and_hung_up(house: Visitor) -> None:
    """What is said appears while it is spoken; the button ends the call at the caller's ear."""
    house.go("/live")
    telephone = ringing(house.server, *["What are your opening hours?"] * 8)
    try:
        card = house.page.locator(".live-card")
        expect(card).to_have_count(1, timeout=60_000)
        expect(card.get_by_text(re.compile("opening hours|8 to 17", re.IGNORECASE)).first).to_be_visible(timeout=60_000)
        card.get_by_text("Hang up…").click()
        began = time.monotonic()
        card.get_by_role("button", name="End the call").click()
        assert telephone.wait(20) in {0, 1}
        assert time.monotonic() - began < 15
    finally:
        telephone.kill()
    told = telephone.communicate()[0]
    assert told


def test_a_caller_is_erased_and_there_is_a_receipt(house: Visitor, tmp_path: Path) -> None:
    """A request is taken down, everything erased after a typed word, and the receipt is proven by the command line."""
    house.go("/requests/new")
    house.page.get_by_label("Telephone number").fill("+44 20 7946 0123")
    house.page.get_by_label("What the caller wants").select_option("erasure")
    house.page.get_by_role("button", name="Take it down").click()
    if "confirm" in house.page.url:
        confirm(house.page, house.app)
    house.page.get_by_role("button", name=re.compile("Erase all calls")).click()
    house.page.get_by_label(re.compile("Type", re.IGNORECASE)).fill("erase")
    house.page.get_by_role("button", name="Erase for good").click()
    if "confirm" in house.page.url:
        confirm(house.page, house.app)
    expect(house.page.get_by_role("heading", name="Receipt")).to_be_visible(timeout=60_000)
    with house.page.expect_download() as download:
        house.page.get_by_text("Download the receipt").click()
    download.value.save_as(tmp_path / "receipt.json")
    receipt = json.loads((tmp_path / "receipt.json").read_text(encoding="utf-8"))
    assert receipt
    keys = [word for key in house.server.cli("audit", "key").stdout.split() for word in ("--key", key)]
    proven = house.server.cli("receipts", "verify", str(tmp_path / "receipt.json"), *keys)
    assert proven.returncode == 0, proven.stdout + proven.stderr
    house.go("/calls?caller=%2B442079460123")
    expect(house.page.locator("tbody tr")).to_have_count(0)


def test_the_log_is_exported_and_proven(house: Visitor, tmp_path: Path) -> None:
    """The file of the audit page is what `aitelier audit verify` takes, and it is sound."""
    house.go("/audit")
    with house.page.expect_download() as download:
        house.page.get_by_role("button", name="Export with proof").click()
    download.value.save_as(tmp_path / "audit.jsonl")
    keys = tmp_path / "keys.txt"
    with house.page.expect_download() as download:
        house.page.get_by_text("Download them").click()
    download.value.save_as(keys)
    proven = house.server.cli("audit", "verify", str(tmp_path / "audit.jsonl"), "--key", str(keys))
    assert proven.returncode == 0, proven.stdout + proven.stderr


def test_whoever_is_invited_comes_in_by_another_browser_and_takes_a_passkey(house: Visitor) -> None:
    """The mailed link asks for a sign-in with that address; accepted, it opens the tenant; a passkey is registered."""
    house.go("/people")
    after = len(house.mailbox.mails)
    house.page.get_by_label("Mail address").last.fill("paula@harbour.example")
    house.page.get_by_label("Role", exact=True).last.select_option("owner")
    house.page.get_by_role("button", name="Send the invitation").click()
    if "confirm" in house.page.url:
        confirm(house.page, house.app)
        house.page.get_by_label("Mail address").last.fill("paula@harbour.example")
        house.page.get_by_label("Role", exact=True).last.select_option("owner")
        house.page.get_by_role("button", name="Send the invitation").click()
    expect(house.page.get_by_text("The invitation is on its way")).to_be_visible()
    link = house.mailbox.newest(r"(http\S+/invitations/\S+)", after)
    # Browsers make no passkeys for an address in numbers.
    origin = house.server.admin.replace("127.0.0.1", "localhost")
    link = link.replace(house.server.admin, origin)
    page = new_page(house.browser)
    devices = page.context.new_cdp_session(page)
    devices.send("WebAuthn.enable")
    options = {"protocol": "ctap2", "transport": "internal", "hasResidentKey": True, "hasUserVerification": True}
    made = devices.send(
        "WebAuthn.addVirtualAuthenticator",
        {"options": {**options, "isUserVerified": True, "automaticPresenceSimulation": True}},
    )
    page.goto(link)
    expect(page.get_by_role("heading", name="Sign in")).to_be_visible()
    sign_in(house.server, page, house.mailbox, "paula@harbour.example", origin=origin)
    page.goto(link)
    page.get_by_role("button", name="Accept").click()
    expect(page.get_by_role("heading", name="My security")).to_be_visible()  # owners need a second factor first
    page.get_by_label("Name of the new passkey").fill("Paula's laptop")
    page.get_by_role("button", name="Add a passkey").click()
    page.get_by_text("I have kept them").click()
    page.goto(f"{origin}{house.home}/")
    expect(page.get_by_role("heading", name="Overview")).to_be_visible()
    assert devices.send("WebAuthn.getCredentials", {"authenticatorId": made["authenticatorId"]})["credentials"]
    page.goto(f"{origin}/account/confirm?next={house.home}/people")
    page.get_by_role("button", name="Use my passkey").click()
    expect(page.get_by_role("link", name="paula@harbour.example")).to_be_visible()
    page.context.close()


def test_days_begin_where_the_browser_is(house: Visitor) -> None:
    """The page says its zone, and from the next page on the server counts by it."""
    house.go("/")
    house.go("/")
    house.page.get_by_text("As a table").click()
    expect(house.page.get_by_role("columnheader", name="Day (Europe/Berlin)")).to_be_visible()
