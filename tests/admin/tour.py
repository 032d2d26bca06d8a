"""Every page of the web admin, and how somebody gets there: on a whole server, with real calls and one of everything.

The pages are those of the route table, and those that come back from a form. A page that is new has no way here, and
`test_browser_pages.py` fails until it has one.
"""

import re
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Final

from playwright.sync_api import Browser, Page

from admin.route import Route
from admin.routes import PAGES, SERVER, SIGN_IN
from tests.admin.chromium import (
    LINK,
    Authenticator,
    Mailbox,
    chromium,
    confirm,
    first_owner,
    new_page,
    ring,
    ringing,
    sign_in,
)
from tests.scripts.conftest import Server, served, until

CALLER: Final = "+442079460123"
GUEST: Final = "gustav@harbour.example"

FILES: Final = frozenset(
    {
        "/healthz", "/readyz", "/metrics", "/.well-known/security.txt", "/security/policy", "/security/thanks",
        "/subprocessors.json", "/static/{name}", "/api/v1/openapi.json", "/t/{tenant_id}/audit/keys",
    }
)  # fmt: skip  # what answers GET and is no page, besides what its ending tells
_ENDINGS: Final = (".csv", "/receipt", "/progress", "/card", "/copy")


@dataclass
class Visitor:
    """The owner, signed in, with a second factor that was shown a moment ago; and whoever else comes."""

    server: Server
    browser: Browser
    page: Page
    app: Authenticator
    mailbox: Mailbox
    home: str
    """The path of the tenant's pages."""
    failures: list[str]
    """What scripts and the browser complained of, and where."""

    def go(self, path: str) -> Page:
        """A page of the tenant; the second factor is shown again where it is asked for."""
        return self.open(self.home + path)

    def open(self, path: str) -> Page:
        """The same of any page."""
        self.page.goto(f"{self.server.admin}{path}")
        if "/account/confirm" in self.page.url and not path.startswith("/account/confirm"):
            confirm(self.page, self.app)
            self.page.goto(f"{self.server.admin}{path}")
        return self.page

    def stranger(self) -> Page:
        """A window of somebody who is not signed in."""
        page = new_page(self.browser)
        watch(page, self.failures)
        return page

    def api(self, method: str, path: str, body: object = None, **query: object) -> Any:
        """What the HTTP API answers to a page of the owner's; the page has to be one of this server."""
        fields = "".join(f"&{name}={value}" for name, value in query.items())
        return self.page.evaluate(
            """async ([method, url, body]) => {
                const sent = body === null ? {} : { body: JSON.stringify(body) };
                const answer = await fetch(url, { method, headers: { "Content-Type": "application/json" }, ...sent });
                const text = await answer.text();
                if (!answer.ok) throw new Error(`${method} ${url}: ${text}`);
                return text && JSON.parse(text);
            }""",
            [method, f"/api/v1{path}?tenant_id={self.home.removeprefix('/t/')}{fields}", body],
        )

    def first(self, path: str, **query: object) -> str:
        """The id of the first thing in a list of the API."""
        item = self.api("GET", path, **query)["items"][0]
        return str(item.get("id") or item.get("user_id") or item.get("project_id"))


def watch(page: Page, failures: list[str]) -> None:
    """Write down what goes wrong in a window, with its address."""
    page.on("pageerror", lambda error: failures.append(f"{page.url}: {error}"))
    page.on("console", lambda line: failures.append(f"{page.url}: {line.text}") if line.type == "error" else None)


@contextmanager
def visiting() -> Iterator[Visitor]:
    """A server that is new, with an owner who is signed in."""
    mailbox = Mailbox()
    with (
        mailbox.open(),
        served({"AITELIER_SMTP_URL": mailbox.url}, "--drain-seconds", "2") as server,
        chromium() as browser,
    ):
        page = new_page(browser)
        failures: list[str] = []
        watch(page, failures)
        app = first_owner(server, page)
        page.wait_for_url(re.compile(r"/t/[0-9a-f-]+/$"))
        home = page.url.removeprefix(server.admin).rstrip("/")
        yield Visitor(server, browser, page, app, mailbox, home, failures)


def fill(visitor: Visitor) -> None:
    """Calls, and one of everything that a list can hold."""
    for caller, keys, said in (
        (CALLER, "1", ("What are your opening hours?", "Goodbye.")),
        ("+4930901820", "1", ("Can I leave a message?", "Please call me back.", "Goodbye.")),
        ("+442079460888", "1", ("Goodbye.",)),
        ("+442079460555", "2", ("Goodbye.",)),
    ):
        ring(visitor.server, *said, caller=caller, keys=keys)
    visitor.go("/calls")
    until(lambda: len(visitor.api("GET", "/sessions", state="ended")["items"]) >= 4, 30)
    project = visitor.first("/projects")
    visitor.api("POST", "/keys", {"name": "Nightly export", "scopes": ["sessions:read"]})
    visitor.api("POST", "/trunks", {"name": "Carrier in Berlin", "networks": ["192.0.2.0/24"]})
    visitor.api("POST", "/requests", {"number": CALLER, "wish": "access"})
    until_when = time.strftime("%Y-%m-%dT00:00:00Z", time.gmtime(time.time() + 90 * 86_400))
    visitor.api("POST", "/holds", {"project_id": project, "reason": "7 O 3/26", "expires_at": until_when})
    held = visitor.first("/holds")
    visitor.api("DELETE", f"/holds/{held}")
    erased = visitor.api("GET", "/sessions", caller="%2B442079460888")["items"][0]["id"]
    visitor.api("POST", "/sessions/erase", {"session_ids": [erased]})
    visitor.api("POST", "/holds", {"project_id": project, "reason": "7 O 3/26", "expires_at": until_when})
    visitor.api("PUT", "/secrets", {"name": "plugin/calendar", "value": "not shown anywhere"})
    visitor.api("POST", "/invitations", {"email": "ines@harbour.example", "role": "viewer"})
    second = {"name": "Harbour Kiosk", "business_name": "Harbour Kiosk", "jurisdiction": "DE", "language": "de"}
    closing = visitor.api("POST", "/projects", second)["id"]
    visitor.api("POST", f"/projects/{closing}/deletion", {"name": "Harbour Kiosk"})
    page = visitor.go(f"/scenarios/{visitor.first('/scenarios')}")
    page.get_by_label("First words after the disclosure").fill("Greet the caller, and ask what they need.")
    page.get_by_role("button", name="Save the draft").click()


@contextmanager
def live_call(server: Server) -> Iterator[None]:
    """A call that is up meanwhile."""
    with ringing(server, *["What are your opening hours?"] * 30) as telephone:
        try:
            time.sleep(6)
            yield
        finally:
            telephone.kill()


def pages() -> Mapping[str, Route]:
    """The pages of the route table, by method and path."""
    return {
        f"GET {route.path}": route
        for route in (*SERVER, *SIGN_IN, *PAGES)
        if route.method == "GET" and route.path not in FILES and not route.path.endswith(_ENDINGS)
    }


def leads_to(page: Page, stop: str) -> bool:
    """Whether the window shows what the way is said to lead to."""
    path = re.sub(r"\\\{[a-z_]+\\\}", "[^/]+", re.escape(stop.partition(" ")[2].partition(" ")[0]))
    return re.fullmatch(path, "/" + page.url.split("/", 3)[3].partition("?")[0].partition("#")[0]) is not None


Way = Callable[[Visitor], Page]
T: Final = "/t/{tenant_id}"


def _list(path: str) -> Way:
    return lambda visitor: visitor.go(path)


def _of(path: str, listed: str, **query: object) -> Way:
    """A page about the first thing of a list."""

    def way(visitor: Visitor) -> Page:
        visitor.go("/audit")
        return visitor.go(path.format(visitor.first(listed, **query)))

    return way


def _signing_in(visitor: Visitor) -> Page:
    page = visitor.stranger()
    page.goto(f"{visitor.server.admin}/sign-in")
    page.get_by_label("Your mail address").fill(GUEST)
    return page


def _code(visitor: Visitor) -> Page:
    page = _signing_in(visitor)
    page.get_by_role("button", name="Mail me a code").click()
    return page


def _link(visitor: Visitor) -> Page:
    after = len(visitor.mailbox.mails)
    page = _code(visitor)
    page.goto(visitor.mailbox.newest(LINK, after))
    return page


def _member_of_nothing(visitor: Visitor) -> Page:
    page = visitor.stranger()
    sign_in(visitor.server, page, visitor.mailbox, "nora@elsewhere.example")
    page.goto(f"{visitor.server.admin}/")
    return page


def _invited(visitor: Visitor) -> Page:
    after = len(visitor.mailbox.mails)
    visitor.go("/people")
    visitor.api("POST", "/invitations", {"email": GUEST, "role": "viewer"})
    link = visitor.mailbox.newest(r"(http\S+/invitations/\S+)", after)
    page = visitor.stranger()
    sign_in(visitor.server, page, visitor.mailbox, GUEST)
    page.goto(link)
    return page


def _app(visitor: Visitor) -> Page:
    page = visitor.open("/account/security")
    page.get_by_role("button", name="Move it to another phone").click()
    if "/account/confirm" in page.url:
        confirm(page, visitor.app)
        page.get_by_role("button", name="Move it to another phone").click()
    page.get_by_text("Type it instead").click()
    return page


def _codes(visitor: Visitor) -> Page:
    page = visitor.open("/account/security")
    page.get_by_role("button", name="Make ten new codes").click()
    return page


def _key_made(visitor: Visitor) -> Page:
    page = visitor.go("/keys/new")
    page.get_by_label("Name").fill("Of the tour")
    page.get_by_label("See calls").check()
    page.get_by_role("button", name="Make").click()
    return page


def _calls_to_erase(visitor: Visitor) -> Page:
    visitor.go("/calls")
    return visitor.go(f"/calls/erase?id={visitor.first('/sessions', recorded='true')}")


def _request_to_erase(visitor: Visitor) -> Page:
    page = _of("/requests/{}", "/requests")(visitor)
    page.get_by_role("button", name=re.compile("Erase all calls")).click()
    return page


def _found_caller(visitor: Visitor) -> Page:
    page = visitor.go("/requests")
    page.get_by_label("Telephone number").fill("+44 20 7946 0123")
    page.get_by_role("button", name="Find calls").click()
    return page


def _stricter(visitor: Visitor) -> Page:
    page = _of("/retention/{}", "/projects")(visitor)
    page.get_by_label("Recordings, days").fill("1")
    page.get_by_role("button", name="See what this would delete").click()
    return page


def _tried_call(visitor: Visitor) -> Page:
    page = _of("/trunks/{}", "/trunks")(visitor)
    page.get_by_label("From", exact=True).fill("192.0.2.7")
    page.get_by_role("button", name="Test").click()
    return page


def _live(visitor: Visitor) -> Page:
    page = visitor.go("/live")
    page.locator(".live-card").first.wait_for()
    return page


def _version(visitor: Visitor) -> Page:
    visitor.go("/scenarios")
    return visitor.go(f"/scenarios/{visitor.first('/scenarios')}/versions/1")


def _without_script(path: str) -> Way:
    def way(visitor: Visitor) -> Page:
        page = visitor.stranger()
        page.goto(f"{visitor.server.admin}{path}")
        return page

    return way


WAYS: Final[Mapping[str, Way]] = {
    f"GET {T}/live": _live,
    "GET /": _member_of_nothing,
    "GET /api": lambda visitor: visitor.open("/api"),
    "GET /sign-in": _signing_in,
    "GET /sign-in/code": _code,
    "GET /sign-in/link/{token}": _link,
    "GET /invitations/{tenant_id}/{token}": _invited,
    "GET /account/confirm": lambda visitor: visitor.open("/account/confirm?next=/account/security"),
    "GET /account/security": lambda visitor: visitor.open("/account/security"),
    "GET /account/security/app": _app,
    "POST /account/security/recovery-codes": _codes,
    f"GET {T}/": _list("/"),
    f"GET {T}/calls": _list("/calls"),
    f"GET {T}/calls/erase": _calls_to_erase,
    f"GET {T}/calls/{{session_id}}": _of("/calls/{}", "/sessions", recorded="true"),
    f"GET {T}/erasures": _list("/erasures"),
    f"GET {T}/erasures/{{erasure_id}}": _of("/erasures/{}", "/erasures"),
    f"GET {T}/try": _list("/try"),
    f"GET {T}/scenarios": _list("/scenarios"),
    f"GET {T}/scenarios/new": _list("/scenarios/new"),
    f"GET {T}/scenarios/{{scenario_id}}": _of("/scenarios/{}", "/scenarios"),
    f"GET {T}/scenarios/{{scenario_id}}/versions": _of("/scenarios/{}/versions", "/scenarios"),
    f"GET {T}/scenarios/{{scenario_id}}/versions/{{version}}": _version,
    f"GET {T}/numbers": _list("/numbers"),
    f"GET {T}/numbers/{{number_id}}": _of("/numbers/{}", "/numbers"),
    f"GET {T}/numbers/{{number_id}}/remove": _of("/numbers/{}/remove", "/numbers"),
    f"GET {T}/trunks": _list("/trunks"),
    f"GET {T}/trunks/new": _list("/trunks/new"),
    f"GET {T}/trunks/guides/{{guide}}": _list("/trunks/guides/sipgate"),
    f"GET {T}/trunks/{{trunk_id}}": _of("/trunks/{}", "/trunks"),
    f"POST {T}/trunks/{{trunk_id}}/test": _tried_call,
    f"GET {T}/trunks/{{trunk_id}}/remove": _of("/trunks/{}/remove", "/trunks"),
    f"GET {T}/people": _list("/people"),
    f"GET {T}/people/invitations": _list("/people/invitations"),
    f"GET {T}/people/{{user_id}}": _of("/people/{}", "/members"),
    f"GET {T}/people/{{user_id}}/remove": _of("/people/{}/remove", "/members"),
    f"GET {T}/leave": _list("/leave"),
    f"GET {T}/keys": _list("/keys"),
    f"GET {T}/keys/new": _list("/keys/new"),
    f"POST {T}/keys": _key_made,
    f"GET {T}/keys/{{key_id}}/revoke": _of("/keys/{}/revoke", "/keys"),
    f"GET {T}/keys/{{key_id}}/rotate": _of("/keys/{}/rotate", "/keys"),
    f"GET {T}/requests": _list("/requests?state=all"),
    f"GET {T}/requests/new": _list("/requests/new"),
    f"POST {T}/requests/search": _found_caller,
    f"GET {T}/requests/{{request_id}}": _of("/requests/{}", "/requests"),
    f"POST {T}/requests/{{request_id}}/erase": _request_to_erase,
    f"GET {T}/retention": _list("/retention"),
    f"GET {T}/retention/{{project_id}}": _of("/retention/{}", "/projects"),
    f"GET {T}/retention/{{project_id}} stricter": _stricter,
    f"GET {T}/holds": _list("/holds"),
    f"GET {T}/holds/{{hold_id}}/release": _of("/holds/{}/release", "/holds"),
    f"GET {T}/data-flows": _list("/data-flows"),
    f"GET {T}/data-flows/{{project_id}}": _of("/data-flows/{}", "/projects"),
    f"GET {T}/audit": _list("/audit"),
    f"GET {T}/usage": _list("/usage"),
    f"GET {T}/projects": _list("/projects"),
    f"GET {T}/projects/new": _list("/projects/new"),
    f"GET {T}/projects/{{project_id}}": _of("/projects/{}", "/projects"),
    f"GET {T}/projects/{{project_id}} deleted": _of("/projects/{}", "/deletions"),
    f"GET {T}/projects/{{project_id}}/delete": _of("/projects/{}/delete", "/projects"),
    f"GET {T}/deletions": _list("/deletions"),
    f"GET {T}/settings": _list("/settings"),
    f"GET {T}/settings/secrets/remove": _list("/settings/secrets/remove?name=plugin/calendar"),
    "GET /{nowhere}": _without_script("/nowhere"),
    f"GET {T}/calls/{{gone}}": _list("/calls/00000000-0000-7000-8000-000000000000"),
}
"""By method and path, with a word behind them where a page has several faces; first what needs a call that is up."""
EMPTY: Final = tuple(
    f"GET {T}{path}"
    for path in (
        "/", "/calls", "/erasures", "/try", "/scenarios", "/numbers", "/trunks", "/people", "/people/invitations",
        "/keys", "/requests", "/retention", "/holds", "/data-flows", "/audit", "/usage", "/projects", "/deletions",
        "/settings",
    )
)  # fmt: skip  # lists, of a server that is new
