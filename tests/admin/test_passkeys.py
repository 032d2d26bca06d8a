"""Passkeys: what is accepted, what is refused, and the whole of it in a real browser."""

import json
import socket
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import urlsplit
from uuid import UUID

import pytest
from aiohttp import ClientResponse
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from playwright.async_api import async_playwright, expect

from admin.auth import passkeys as ceremony
from admin.auth.passkeys import PasskeyRefusedError, RelyingParty, read_new, read_shown, relying_party
from policies.audit_tags import Tag
from store import postgres
from store.audit.log import entries
from store.house import open_house
from store.people.passkeys import MOST, NewPasskey, Passkey, passkeys_of
from store.settings import StoreSettings
from tests.admin.authenticator import HONEST, Authenticator, Lies, encoded
from tests.admin.people import SignedInPerson
from tests.admin.world import World, open_world
from tests.database import MASTER_KEY, address
from tests.leases import fresh_database

pytestmark = pytest.mark.asyncio(loop_scope="module")

CHROMIUM = "/usr/bin/chromium"
HOST = "localhost:8080"
ORIGIN = f"http://{HOST}"
"""The world's server is told to be at 127.0.0.1:8080, where browsers take passkeys under this name."""


@dataclass(frozen=True)
class Vector:
    """One ceremony of the specification's own test vectors: W3C Web Authentication level 3, section 16."""

    made_challenge: str
    made_client_data: str
    attestation: str
    id: str
    shown_challenge: str
    shown_client_data: str
    authenticator_data: str
    signature: str

    def made(self) -> str:
        """As our script would send the registration."""
        return self._answer(
            clientDataJSON=_url(self.made_client_data), attestationObject=_url(self.attestation), transports=[]
        )

    def shown(self) -> str:
        """As our script would send the assertion."""
        return self._answer(
            clientDataJSON=_url(self.shown_client_data),
            authenticatorData=_url(self.authenticator_data),
            signature=_url(self.signature),
        )

    def _answer(self, **response: object) -> str:
        return json.dumps({"id": _url(self.id), "rawId": _url(self.id), "type": "public-key", "response": response})


def _url(text: str) -> str:
    return encoded(bytes.fromhex(text))


CROSS_ORIGIN = Vector(
    made_challenge="3be5aacd03537142472340ab5969f240f1d87716e20b6807ac230655fa4b3b49",
    made_client_data=(
        "7b2274797065223a22776562617574686e2e637265617465222c226368616c6c656e6765223a224f2d57717a514e5463554a48493043725757"
        "6e7951504859647862694332674872434d475666704c4f306b222c226f726967696e223a2268747470733a2f2f6578616d706c652e6f726722"
        "2c2263726f73734f726967696e223a747275652c22657874726144617461223a22636c69656e74446174614a534f4e206d617920626520657874"
        "656e6465642077697468206164646974696f6e616c206669656c647320696e20746865206675747572652c207375636820617320746869733a20"
        "7a5a7175457444523944577170573574425754467567227d"
    ),
    attestation=(
        "a363666d74646e6f6e656761747453746d74a068617574684461746158a4bfabc37432958b063360d3ad6461c9c4735ae7f8edd46592a5e0f0"
        "1452b2e4b54500000000883f4f6014f19c09d87aa38123be48d000206e1050c0d2ca2f07c755cb2c66a74c64fa43065c18f938354d9915db2b"
        "d5ce57a501020326200121582022200a473f90b11078851550d03b4e44a2279f8c4eca27b3153dedfe03e4e97d225820cbd0be95e746ad6f5a"
        "8191be11756e4c0420e72f65b466d39bc56b8b123a9c6e"
    ),
    id="6e1050c0d2ca2f07c755cb2c66a74c64fa43065c18f938354d9915db2bd5ce57",
    shown_challenge="876aa517ba83fdee65fcffdbca4c84eeae5d54f8041a1fc85c991e5bbb273137",
    shown_client_data=(
        "7b2274797065223a22776562617574686e2e676574222c226368616c6c656e6765223a226832716c463771445f65356c5f505f62796b794537"
        "7135645650674547685f49584a6b655737736e4d5463222c226f726967696e223a2268747470733a2f2f6578616d706c652e6f7267222c2263"
        "726f73734f726967696e223a747275652c22657874726144617461223a22636c69656e74446174614a534f4e206d617920626520657874656e"
        "6465642077697468206164646974696f6e616c206669656c647320696e20746865206675747572652c207375636820617320746869733a2039"
        "327063545644304162792d713464746d6a36656667227d"
    ),
    authenticator_data="bfabc37432958b063360d3ad6461c9c4735ae7f8edd46592a5e0f01452b2e4b50500000000",
    signature=(
        "3046022100eb12fcf23b12764c0f122e22371fab92e283879fd798f38ee1841c951b6e40e7022100c76237ff9db77b3c56f30837cda6a09acf"
        "a2e915544e609c0733b1184036d1cf"
    ),
)
"""Section 16.4: made and used in a frame of another site's page."""
SPECIFIED = RelyingParty("example.org", "https://example.org")


def kept(new: NewPasskey) -> Passkey:
    """As it comes from the store."""
    return Passkey(
        relying_party=new.relying_party, credential_id=new.credential_id, public_key=new.public_key,
        sign_count=new.sign_count, transports=new.transports, backed_up=new.backed_up, label=new.label,
        id=UUID(int=1), added_at=datetime.now(UTC), used_at=None,
    )  # fmt: skip  # every field


async def test_the_specifications_vector_is_refused_for_its_frame_only(monkeypatch: pytest.MonkeyPatch) -> None:
    """A ceremony in another site's frame is refused; looked at without that rule, the same bytes are genuine."""
    vector = CROSS_ORIGIN
    made, shown = bytes.fromhex(vector.made_challenge), bytes.fromhex(vector.shown_challenge)
    with pytest.raises(PasskeyRefusedError, match="within another site"):
        read_new(SPECIFIED, vector.made(), made, "key")
    with monkeypatch.context() as without:
        without.setattr(ceremony, "_refuse_frames", lambda _: None)
        new = read_new(SPECIFIED, vector.made(), made, "key")
        assert read_shown(SPECIFIED, vector.shown(), shown, [kept(new)])[1] == 0
        with pytest.raises(PasskeyRefusedError):
            read_shown(SPECIFIED, vector.shown(), made, [kept(new)])
    with pytest.raises(PasskeyRefusedError, match="within another site"):
        read_shown(SPECIFIED, vector.shown(), shown, [kept(new)])


LIES: Mapping[str, Lies] = {
    "another challenge": Lies(challenge=b"\0" * 32),
    "another origin": Lies(origin="http://localhost:8081"),
    "an origin that only begins alike": Lies(origin=f"{ORIGIN}.evil.example"),
    "another relying party": Lies(party="evil.example"),
    "another ceremony": Lies(kind="payment.get"),
    "within a frame": Lies(more={"crossOrigin": True}),
    "within a frame, oddly said": Lies(more={"crossOrigin": "false"}),
    "within a frame of a named page": Lies(more={"topOrigin": "https://evil.example"}),
    "user not verified": Lies(verified=False),
}
UNCOUNTED = Lies(count=0)
SIGNING_LIES: Mapping[str, Lies] = {
    **LIES,
    "another signature": Lies(signature=b"\x30\x06\x02\x01\x01\x02\x01\x01"),
    "nobody's key": Lies(id=b"x" * 32),
    "a count that stands still": UNCOUNTED,
}


class Owner:
    """Somebody with a browser and an authenticator."""

    def __init__(self, world: World, person: SignedInPerson) -> None:
        self._name = str(person.device_id)
        world.people = {**world.people, self._name: person}
        self.person = person
        self.world = world
        self.key = Authenticator(ORIGIN)

    async def post(self, path: str, **fields: str) -> ClientResponse:
        headers = {**self.world.browser(self._name), "Host": HOST}
        return await self.world.client.post(path, data=fields, headers=headers, allow_redirects=False)

    async def options(self, to: str) -> str:
        path = "/account/security/passkeys/options" if to == "add" else "/account/confirm/passkey/options"
        answer = await self.post(path)
        assert answer.status == 200, await answer.text()
        return await answer.text()

    async def add(self, lies: Lies = HONEST, label: str = "Blue key") -> int:
        answer = self.key.create(await self.options("add"), lies)
        return (await self.post("/account/security/passkeys", answer=answer, label=label)).status

    async def confirm(self, lies: Lies = HONEST) -> int:
        answer = self.key.get(await self.options("confirm"), lies)
        return (await self.post("/account/confirm/passkey", answer=answer)).status


async def owner(world: World, name: str, *, with_key: bool = True) -> Owner:
    made = Owner(world, await world.sign_in(f"{name}@passkeys.example"))
    if with_key:
        assert await made.add() == 200  # with recovery codes, as the first factor
    return made


async def test_a_key_is_added_and_confirms(world: World) -> None:
    """Added once it is the person's own, with what it is called; it confirms as often as it signs anew."""
    one = await owner(world, "anna")
    assert await one.confirm() == 303
    assert await one.confirm() == 303
    async with open_house(world.services.database) as house:
        (passkey,) = await passkeys_of(house, one.person.user_id)
        acts = await entries(house, tag=Tag.SECOND_FACTOR_SHOWN, actor_id=str(one.person.user_id), limit=9)
    assert (passkey.label, passkey.sign_count, passkey.relying_party) == ("Blue key", 2, "localhost")
    assert passkey.transports == ("usb",)
    assert [act.facts["factor"] for act in acts] == ["passkey"] * 3


@pytest.mark.parametrize("lie", LIES)
async def test_no_lie_adds_a_key(world: World, lie: str) -> None:
    """Each thing that the ceremony promises is looked at when a key is added."""
    one = await owner(world, f"adds{list(LIES).index(lie)}", with_key=False)
    assert await one.add(LIES[lie]) == 422
    async with open_house(world.services.database) as house:
        assert await passkeys_of(house, one.person.user_id) == ()
    assert await one.add() == 200


@pytest.mark.parametrize("lie", SIGNING_LIES)
async def test_no_lie_confirms(world: World, lie: str) -> None:
    """Each thing that the ceremony promises is looked at when a key signs; the honest answer after it is accepted."""
    one = await owner(world, f"signs{list(SIGNING_LIES).index(lie)}")
    assert await one.confirm() == 303
    assert await one.confirm(SIGNING_LIES[lie]) == 422
    assert await one.confirm() == 303


async def test_an_answer_counts_once_and_for_its_purpose(world: World) -> None:
    """What was signed is worth nothing a second time, after five minutes, on another device, or for something else.

    The authenticator is one that does not count, so that no count gives the second answer away.
    """
    one = await owner(world, "replayed")
    options = await one.options("confirm")
    answer = one.key.get(options, UNCOUNTED)
    assert (await one.post("/account/confirm/passkey", answer=answer)).status == 303
    assert (await one.post("/account/confirm/passkey", answer=answer)).status == 422
    late = one.key.get(await one.options("confirm"), UNCOUNTED)
    world.clock.ahead_s = 5 * 60 + 1
    try:
        assert (await one.post("/account/confirm/passkey", answer=late)).status == 422
    finally:
        world.clock.ahead_s = 0.0
    to_add = json.loads(await one.options("add"))["challenge"]
    crossed = one.key.get(json.dumps({"challenge": to_add, "rpId": "localhost"}), UNCOUNTED)
    assert (await one.post("/account/confirm/passkey", answer=crossed)).status == 422
    elsewhere = Owner(world, await world.sign_in(one.person.email))
    mine = one.key.get(await one.options("confirm"), UNCOUNTED)
    assert (await elsewhere.post("/account/confirm/passkey", answer=mine)).status == 422


async def test_a_key_is_its_owners(world: World) -> None:
    """Somebody else's key neither confirms nor can be added a second time, and only its owner removes it."""
    one, other = await owner(world, "owner"), await owner(world, "other")
    stolen = one.key.get(await other.options("confirm"))
    assert (await other.post("/account/confirm/passkey", answer=stolen)).status == 422
    again = one.key.create(await other.options("add"))
    assert (await other.post("/account/security/passkeys", answer=again, label="Mine now")).status == 422
    async with open_house(world.services.database) as house:
        (passkey,) = await passkeys_of(house, one.person.user_id)
    assert (await other.post(f"/account/security/passkeys/{passkey.id}/remove")).status == 404
    assert (await one.post(f"/account/security/passkeys/{passkey.id}/remove")).status == 303


async def test_an_account_has_ten_at_most(world: World) -> None:
    """The eleventh is refused before the browser is asked."""
    one = await owner(world, "collector")
    for _ in range(MOST - 1):
        one.key = Authenticator(ORIGIN)
        assert await one.add() == 303
    assert (await one.post("/account/security/passkeys/options")).status == 409


@pytest.mark.parametrize(
    ("base_url", "host", "party"),
    [
        ("https://calls.example", "calls.example", RelyingParty("calls.example", "https://calls.example")),
        ("https://calls.example", "localhost:443", RelyingParty("calls.example", "https://calls.example")),
        ("https://calls.example:8443", "evil.example", RelyingParty("calls.example", "https://calls.example:8443")),
        ("http://127.0.0.1:8080", "localhost:8080", RelyingParty("localhost", "http://localhost:8080")),
        ("http://127.0.0.1:8080", "localhost:9", RelyingParty("127.0.0.1", "http://127.0.0.1:8080")),
        ("http://[::1]:8080", "[::1]:8080", RelyingParty("::1", "http://[::1]:8080")),
    ],
)
async def test_who_takes_passkeys(base_url: str, host: str, party: RelyingParty) -> None:
    """The one address that the server is reached under, whatever a request says; not one in numbers."""
    found = relying_party(base_url, host)
    assert found == party
    assert found.takes_passkeys is not (urlsplit(base_url).scheme == "http" and party.id != "localhost")


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(
    answer=st.one_of(
        st.text(max_size=200),
        st.recursive(
            st.none() | st.booleans() | st.integers() | st.text(max_size=20),
            lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=10), inner, max_size=4),
            max_leaves=10,
        ).map(json.dumps),
        st.builds(
            lambda client, rest: json.dumps({
                "id": "AA", "rawId": "AA", "type": "public-key",
                "response": {"clientDataJSON": encoded(client), "attestationObject": encoded(rest),
                             "authenticatorData": encoded(rest), "signature": encoded(rest)},
            }),
            st.binary(max_size=60) | st.just(b'{"type":"webauthn.create","challenge":"AA","origin":"https://example.org"}'),
            st.binary(max_size=120),
        ),
    )
)  # fmt: skip  # three kinds of nonsense
async def test_nonsense_is_refused_in_words(answer: str) -> None:
    """Whatever a browser sends, the only error is that it is refused."""
    with pytest.raises(PasskeyRefusedError):
        read_new(SPECIFIED, answer, b"\0", "key")
    with pytest.raises(PasskeyRefusedError):
        read_shown(SPECIFIED, answer, b"\0", [])


async def test_in_a_browser(database_home: Path, tmp_path: Path) -> None:
    """Chromium with a security key: an owner adds it, is asked for it a quarter of an hour later, and gets on."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with fresh_database(database_home) as name:
        settings = StoreSettings(address(database_home, postgres.OWNER, name), tmp_path, MASTER_KEY, pool_size=4)
        async with open_world(settings, tmp_path, port=port, base_url=f"http://127.0.0.1:{port}") as world:
            await _in_a_browser(world, f"http://localhost:{port}")


async def _in_a_browser(world: World, url: str) -> None:
    olga = await world.sign_in("olga@bakery.example")
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        page = await browser.new_page()
        await page.context.add_cookies(
            [{"name": name, "value": value, "url": url} for name, value in olga.cookies.items()]
        )
        devtools = await page.context.new_cdp_session(page)
        await devtools.send("WebAuthn.enable")
        key = {"protocol": "ctap2", "transport": "usb", "hasUserVerification": True, "isUserVerified": True}
        await devtools.send("WebAuthn.addVirtualAuthenticator", {"options": key})
        wanted = f"{world.tenant}/live"
        await page.goto(url + wanted)
        await page.get_by_label("Name of the new passkey").fill("Blue key")
        await page.get_by_role("button", name="Add a passkey").click()
        await expect(page.get_by_role("heading", name="Your recovery codes")).to_be_visible()
        await page.get_by_role("button", name="I have kept them").click()
        await page.wait_for_url(url + wanted)
        world.clock.ahead_s = 16 * 60
        await page.goto(f"{url}/account/security")
        await page.get_by_role("button", name="Make ten new codes").click()
        await expect(page.get_by_role("heading", name="Confirm it is you")).to_be_visible()
        await page.get_by_role("button", name="Use my passkey").click()
        await page.wait_for_url(f"{url}/account/security")
        await page.get_by_role("button", name="Make ten new codes").click()
        await expect(page.get_by_role("heading", name="Your recovery codes")).to_be_visible()
        await browser.close()
