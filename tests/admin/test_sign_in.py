"""Signing in, staying signed in and being thrown out, over HTTP."""

import asyncio
import re
import ssl
from collections.abc import Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from http.cookies import SimpleCookie

import pytest
import trustme
from aiohttp import ClientResponse, ClientSession, DummyCookieJar, TCPConnector
from aiohttp.test_utils import TestServer
from sqlmodel import col, delete, select, update

from admin.app import make_app
from admin.auth.browsers import label_of
from admin.auth.identify import now_of
from admin.auth.sign_in import ANSWERS, MAILS
from admin.rates import RATES
from policies.audit_tags import OPERATOR
from policies.problems import Problem
from store.house import open_house
from store.outbox import Mail, find_mail
from store.people import accounts, devices
from store.people.first_owner import first_owner_link
from store.people.memberships import grant_role, grants_of
from store.tables.people import MembershipTable
from store.tables.registers import MailTable
from store.tables.setup import ProjectTable
from tests.admin.world import World

pytestmark = pytest.mark.asyncio(loop_scope="module")
_HTML = "text/html"


@dataclass
class Browser:
    """Keeps cookies as a browser does, and says what one says."""

    world: World
    cookies: dict[str, str] = field(default_factory=dict)

    async def get(self, path: str, **headers: str) -> ClientResponse:
        """Look at a page."""
        return await self._ask("GET", path, None, headers)

    async def post(self, path: str, form: Mapping[str, str] | None = None, **headers: str) -> ClientResponse:
        """Send a form of ours."""
        return await self._ask("POST", path, form or {}, {"Sec-Fetch-Site": "same-origin", **headers})

    async def _ask(
        self, method: str, path: str, form: Mapping[str, str] | None, headers: Mapping[str, str]
    ) -> ClientResponse:
        cookies = "; ".join(f"{name}={value}" for name, value in self.cookies.items())
        sent = {"Accept": _HTML, "User-Agent": _FIREFOX, **headers, **({"Cookie": cookies} if cookies else {})}
        answer = await self.world.client.request(method, path, data=form, headers=sent, allow_redirects=False)
        await answer.read()
        self.take(answer)
        return answer

    def take(self, answer: ClientResponse) -> None:
        """Keep the answer's cookies."""
        for line in answer.headers.getall("Set-Cookie", []):
            for name, morsel in SimpleCookie(line).items():
                if morsel["max-age"] == "0" or not morsel.value:
                    self.cookies.pop(name, None)
                else:
                    self.cookies[name] = morsel.value

    async def ask_for_mail(self, email: str, onwards: str = "") -> tuple[str, str]:
        """Code and link of the mail."""
        answer = await self.post("/sign-in", {"email": email, "next": onwards})
        assert answer.status == HTTPStatus.SEE_OTHER
        mail = await newest_mail(self.world)
        code, link = re.search(r"(\d{3} \d{3})", mail.body), re.search(r"(/sign-in/link/\S+)", mail.body)
        assert mail.to == email
        assert code
        assert link
        return code[1], link[1]

    async def sign_in(self, email: str) -> None:
        """By the code."""
        code, _ = await self.ask_for_mail(email)
        assert (await self.post("/sign-in/code", {"code": code})).status == HTTPStatus.SEE_OTHER

    async def is_in(self) -> bool:
        """Whether the server knows who this is."""
        answer = await self.get("/")
        return not answer.headers.get("Location", "").startswith("/sign-in")


_FIREFOX = "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"


async def newest_mail(world: World) -> Mail:
    async with open_house(world.services.database) as house:
        newest = await house.first(select(MailTable.id).order_by(col(MailTable.id).desc()))
        found = None if newest is None else await find_mail(house, newest)
    assert found is not None
    return found


async def _no_problems() -> list[Problem]:
    return []


@pytest.fixture(autouse=True)
def fresh(world: World) -> None:
    """No test is kept back by what others have asked for, nor by their clock."""
    app = world.client.app
    assert app is not None
    app[RATES]._windows.clear()
    world.clock.ahead_s = 0.0


async def test_by_code(world: World) -> None:
    """An address, a mail, the code in any spelling: the browser is in, with cookies that no script can read."""
    browser = Browser(world)
    assert (await browser.get(f"{world.tenant}/")).headers["Location"] == f"/sign-in?next={world.tenant}/"
    assert (await browser.get("/sign-in")).status == HTTPStatus.OK
    code, _ = await browser.ask_for_mail("olga@bakery.example", f"{world.tenant}/calls")
    page = await browser.get("/sign-in/code")
    assert "olga@bakery.example" in await page.text()
    wrong = await browser.post("/sign-in/code", {"code": "12"})
    assert wrong.status == HTTPStatus.UNPROCESSABLE_ENTITY
    assert "This is not the code" in await wrong.text()
    answer = await browser.post("/sign-in/code", {"code": f" {code} ", "next": f"{world.tenant}/calls"})
    assert answer.headers["Location"] == f"{world.tenant}/calls"
    for line in answer.headers.getall("Set-Cookie"):
        assert "HttpOnly" in line
        assert "SameSite=Lax" in line
        assert "Path=/" in line
    assert (await browser.get("/")).headers["Location"] == f"{world.tenant}/"
    assert (await browser.get("/sign-in")).headers["Location"] == "/"
    again = await browser.post("/sign-in/code", {"code": code})
    assert again.headers["Location"].startswith("/sign-in")


async def test_over_tls_cookies_belong_to_this_host_alone(world: World) -> None:
    """Each is Secure and named `__Host-`, so no other host and no plain connection can set or read it."""
    authority, context = trustme.CA(), ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    trusting = ssl.create_default_context()
    authority.configure_trust(trusting)
    app = make_app(_no_problems, {}, world.services)
    server = TestServer(app, scheme="https")
    await server.start_server(ssl=context)
    try:
        async with ClientSession(connector=TCPConnector(ssl=trusting), cookie_jar=DummyCookieJar()) as session:
            asked = await session.post(
                server.make_url("/sign-in"), data={"email": "tls@bakery.example"}, allow_redirects=False
            )
            (browser,) = asked.headers.getall("Set-Cookie")
            code = re.search(r"(\d{3} \d{3})", (await newest_mail(world)).body)
            assert code
            answer = await session.post(
                server.make_url("/sign-in/code"),
                data={"code": code[1]},
                headers={"Cookie": browser.partition(";")[0]},
                allow_redirects=False,
            )
            lines = [browser, *answer.headers.getall("Set-Cookie")]
    finally:
        await server.close()
    assert [line.partition("=")[0] for line in lines] == [
        f"__Host-aitelier_{name}" for name in ("browser", "access", "refresh")
    ]
    for line in lines:
        assert {"Secure", "HttpOnly", "Path=/", "SameSite=Lax"} <= set(line.split("; "))
        assert "Domain" not in line


async def test_by_link(world: World) -> None:
    """Programs that look at links use none up; the button does; and a link is good once."""
    browser, scanner = Browser(world), Browser(world)
    _, link = await browser.ask_for_mail("olga@bakery.example")
    for method in ("GET", "HEAD", "GET"):
        assert (await scanner._ask(method, link, None, {})).status == HTTPStatus.OK
    page = await browser.get(link)
    assert "You asked for this link in this browser" in await page.text()
    assert (await browser.post(link)).headers["Location"] == "/"
    assert await browser.is_in()
    late = Browser(world, {"aitelier_browser": browser.cookies["aitelier_browser"]})
    assert "no longer good" in await (await late.post(link)).text()
    assert not await late.is_in()


async def test_a_link_opened_elsewhere_signs_nobody_in(world: World) -> None:
    """Neither looking nor pressing does; the page says where the code goes; and the one who asked still can."""
    asking, elsewhere = Browser(world), Browser(world)
    _, link = await asking.ask_for_mail("olga@bakery.example")
    await elsewhere.ask_for_mail("anna@elsewhere.example")
    for answer in (await elsewhere.get(link), await elsewhere.post(link)):
        assert "This is another browser" in await answer.text()
    assert not await elsewhere.is_in()
    assert (await asking.post(link)).status == HTTPStatus.SEE_OTHER
    assert await asking.is_in()


async def test_a_code_is_good_in_its_browser_only(world: World) -> None:
    """Who reads it off somebody's screen, or has them say it, has nothing."""
    asking, thief = Browser(world), Browser(world)
    code, _ = await asking.ask_for_mail("olga@bakery.example")
    await thief.ask_for_mail("thief@elsewhere.example")
    assert (await thief.post("/sign-in/code", {"code": code})).status == HTTPStatus.UNPROCESSABLE_ENTITY
    assert (await Browser(world).post("/sign-in/code", {"code": code})).headers["Location"] == "/sign-in"
    assert (await asking.post("/sign-in/code", {"code": code})).status == HTTPStatus.SEE_OTHER


async def test_the_answer_tells_nobody_who_has_an_account(world: World) -> None:
    """Known or not: the same pages, to the letter but for the address that was typed."""
    told = []
    for email in ("olga@bakery.example", "anna@bakery.example"):
        browser = Browser(world)
        answers = [await browser.post("/sign-in", {"email": email})]
        answers += [await browser.get("/sign-in/code"), await browser.post("/sign-in/code", {"code": "no"})]
        texts = [re.sub(r'nonce="[^"]*"', "", (await one.text()).replace(email, "…")) for one in answers]
        told.append([(one.status, one.headers.get("Location"), text) for one, text in zip(answers, texts, strict=True)])
    assert told[0] == told[1]


async def test_what_is_no_address_is_told_beside_the_field(world: World) -> None:
    """With what was typed still there; and nothing is sent."""
    before = await newest_mail(world)
    answer = await Browser(world).post("/sign-in", {"email": "olga at bakery"})
    assert answer.status == HTTPStatus.UNPROCESSABLE_ENTITY
    text = await answer.text()
    assert 'value="olga at bakery"' in text
    assert "That is no mail address" in text
    assert (await newest_mail(world)).id == before.id


_ELSEWHERE = ["https://evil.example/", "//evil.example", "/\\evil.example", "/\t/evil.example", "javascript:alert(1)"]


@pytest.mark.parametrize("onwards", _ELSEWHERE)
async def test_nobody_is_sent_elsewhere(world: World, onwards: str) -> None:
    """Whatever stands in `next`, people stay on this server, at each step."""
    browser = Browser(world)
    page = await browser.get("/sign-in?next=" + onwards.replace("\t", "%09"))
    assert "evil" not in await page.text()
    code, _ = await browser.ask_for_mail("vera@bakery.example", onwards)
    answer = await browser.post("/sign-in/code", {"code": code, "next": onwards})
    assert answer.headers["Location"] == "/"


@pytest.mark.parametrize("headers", [{"Sec-Fetch-Site": "cross-site"}, {"Origin": "https://evil.example"}])
async def test_no_other_site_signs_anybody_in(world: World, headers: dict[str, str]) -> None:
    """A page elsewhere can neither ask for a mail, nor give a code, nor press the button of a link."""
    browser = Browser(world)
    code, link = await browser.ask_for_mail("olga@bakery.example")
    cookies = {"Cookie": f"aitelier_browser={browser.cookies['aitelier_browser']}"}
    for path, form in (("/sign-in", {"email": "a@b.example"}), ("/sign-in/code", {"code": code}), (link, {})):
        answer = await world.client.post(path, data=form, headers={**headers, **cookies}, allow_redirects=False)
        assert answer.status == HTTPStatus.FORBIDDEN
        assert "Set-Cookie" not in answer.headers


async def test_a_source_is_slowed_down(world: World) -> None:
    """One that asks for mails or tries codes in a row is told to wait, and for how long."""
    for path, limit in (("/sign-in", MAILS), ("/sign-in/code", ANSWERS)):
        statuses = [(await Browser(world).post(path, {"email": "no"})).status for _ in range(limit.requests)]
        assert HTTPStatus.TOO_MANY_REQUESTS not in statuses
        answer = await Browser(world).post(path, {"email": "no"})
        assert answer.status == HTTPStatus.TOO_MANY_REQUESTS
        assert 0 < int(answer.headers["Retry-After"]) <= limit.window_s


async def test_going_on_after_a_quarter_of_an_hour(world: World) -> None:
    """A browser goes on within the same request, also from several tabs at once, and gets new cookies for it."""
    browser = Browser(world)
    await browser.sign_in("olga@bakery.example")
    before = dict(browser.cookies)
    world.clock.ahead_s = 901
    tabs = [Browser(world, dict(before)) for _ in range(6)]
    assert await asyncio.gather(*(tab.is_in() for tab in tabs)) == [True] * 6
    assert len({tab.cookies["aitelier_refresh"] for tab in tabs}) == 1
    assert tabs[0].cookies["aitelier_refresh"] != before["aitelier_refresh"]
    assert await Browser(world, {"aitelier_refresh": tabs[0].cookies["aitelier_refresh"]}).is_in()


async def test_a_copied_refresh_token_ends_both(world: World) -> None:
    """Who comes with an old one, be it the owner or the thief, ends the sign-in for both; the owner gets a mail."""
    browser = Browser(world)
    await browser.sign_in("olga@bakery.example")
    thief = Browser(world, {"aitelier_refresh": browser.cookies["aitelier_refresh"]})
    assert await thief.is_in()
    world.clock.ahead_s = 902
    answer = await browser.get("/")
    assert answer.headers["Location"].startswith("/sign-in")
    assert browser.cookies.keys() == {"aitelier_browser"}
    assert not await thief.is_in()
    assert (await newest_mail(world)).subject == "A sign-in to Aitelier was ended"


async def test_an_ended_sign_in_is_over_at_once(world: World) -> None:
    """Revoked, or its account gone: the next request with the same good access token is nobody's, page or API."""
    for end in ("revoked", "removed"):
        browser = Browser(world)
        await browser.sign_in(f"{end}@bakery.example")
        token = {"Authorization": f"Bearer {browser.cookies['aitelier_access']}"}
        assert await browser.is_in()
        assert (await world.client.get("/", headers=token, allow_redirects=False)).status == HTTPStatus.OK
        async with open_house(world.services.database) as house:
            account = await accounts.find_by_email(house, f"{end}@bakery.example")
            assert account is not None
            now = now_of(world.services)
            if end == "removed":
                await accounts.remove_account(house, account.id, actor=OPERATOR)
            else:
                await devices.revoke_others(house, account.id, None, actor=OPERATOR, at=now)
        assert (await world.client.get("/", headers=token)).status == HTTPStatus.UNAUTHORIZED
        assert not await browser.is_in()


async def test_where_patients_data_lies_idling_ends_the_sign_in(world: World) -> None:
    """Whoever has asked for something there is out after a quarter of an hour; whoever works goes on."""
    tenant_id, browser = world.florist.tenant_id, Browser(world)
    await browser.sign_in("idle@florist.example")
    async with open_house(world.services.database) as house:
        account = await accounts.find_by_email(house, "idle@florist.example")
    assert account is not None
    async with world.services.database.tenant(tenant_id) as store:
        await grant_role(store, account.id, "viewer", actor=OPERATOR)
        await store.change(
            update(ProjectTable).where(col(ProjectTable.id) == world.florist.project_id).values(hipaa=True)
        )
    for minutes, path, is_in in ((20, "/", True), (21, f"/t/{tenant_id}/", True), (34, "/", True), (50, "/", False)):
        world.clock.ahead_s = minutes * 60
        answer = await browser.get(path)
        assert answer.headers.get("Location", "").startswith("/sign-in") != is_in, minutes


async def test_signing_out(world: World) -> None:
    """The sign-in ends on the server too, also where the request came after its quarter of an hour."""
    for later_s in (0, 901):
        world.clock.ahead_s = 0
        browser = Browser(world)
        await browser.sign_in("nora@elsewhere.example")
        kept = dict(browser.cookies)
        page = await (await browser.get("/")).text()
        assert "member of nothing" in page
        token = re.search(r'name="csrf_token" value="([^"]+)"', page)
        assert token
        assert (await browser.post("/sign-out")).status == HTTPStatus.FORBIDDEN
        world.clock.ahead_s = later_s
        answer = await browser.post("/sign-out", {"csrf_token": token[1]})
        assert answer.headers["Location"] == "/sign-in"
        assert browser.cookies.keys() & {"aitelier_access", "aitelier_refresh"} == set()
        assert not await Browser(world, kept).is_in()


async def test_the_first_owner(world: World) -> None:
    """Looking uses nothing up; an address that somebody has signed in with before lets nobody else in."""
    database = world.services.database
    for shop in (world.bakery, world.florist, world.stranger):
        async with database.tenant(shop.tenant_id) as store:
            await store.change(delete(MembershipTable).where(col(MembershipTable.id).is_not(None)))
    link = f"/sign-in/link/{await first_owner_link(database, now_of(world.services))}"
    owner = Browser(world)
    for _ in range(2):
        assert "becomes the first one" in await (await owner.get(link)).text()
    taken = await owner.post(link, {"email": "olga@bakery.example"})
    assert taken.status == HTTPStatus.UNPROCESSABLE_ENTITY
    assert not await owner.is_in()
    assert (await owner.post(link, {"email": "nonsense"})).status == HTTPStatus.UNPROCESSABLE_ENTITY
    answer = await owner.post(link, {"email": "first@bakery.example"})
    assert answer.headers["Location"] == f"{world.tenant}/"
    assert (await owner.get("/")).headers["Location"] == f"{world.tenant}/"
    assert "no longer good" in await (await Browser(world).post(link, {"email": "second@bakery.example"})).text()
    async with open_house(database) as house:
        first = await accounts.find_by_email(house, "first@bakery.example")
        assert first is not None
        assert await accounts.find_by_email(house, "second@bakery.example") is None
    async with database.tenant(world.bakery.tenant_id) as store:
        assert [grant.role for grant in await grants_of(store, first.id)] == ["owner"]


_CHROME = "AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0.0.0"
_SAFARI = "AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.0 Mobile/15E148 Safari/604.1"
LABELS = {
    _FIREFOX: "Firefox on Linux",
    f"Mozilla/5.0 (Windows NT 10.0; Win64; x64) {_CHROME} Safari/537.36": "Chrome on Windows",
    f"Mozilla/5.0 (Windows NT 10.0; Win64; x64) {_CHROME} Safari/537.36 Edg/140.0.0.0": "Edge on Windows",
    f"Mozilla/5.0 (iPhone; CPU iPhone OS 18_0 like Mac OS X) {_SAFARI}": "Safari on iPhone",
    f"Mozilla/5.0 (Linux; Android 15) {_CHROME} Mobile Safari/537.36": "Chrome on Android",
    "<script>alert(1)</script>": "A browser",
    None: "A browser",
}


@pytest.mark.parametrize("user_agent", LABELS)
async def test_what_a_browser_is_called(user_agent: str | None) -> None:
    """Its name and system, never its own words."""
    assert label_of(user_agent) == LABELS[user_agent]
