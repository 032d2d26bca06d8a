"""Every page and every answer that is read, looked through for what must not be there."""

import re
from collections.abc import Iterator, Mapping
from typing import Any

import pytest
import pytest_asyncio
from yarl import URL

from admin.openapi import schemas_of_handler
from admin.route import Open, Operation, Route
from admin.routes import ROUTES
from policies.access import Scope
from policies.audit_tags import OPERATOR
from store import numbers, postgres, projects, scenarios, trunks
from store.scenarios import Scenario
from store.settings import StoreSettings
from store.tables.catalogue import TABLES
from tests.admin.matrix_ids import Ids, make_ids
from tests.admin.planted import of_the_process, plant, shown_in, with_a_bucket
from tests.admin.test_matrix import address, is_let_in, name_of, needed
from tests.admin.world import World, add_call
from tests.database import Shop, connected

pytestmark = pytest.mark.asyncio(loop_scope="module")
MARKUP = "<script>canary</script><img src=x onerror=canary>\"'&"
"""Given as a name wherever one can be given."""
READ = [route for route in ROUTES if route.method == "GET" and getattr(route, "media_type", "") != "text/event-stream"]


@pytest.fixture(scope="module")
def world_settings(world_settings: StoreSettings) -> Iterator[StoreSettings]:
    """Those of a process that was given every secret which an operator can give it."""
    with of_the_process():
        yield with_a_bucket(world_settings)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def ids(world: World) -> Ids:
    """A shop whose every name is markup, with a call."""
    tenant_id = world.bakery.tenant_id
    async with world.services.database.tenant(tenant_id) as store:
        project = await projects.create(
            store, name=MARKUP, business_name=MARKUP, jurisdiction="DE", language="de", actor=OPERATOR
        )
        made = await scenarios.create(
            store, project_id=project.id, content=Scenario(name=MARKUP, instructions=MARKUP), actor=OPERATOR
        )
        await numbers.create(
            store,
            project_id=project.id,
            scenario_id=made.scenario_id,
            called="+493023125009",
            label=MARKUP,
            actor=OPERATOR,
        )
        await trunks.create(store, name=MARKUP, networks=["198.51.100.0/24"], actor=OPERATOR)
    shop = Shop(tenant_id, project.id, made.scenario_id, "+493023125009")
    await add_call(world, shop, words=MARKUP)
    return await make_ids(world, shop)


async def crawled(world: World, ids: Ids, headers: Mapping[str, str]) -> Mapping[str, tuple[int, bytes]]:
    """Status and answer of every route that is read, by its name."""
    answers = {}
    for route in READ:
        query = {}
        if isinstance(route, Operation):
            asked, *_, components = schemas_of_handler(route)
            query = needed(asked, components)
            if isinstance(route.needs, Scope):
                query["tenant_id"] = str(world.bakery.tenant_id)
        async with world.client.get(
            address(route, ids, world), params=query, headers=headers, allow_redirects=False
        ) as answer:
            answers[name_of(route)] = answer.status, str(answer.headers).encode() + b"\n\n" + await answer.read()
    return answers


def is_page(route: Route) -> bool:
    return route.path.startswith("/t/")


async def test_what_is_said_is_shown_as_words(world: World, ids: Ids) -> None:
    """Markup in names, labels, instructions and in what callers say is shown letter by letter, on every page."""
    answers = await crawled(world, ids, {**world.browser("olga"), "Accept": "text/html"})
    shown = 0
    for route in READ:
        status, content = answers[name_of(route)]
        assert status < 500 or status == 503, name_of(route)
        if b"text/html" in content.partition(b"\n\n")[0]:
            assert b"<script>canary" not in content, name_of(route)
            assert b"onerror=canary>" not in content.replace(b"onerror=canary&gt;", b""), name_of(route)
            shown += b"&lt;script&gt;canary" in content
    assert shown >= min(5, sum(map(is_page, READ)) // 4)


async def test_no_secret_is_shown(world: World, ids: Ids) -> None:
    """Keys, tokens, links, factors and passwords are in no answer to anybody, in no writing.

    Answers to what changes something are looked through in `test_matrix`.
    """
    needles = await plant(world)
    pieces: list[tuple[str, bytes]] = []
    for name, headers in (
        ("olga", world.browser("olga")),
        ("vera", world.browser("vera")),
        ("key", world.program("all")),
        ("nobody", {}),
    ):
        answers = await crawled(world, ids, headers)
        pieces += [(f"{name}: {where}", content) for where, (_, content) in answers.items()]
        if name in {"olga", "key"}:
            may = [route for route in READ if is_for(route, has_key=name == "key")]
            shut = {name_of(one): answers[name_of(one)][0] for one in may if not is_shown(one, answers)}
            assert shut == {}, name
            assert len(may) > len(READ) // 3
    assert shown_in(pieces, needles) == []
    trap = b" ".join(needles.values()) + b" /sign-in/link/" + b"x" * 43
    assert {"a link in a trap", *(f"{name} in a trap" for name in needles)} == set(
        shown_in([("a trap", trap)], needles)
    )


def is_for(route: Route, *, has_key: bool) -> bool:
    """Whether an owner, or a key that may everything, gets what is there; links in mails are for who gets the mail."""
    if "{token}" in route.path:
        return False
    return route.needs is Open.ANYONE or not has_key or (route.is_operation and isinstance(route.needs, Scope))


def is_shown(route: Route, answers: Mapping[str, tuple[int, bytes]]) -> bool:
    """Whether there was something to look through."""
    return is_let_in(route, answers[name_of(route)][0])


@pytest.mark.long
async def test_reading_changes_nothing(world: World, ids: Ids, world_settings: StoreSettings) -> None:
    """After every page and every answer was read, all rows are as before; but that somebody was here is noted."""
    noted = {"audit_heads", "audit_leaves", "audit_about", "audit_personal", "audit_checkpoints", "keys.tenant_keys",
             "keys.subject_keys", "memberships", "api_keys", "devices", "challenges"}  # fmt: skip  # close together

    def rows() -> dict[str, Any]:
        with connected(world_settings, world_settings.home, postgres.SUPERUSER) as connection:
            return {
                name: connection.execute(
                    f"SELECT md5(coalesce(string_agg(one::text, ' ' ORDER BY one::text), '')) FROM {name} one"  # noqa: S608 - of our tables
                ).fetchone()
                for name in (table.__table__.fullname for table in TABLES)  # type: ignore[attr-defined]
                if name not in noted
            }

    await crawled(world, ids, world.browser("olga"))  # once before: a first look may prepare something
    before = rows()
    await crawled(world, ids, world.browser("olga"))
    await crawled(world, ids, world.program("all"))
    after = rows()
    assert [name for name in before if before[name] != after[name]] == []


@pytest.mark.parametrize(
    "path",
    [
        "/static/", "/static/..%2f..%2fpyproject.toml", "/static/..%252f..%252fpyproject.toml", "/static/%2e%2e/app.py",
        "/static/....//app.py", "/static/app.css", "/static//etc/passwd", "/static/%5c..%5capp.py", "/.git/config",
        "/.git%2fconfig", "/.env", "/var/", "/admin/app.py", "/templates/base.html", "/..%2f..%2f..%2fetc%2fpasswd",
        "/%2e%2e/%2e%2e/etc/passwd", "/t/..%2f..%2fetc%2fpasswd/live", "/static/vendor/htmx/htmx.min.js",
    ],
)  # fmt: skip  # close together
async def test_files_of_the_server_are_not_served(world: World, path: str) -> None:
    """Neither its own, nor a list of them, nor any of the machine's, however the way is written."""
    url = URL(str(world.client.make_url("/")).rstrip("/") + path, encoded=True)
    async with world.client.session.get(url, allow_redirects=False) as answer:
        told = await answer.read()
    assert answer.status in {400, 401, 404}
    assert not re.search(rb"root:|\[project\]|\[core\]|import |<title>Index", told)
