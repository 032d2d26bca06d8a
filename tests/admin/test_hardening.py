"""What every request has to get past, whatever it asks for, and what every answer carries."""

import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any
from uuid import UUID

import aiohttp
import msgspec
import pytest
import pytest_asyncio
import trustme
from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer, make_mocked_request
from hypothesis import given
from hypothesis import strategies as st

from admin.app import make_app
from admin.ask import Ask
from admin.csrf import HEADER
from admin.door import behind_the_door
from admin.paths import came_from, safe_path
from admin.rates import Limit, Rates
from admin.route import Open, Operation, Route
from policies.access import Scope
from policies.problems import Problem
from store.engine import StoreAwayError
from tests.admin.world import World

pytestmark = pytest.mark.asyncio(loop_scope="module")
Client = TestClient[Any, Any]
SECRET = "Anna Schmidt, +4930901820"


class ThingQuery(msgspec.Struct, frozen=True):
    limit: int = 50
    state: list[str] = []


class NewThing(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    name: str
    parts: list[str] = []
    weight: int = 0


class Thing(msgspec.Struct, frozen=True):
    name: str
    number: int


async def list_things(_ask: Ask, query: ThingQuery) -> Thing:
    """List things."""
    return Thing(",".join(query.state), query.limit)


async def echo_thing(_ask: Ask, body: NewThing) -> Thing:
    """Give it back."""
    return Thing(body.name, len(body.parts))


async def find_thing(_ask: Ask, thing_id: UUID) -> Thing:
    """Find one."""
    return Thing(str(thing_id), 0)


async def fail(_ask: Ask) -> None:
    """Fail."""
    raise RuntimeError(SECRET)


async def lose_store(_ask: Ask) -> None:
    """Find the store away."""
    raise StoreAwayError(SECRET)


async def ask_anyone(request: web.Request, body: NewThing) -> Thing:
    """Take something from anyone."""
    return Thing(body.name, int(request.secure))


async def write_page(ask: Ask) -> web.Response:
    """A page that takes a form."""
    form = await ask.request.post()
    return web.Response(text=str(form["name"]))


async def _no_problems() -> list[Problem]:
    return []


ROUTES = (
    Operation("GET", "/api/v1/things", list_things, Scope.SESSIONS_READ),
    Operation("POST", "/api/v1/things", echo_thing, Scope.SESSIONS_READ),
    Operation("GET", "/api/v1/things/{thing_id}", find_thing, Scope.SESSIONS_READ),
    Operation("GET", "/api/v1/failing", fail, Scope.SESSIONS_READ),
    Operation("GET", "/api/v1/away", lose_store, Scope.SESSIONS_READ),
    Operation("POST", "/api/v1/open", ask_anyone, Open.ANYONE),
    Route("POST", "/t/{tenant_id}/form-of-a-test", write_page, Scope.SESSIONS_READ),
)


@asynccontextmanager
async def serving(world: World, *routes: Route, rates: Rates | None = None) -> AsyncIterator[Client]:
    """The application with these routes besides its own."""
    app = make_app(_no_problems, {}, world.services, rates=rates)
    for route in routes:
        app.router.add_route(route.method, route.path, behind_the_door(route))
    client: Client = TestClient(TestServer(app), cookie_jar=aiohttp.DummyCookieJar())
    await client.start_server()
    try:
        yield client
    finally:
        await client.close()


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def client(world: World) -> AsyncIterator[Client]:
    async with serving(world, *ROUTES) as started:
        yield started


Say = Callable[..., Awaitable[tuple[int, Any]]]


@pytest.fixture
def say(world: World, client: Client) -> Say:
    """A request with the key that may everything; status and what was answered."""

    async def ask(method: str, path: str, **more: Any) -> tuple[int, Any]:
        headers = {**world.program("all"), **more.pop("headers", {})}
        async with client.request(method, path, headers=headers, **more) as answer:
            text = await answer.text()
            return answer.status, msgspec.json.decode(text) if text else None

    return ask


# ------------------------------------------------------------------------------------------------ forged requests


@pytest.mark.parametrize(
    "sent",
    [
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
        {"Origin": "https://evil.example"},
        {"Origin": "null"},
        {"Origin": "http://127.0.0.1:1"},
        {"Origin": "http://["},
        {"Sec-Fetch-Site": "cross-site", "Origin": "SELF"},
    ],
)
async def test_no_other_site_gets_a_form_in(world: World, client: Client, sent: dict[str, str]) -> None:
    """A page elsewhere is refused even with the cookie and the right token; nothing is signed out or in by it."""
    sent = {name: value.replace("SELF", str(client.make_url("/").origin())) for name, value in sent.items()}
    headers = {**world.browser("vera"), **sent}
    for path in (f"{world.tenant}/form-of-a-test", "/sign-out", "/sign-in", "/sign-in/code"):
        async with client.post(path, headers=headers, data={"name": "x"}, allow_redirects=False) as answer:
            assert answer.status == 403, path
            assert "another site" in (await answer.json())["detail"]


async def test_a_form_has_the_token_of_its_sign_in(world: World, client: Client) -> None:
    """Without it, or with somebody else's, a cookie is worth nothing for what changes something."""
    path = f"{world.tenant}/form-of-a-test"
    sent = world.browser("vera")
    token = sent.pop(HEADER)
    others = world.browser("edgar")[HEADER]
    assert token != others
    for form, status in (
        ({"name": "x"}, 403),
        ({"name": "x", "csrf_token": others}, 403),
        ({"name": "x", "csrf_token": "ü"}, 403),
        ({"name": "x", "csrf_token": ""}, 403),
        ({"name": "x", "csrf_token": token}, 200),
    ):
        async with client.post(path, headers=sent, data=form) as answer:
            assert answer.status == status, form
    async with client.post(path, headers={**sent, HEADER: token}, data={"name": "x"}) as answer:
        assert answer.status == 200


async def test_the_api_takes_a_cookie_from_our_pages_only(world: World, client: Client) -> None:
    """A cookie alone does nothing: the page's origin or the token comes with it. Keys and tokens need neither."""
    path = f"/api/v1/things?tenant_id={world.bakery.tenant_id}"
    cookie = {"Cookie": world.browser("vera")["Cookie"]}
    own = str(client.make_url("/").origin())
    for headers, status in (
        (cookie, 403),
        ({**cookie, "Origin": own}, 200),
        ({**cookie, "Sec-Fetch-Site": "same-origin", "Origin": "null"}, 200),
        ({**cookie, "Origin": "https://evil.example"}, 403),
        (world.browser("vera"), 200),
        (world.program("vera"), 200),
        (world.program("all"), 200),
    ):
        async with client.post(path, headers=headers, json={"name": "x"}) as answer:
            assert answer.status == status, headers
    async with client.get(path, headers=cookie) as answer:
        assert answer.status == 200  # nothing changes by it, and no other site can read it
        assert "Access-Control-Allow-Origin" not in answer.headers


@pytest.mark.parametrize(
    ("content_type", "body", "status"),
    [
        ("application/x-www-form-urlencoded", b"name=\xff", 422),
        ("application/x-www-form-urlencoded; charset=klingon", b"name=x", 422),
        ("application/x-www-form-urlencoded", b"name=%00", 422),
        ("multipart/form-data", b"name", 422),
        ("multipart/form-data; boundary=x", b"--y\r\n", 422),
        ("application/json", b"{}", 415),
        ("text/plain", b"name=x", 415),
        ("application/x-www-form-urlencoded", b"name=" + b"x" * 70_000, 413),
    ],
)
async def test_a_form_that_cannot_be_read_is_refused(
    world: World, client: Client, content_type: str, body: bytes, status: int
) -> None:
    """Broken bytes, unknown alphabets and too much of it are the sender's fault, and answered so."""
    headers = {"Cookie": world.browser("vera")["Cookie"], "Content-Type": content_type}
    async with client.post(f"{world.tenant}/form-of-a-test", headers=headers, data=body) as answer:
        assert answer.status == status, await answer.text()


# ------------------------------------------------------------------------------------------------------- addresses


@pytest.mark.parametrize(
    ("host", "status"),
    [
        ("127.0.0.1:8080", 200),
        ("localhost", 200),
        ("[::1]:80", 200),
        ("192.0.2.7", 200),
        ("rebound.example", 421),
        ("127.0.0.1.evil.example", 421),
        ("localhost.evil.example", 421),
        ("a@b:c]", 421),
        ("", 421),
    ],
)
async def test_over_plain_http_only_our_own_names_are_answered(client: Client, host: str, status: int) -> None:
    """Somebody's name that is made to point here, to have a browser talk to us under it, gets nothing (rebinding)."""
    async with client.get("/healthz", headers={"Host": host}) as answer:
        assert answer.status == status


async def test_addresses_that_no_text_can_be_are_refused(say: Say) -> None:
    """A null byte is 400 wherever it stands, and an endless address 414."""
    assert (await say("GET", "/api/v1/things/%00"))[0] == 400
    assert (await say("GET", "/api/v1/things?limit=%00"))[0] == 400
    assert (await say("GET", "/api/v1/things?state=" + "x" * 5000))[0] == 414


NEXT = [
    ("/t/1/calls?state=up", True),
    ("/", True),
    ("//evil.example", False),
    ("/\\evil.example", False),
    ("\\/evil.example", False),
    ("/\t/evil.example", False),
    ("/\n/evil.example", False),
    (" //evil.example", False),
    ("https://evil.example", False),
    ("https:evil.example", False),
    ("javascript:alert(1)", False),
    ("/a\r\nSet-Cookie: a=b", False),
    ("", False),
    (None, False),
]


@pytest.mark.parametrize(("text", "is_safe"), NEXT)
async def test_one_goes_on_to_paths_of_this_server_only(text: str | None, *, is_safe: bool) -> None:
    """Nothing that a browser would take for another server is followed."""
    assert safe_path(text, "/here") == (text if is_safe else "/here")


@given(text=st.text(alphabet="/\\.:@?#%\t\r\n aZ\u2028evil-example"))
async def test_whatever_is_safe_stays_on_this_server(text: str) -> None:
    """Read as a browser reads it (tabs and line ends left out, backslashes as slashes), a safe path has no host."""
    path = safe_path(text)
    read = "".join(one for one in path if one not in "\t\r\n").replace("\\", "/").strip()
    assert read.startswith("/")
    assert not read.startswith("//")


async def test_a_form_brings_one_back_to_the_page_it_came_from() -> None:
    """Only where that is a page of ours."""
    for referrer, back in (
        ("http://here.example/t/1/keys?x=1", "/t/1/keys?x=1"),
        ("http://evil.example/t/1/keys", "/"),
        ("http://here.example//evil.example", "/"),
        ("http://[", "/"),
        ("", "/"),
    ):
        headers = {"Host": "here.example", "Referer": referrer}
        assert came_from(make_mocked_request("POST", "/x", headers=headers)) == back


async def test_strangers_are_sent_to_sign_in_and_come_back(world: World, client: Client) -> None:
    """A page asks for a sign-in and keeps where one wanted to go; programs are told 401, and htmx where to go."""
    path = f"{world.tenant}/live?project=1"
    page = {"Accept": "text/html"}
    async with client.get(path, headers=page, allow_redirects=False) as answer:
        assert answer.status == 303
        assert answer.headers["Location"] == f"/sign-in?next={world.tenant}/live%3Fproject%3D1"
    async with client.get(path, allow_redirects=False) as answer:
        assert answer.status == 401
        assert answer.headers["WWW-Authenticate"] == "Bearer"
    async with client.get(path, headers={**page, "HX-Request": "true"}, allow_redirects=False) as answer:
        assert (answer.status, answer.headers["HX-Redirect"][:9]) == (204, "/sign-in?")


# --------------------------------------------------------------------------------------------------------- answers


async def test_every_answer_is_hardened(world: World, client: Client) -> None:
    """Pages, data, files and errors of every kind carry all the headers, and none says what serves them."""
    paths = ("/healthz", "/sign-in", "/api", "/api/v1/openapi.json", "/api/v1/things", "/nowhere", "/t/x/live",
             "/api/v1/failing", "/static/none.css", "/api/v1/things?x=1", "/%00")  # fmt: skip  # one of each kind
    for path in paths:
        async with client.get(path, headers=world.program("all"), allow_redirects=False) as answer:
            shown = {name.lower(): value for name, value in answer.headers.items()}
        assert shown["x-content-type-options"] == "nosniff", path
        assert shown["referrer-policy"] == "same-origin", path
        assert shown["cross-origin-opener-policy"] == "same-origin", path
        assert shown["cross-origin-resource-policy"] == "same-origin", path
        assert "microphone=()" in shown["permissions-policy"], path
        assert "frame-ancestors 'none'" in shown["content-security-policy"], path
        assert "default-src 'none'" in shown["content-security-policy"], path
        assert "unsafe" not in shown["content-security-policy"], path
        assert shown["cache-control"] == "no-store", path
        assert "server" not in shown, path
        assert "access-control-allow-origin" not in shown, path
        assert "strict-transport-security" not in shown, path  # nothing to insist on over plain HTTP


async def test_scripts_are_bound_to_the_answer(client: Client) -> None:
    """A page's nonce is fresh each time, and every script of the page has it."""
    nonces = set()
    for _ in range(2):
        async with client.get("/sign-in") as answer:
            policy, text = answer.headers["Content-Security-Policy"], await answer.text()
        nonce = policy.partition("'nonce-")[2].partition("'")[0]
        assert len(nonce) >= 20
        assert text.count("<script") == text.count(f'<script nonce="{nonce}"') > 0
        assert " style=" not in text
        assert " onclick" not in text
        nonces.add(nonce)
    assert len(nonces) == 2


@pytest.mark.parametrize("method", ["OPTIONS", "TRACE", "PUT", "DELETE"])
async def test_other_methods_are_no_hole(client: Client, method: str) -> None:
    """Whatever is not in the table of routes is 405 with what is allowed, without a word about who may."""
    async with client.request(method, "/api/v1/things") as answer:
        told = await answer.read()
    assert answer.status == 405
    assert set(answer.headers["Allow"].split(",")) == {"GET", "POST"}
    assert answer.content_type == "application/problem+json"
    assert b"remedy" in told


async def test_head_tells_what_get_would(world: World, client: Client) -> None:
    """The same status and headers, no body; also of what does not exist, and for nobody."""
    for path, status in (("/healthz", 200), ("/nowhere", 404), ("/api/v1/live", 401)):
        async with client.head(path) as answer:
            assert (answer.status, await answer.read()) == (status, b"")


async def test_a_defect_tells_nothing(
    say: Say, world: World, client: Client, capsys: pytest.CaptureFixture[str]
) -> None:
    """500 with what to do; what the error said, which may be personal, is neither shown nor logged; where it is."""
    status, told = await say("GET", "/api/v1/failing")
    assert (status, told["title"]) == (500, "Internal Server Error")
    assert told["remedy"]
    page = {**world.program("all"), "Accept": "text/html"}
    async with client.get("/api/v1/failing", headers=page) as answer:
        text = await answer.text()
    logged = capsys.readouterr()
    for shown in (str(told), text, logged.out, logged.err):
        assert "Anna" not in shown
        assert "Traceback" not in shown
    assert "request_failed" in logged.out
    assert "RuntimeError" in logged.out
    assert "fail:" in logged.out


async def test_a_part_that_is_away_is_worth_another_try(say: Say, client: Client, world: World) -> None:
    """503 with when to come again, and nothing of what the database has said."""
    status, told = await say("GET", "/api/v1/away")
    assert status == 503
    assert "Anna" not in str(told)
    async with client.get("/api/v1/away", headers=world.program("all")) as answer:
        assert answer.headers["Retry-After"] == "5"


async def test_who_was_refused_is_in_the_log(world: World, client: Client, capsys: pytest.CaptureFixture[str]) -> None:
    """What was asked for and why not; no address, name or token of whoever asked."""
    capsys.readouterr()
    statuses = []
    for headers in (
        {},
        {"Authorization": "Bearer ait_live_nonsense"},
        {**world.browser("vera"), "Origin": "https://evil.example"},
        {"Host": "rebound.example"},
    ):
        async with client.post("/api/v1/things", json={"name": "Anna"}, headers=headers) as answer:
            statuses.append(answer.status)
    logged = capsys.readouterr().out
    assert statuses == [401, 401, 403, 421]
    assert logged.count("request_refused") == 4
    assert "/api/v1/things" in logged
    for word in ("127.0.0.1", "Anna", "nonsense", "evil", "rebound", "vera", str(world.people["vera"].user_id)):
        assert word not in logged


async def test_secrets_are_taken_from_headers_only(world: World, client: Client) -> None:
    """A key or a token in an address, which ends up in logs and histories, opens nothing."""
    key, token = world.keys["all"], world.people["olga"].access_token
    for name in ("key", "api_key", "apikey", "token", "access_token", "Authorization"):
        for value in (key, token, f"Bearer {key}"):
            async with client.get("/api/v1/things", params={name: value}) as answer:
                assert answer.status == 401
    async with client.get("/api/v1/things", headers={"X-Api-Key": key}) as answer:
        assert answer.status == 401


async def test_what_a_proxy_would_say_is_not_believed(world: World) -> None:
    """Nobody can give themselves another address, name or scheme by a header."""
    async with serving(world, *ROUTES, rates=Rates(strangers=Limit("strangers", 2))) as client:
        statuses = []
        for number in range(4):
            said = {
                "X-Forwarded-For": f"192.0.2.{number}",
                "X-Real-IP": f"192.0.2.{number}",
                "Forwarded": f"for=192.0.2.{number};host=evil.example;proto=https",
                "X-Forwarded-Host": "evil.example",
                "X-Forwarded-Proto": "https",
                "X-HTTP-Method-Override": "DELETE",
                "X-Original-URL": "/healthz",
            }
            async with client.get("/api/v1/things", headers=said) as answer:
                statuses.append(answer.status)
                assert "evil" not in str(answer.headers) + await answer.text()
                assert "Strict-Transport-Security" not in answer.headers
        assert statuses == [401, 401, 429, 429]
        async with client.post("/api/v1/open", json={"name": "x"}, headers=said) as answer:
            assert (await answer.json())["number"] == 0


# ------------------------------------------------------------------------------------------------------------- TLS


@asynccontextmanager
async def serving_tls(world: World) -> AsyncIterator[Client]:
    """The application as strangers reach it."""
    authority = trustme.CA()
    inside = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(inside)
    outside = ssl.create_default_context()
    authority.configure_trust(outside)
    app = make_app(_no_problems, {}, replace(world.services, is_public=True))
    server = TestServer(app, scheme="https")
    await server.start_server(ssl=inside)
    client: Client = TestClient(
        server, cookie_jar=aiohttp.DummyCookieJar(), connector=aiohttp.TCPConnector(ssl=outside)
    )
    try:
        yield client
    finally:
        await client.close()


async def test_over_tls_browsers_are_told_to_stay_with_it(world: World) -> None:
    """For two years, with every answer; the name is the certificate's to prove, so any is answered."""
    async with serving_tls(world) as client:
        for path in ("/healthz", "/sign-in", "/nowhere", "/api/v1/openapi.json"):
            async with client.get(path, headers={"Host": "calls.example"}) as answer:
                assert answer.headers["Strict-Transport-Security"] == "max-age=63072000; includeSubDomains"


async def test_cookies_over_tls_are_bound_to_this_host(world: World) -> None:
    """Every one is `__Host-`, `Secure`, of the whole host, out of reach of scripts and of other sites' forms."""
    person = await world.sign_in("tls@bakery.example")
    headers = {"Cookie": f"__Host-aitelier_refresh={person.refresh_token}", "Accept": "text/html"}
    seen = set()
    async with serving_tls(world) as client:
        async with client.get("/account/security", headers=headers, allow_redirects=False) as answer:
            cookies = answer.headers.getall("Set-Cookie", [])
        async with client.get("/sign-in", headers={"Accept": "text/html"}, allow_redirects=False) as answer:
            cookies += answer.headers.getall("Set-Cookie", [])
    for cookie in cookies:
        name, *attributes = cookie.split("; ")
        seen.add(name.partition("=")[0])
        assert name.startswith("__Host-")
        assert {"Secure", "HttpOnly", "Path=/"} <= set(attributes)
        assert {"SameSite=Lax", "SameSite=Strict"} & set(attributes)
        assert not [one for one in attributes if one.startswith("Domain")]
    assert {"__Host-aitelier_access", "__Host-aitelier_refresh"} <= seen


# ---------------------------------------------------------------------------------------------------- the HTTP API


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ("?nothing=1", "nothing"),
        ("?limit=many", "limit"),
        ("?limit=1&limit=2", "limit"),
        ("?limit=99999999999999999999999", "limit"),
        ("?Limit=1", "Limit"),
    ],
)
async def test_parameters_that_are_none_are_named(say: Say, query: str, field: str) -> None:
    """422 says which one; nothing is silently left out or taken twice."""
    status, told = await say("GET", f"/api/v1/things{query}")
    assert (status, told["field"]) == (422, field)


async def test_parameters_are_read_by_their_types(say: Say) -> None:
    """A number is a number, and a list takes each that is given."""
    assert await say("GET", "/api/v1/things?limit=7&state=up&state=over") == (200, {"name": "up,over", "number": 7})


@pytest.mark.parametrize(
    ("body", "content_type", "status", "field"),
    [
        (b'{"name": "x", "role": "owner"}', "application/json", 422, "body"),
        (b'{"name": 1}', "application/json", 422, "name"),
        (b'{"name": "x", "parts": ["a", 2]}', "application/json", 422, "parts[1]"),
        (b"{}", "application/json", 422, "body"),
        (b"{", "application/json", 422, "body"),
        (b"", "application/json", 422, "body"),
        (b"\xff\xfe", "application/json", 422, "body"),
        (b'{"name": "\\u0000"}', "application/json", 422, "body"),
        (b'{"name": "\\ud800"}', "application/json", 422, "body"),
        (b'{"name": "x", "weight": 99999999999999999999}', "application/json", 422, "body"),
        (b'{"name": "x", "parts": ' + b"[" * 30_000 + b"]" * 30_000 + b"}", "application/json", 422, "parts[0]"),
        (b'{"name": "x"}', "text/plain", 415, "Content-Type"),
        (b"name=x", "application/x-www-form-urlencoded", 415, "Content-Type"),
        (b'{"name": "' + b"x" * 70_000 + b'"}', "application/json", 413, None),
    ],
)
async def test_a_body_that_is_none_is_refused(
    say: Say, body: bytes, content_type: str, status: int, field: str | None
) -> None:
    """What is wrong is named, fields that nobody knows are refused, and nothing hostile is a defect."""
    found, told = await say("POST", "/api/v1/things", data=body, headers={"Content-Type": content_type})
    assert (found, told.get("field")) == (status, field), told


async def test_an_escaped_backslash_is_no_null_byte(say: Say) -> None:
    """Words about U+0000 are words."""
    assert (await say("POST", "/api/v1/things", json={"name": "\\u0000"}))[0] == 200


async def test_ids_that_are_none_do_not_exist(say: Say) -> None:
    """What is no id is 404 like an id of nothing, also with slashes and dots in it."""
    for wrong in ("1", "..%2F..%2Fetc%2Fpasswd", "%2e%2e", "' OR 1=1", "0" * 300, "%F0%9F%92%A9"):
        assert (await say("GET", f"/api/v1/things/{wrong}"))[0] == 404, wrong


async def test_a_key_is_of_one_tenant(say: Say, world: World) -> None:
    """Who names another than the key's own is told that there is none."""
    assert (await say("GET", f"/api/v1/things?tenant_id={world.bakery.tenant_id}"))[0] == 200
    assert (await say("GET", f"/api/v1/things?tenant_id={world.stranger.tenant_id}"))[0] == 404
    assert (await say("GET", "/api/v1/things?tenant_id=x"))[0] == 404


async def test_an_operation_for_anyone_checks_what_it_is_given(client: Client) -> None:
    """It needs nobody, and refuses the same as the others."""
    async with client.post("/api/v1/open", json={"name": "x"}) as answer:
        assert (answer.status, await answer.json()) == (200, {"name": "x", "number": 0})
    async with client.post("/api/v1/open", json={"title": "x"}) as answer:
        assert answer.status == 422


# ---------------------------------------------------------------------------------------------------------- limits


class Ticks:
    """A clock that a test moves."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


async def test_each_key_has_its_own_limit(world: World) -> None:
    """Headers count down, then it is 429 with when to go on, for this key only, until the window is over."""
    ticks = Ticks()
    rates = Rates(api=Limit("api", 3), clock=ticks)
    async with serving(world, *ROUTES, rates=rates) as client:
        left = []
        for _ in range(4):
            ticks.now += 1
            async with client.get("/api/v1/things", headers=world.program("all")) as answer:
                left.append((answer.status, answer.headers["RateLimit"]))
                assert answer.headers["RateLimit-Policy"] == '"api";q=3;w=60'
        assert left == [
            (200, '"api";r=2;t=60'),
            (200, '"api";r=1;t=59'),
            (200, '"api";r=0;t=58'),
            (429, '"api";r=0;t=57'),
        ]
        async with client.get("/api/v1/things", headers=world.program("all")) as answer:
            told = await answer.json()
            assert answer.headers["Retry-After"] == "57"
        assert told["type"] == "https://iana.org/assignments/http-problem-types#quota-exceeded"
        async with client.get("/api/v1/things", headers=world.program("sessions")) as answer:
            assert answer.status == 200
        ticks.now += 60
        async with client.get("/api/v1/things", headers=world.program("all")) as answer:
            assert answer.status == 200


async def test_strangers_are_slowed_down_and_nobody_else(world: World) -> None:
    """Requests without a good key are counted by address; a good one from there still gets through."""
    async with serving(world, *ROUTES, rates=Rates(strangers=Limit("strangers", 2))) as client:
        wrong = {"Authorization": "Bearer ait_live_nonsense"}
        statuses = []
        for _ in range(3):
            async with client.get("/api/v1/things", headers=wrong) as answer:
                statuses.append(answer.status)
        assert statuses == [401, 401, 429]
        async with client.get("/api/v1/things", headers=world.program("all")) as answer:
            assert answer.status == 200


async def test_counting_takes_no_more_memory_than_it_may() -> None:
    """Whoever has not been seen for longest is forgotten first."""
    rates = Rates()
    for number in range(20_010):
        rates.take(rates.api, str(number))
    assert len(rates._windows) == 20_000
    assert ("api", "0") not in rates._windows
